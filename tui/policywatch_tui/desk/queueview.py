"""The Queue in words: head line, column names, one line a row, and what an empty queue means.

Empty is not healthy: the sentence says whether the sources were read, and what is snoozed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from policywatch.domain.changes import Severity
from policywatch_tui.desk import fmt
from policywatch_tui.desk.clean import clean
from policywatch_tui.desk.line import BLANK, Line, Look, Piece
from policywatch_tui.desk.rows import Counts, QueueRow, Standing
from policywatch_tui.desk.triage import Triage

__all__ = [
    "Columns",
    "arrivals",
    "columns",
    "empty_words",
    "head",
    "names",
    "queue_line",
    "readable_words",
    "status",
    "troubles",
]

_LOOK = {
    Severity.CRITICAL: Look.ALARM,
    Severity.HIGH: Look.WARN,
    Severity.MEDIUM: Look.PLAIN,
    Severity.LOW: Look.DIM,
    Severity.NONE: Look.DIM,
}
# Standing is read every 30 seconds, so a beat that is two minutes old was missed more than once.
_SILENT_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Columns:
    """Cells of each column; 0 where there is no room for it."""

    platform: int
    document: int
    summary: int
    length: int
    who: int


def columns(width: int) -> Columns:
    """What fits; who, length and document give way in this order, the summary keeps twelve cells."""
    fixed = 4 + 4 + 5
    for platform, document, length, who in ((10, 22, 5, 9), (9, 14, 5, 6), (9, 14, 5, 0), (9, 14, 0, 0)):
        room = width - fixed - sum(size + 1 for size in (platform, document, length, who) if size)
        if room - 1 >= (24 if who else 20):
            return Columns(platform, document, room - 1, length, who)
    room = width - fixed
    return Columns(min(9, max(0, room - 13)), 0, max(0, room - min(9, max(0, room - 13)) - 2), 0, 0)


def head(counts: Counts | None, now: datetime) -> tuple[Piece, ...]:
    """How much waits, how much of it is critical, how long the oldest waits."""
    title: Piece = ("Queue", Look.BOLD)
    if counts is None:
        return (title, ("  loading", Look.DIM))
    if counts.undecided == 0:
        return (title, ("  0 undecided", Look.PLAIN))
    critical: Piece = (f"{counts.critical} critical", Look.ALARM if counts.critical else Look.PLAIN)
    oldest = f", oldest {fmt.long_age(counts.oldest_at, now)}"
    return (
        title,
        (f"  {fmt.number(counts.undecided)} undecided, ", Look.PLAIN),
        critical,
        (oldest, Look.PLAIN),
    )


def arrivals(count: int) -> tuple[Piece, ...]:
    """Rows that wait for `i`."""
    return ((f"+{count} new: i   ", Look.WARN),) if count else ()


def names(width: int) -> Line:
    """The names of the columns."""
    cols = columns(width)
    text = "    sev   age " + fmt.pad("platform", cols.platform) + " "
    text += fmt.pad("document", cols.document) + " " if cols.document else ""
    text += fmt.pad("what changed", cols.summary)
    text += " " + fmt.pad_left("words", cols.length) if cols.length else ""
    text += " " + fmt.pad("who", cols.who) if cols.who else ""
    return ((text, Look.DIM),)


def queue_line(triage: Triage, row: QueueRow, *, here: bool, width: int, now: datetime, zone: tzinfo) -> Line:
    """One row: cursor, mark, state, severity, age, where, what."""
    cols = columns(width)
    sign = triage.sign(row, now)
    what, faded = _what(triage, row, now, zone)
    look = Look.DIM if faded else Look.PLAIN
    gutter = (">" if here else " ") + ("*" if row.id in triage.marks else " ") + sign + " "
    severity = fmt.pad(fmt.severity_word(row.severity), 4)
    where = " " + fmt.pad_left(fmt.age(row.detected_at, now), 4) + " "
    where += fmt.pad(clean(row.platform), cols.platform) + " "
    where += fmt.pad(clean(row.document), cols.document) + " " if cols.document else ""
    end = (
        " " + fmt.pad_left(fmt.words(row.words_added, row.words_removed), cols.length) if cols.length else ""
    )
    who = clean(row.decided_by or row.taken_by)
    end += " " + fmt.pad(who, cols.who) if cols.who else ""
    return (
        (gutter, Look.BOLD if sign in "!?" else Look.PLAIN),
        (severity, look if faded else _LOOK[row.severity]),
        (where + fmt.pad(what, cols.summary) + end, look),
    )


def _what(triage: Triage, row: QueueRow, now: datetime, zone: tzinfo) -> tuple[str, bool]:
    """What stands in the column of the summary, and whether the row fades."""
    if (pending := triage.pending.get(row.id)) is not None:
        return f"{pending.act.words} - sending", False
    if row.id in triage.unknown:
        return "unknown whether it was stored; R checks", False
    if row.id in triage.refusals:
        return clean(triage.refusals[row.id]), False
    if row.verdict:
        mine = row.decided_by == triage.person
        who = "by you" if mine else f"by {clean(row.decided_by)}"
        return f"{clean(row.verdict)} {who} {fmt.clock(row.decided_at, zone, now)}", True
    if row.asleep(now):
        return f"snoozed to {fmt.clock(row.snoozed_until, zone, now)}", True
    return clean(f"{row.mark}: {row.summary}" if row.mark else row.summary), False


def troubles(standing: Standing | None, now: datetime) -> tuple[Piece, ...]:
    """What a person must know of the rest of the house: nothing is sent, nobody collects, a source is not seen."""
    if standing is None:
        return ()
    pieces: list[Piece] = []
    if standing.frozen:
        pieces.append(("   FROZEN: nothing is sent", Look.ALARM))
    seen = standing.daemon_seen_at
    if seen is None:
        pieces.append(("   no daemon runs", Look.WARN))
    elif now - seen > _SILENT_AFTER:
        pieces.append((f"   daemon silent {fmt.age(seen, now)}", Look.WARN))
    if standing.documents_blind:
        count = standing.documents_blind
        pieces.append((f"   {count} {'source' if count == 1 else 'sources'} blind", Look.WARN))
    # The longest stands last: it is cut where a line is too short for all.
    if standing.settings_fault:
        pieces.append((f"   settings refused: {clean(_last_folder(standing.settings_fault))}", Look.WARN))
    return tuple(pieces)


def _last_folder(fault: str) -> str:
    """`policywatch.yaml:3:5: what` without the folders before it: one line has no room for them."""
    place, colon, rest = fault.partition(":")
    return place.rpartition("/")[2] + colon + rest


def status(triage: Triage, more: bool, standing: Standing | None, now: datetime) -> Line:
    """The line above the hints: place, order, marks. What changes with each key stands first."""
    count = len(triage.list)
    place = triage.list.window.cursor + 1 if count else 0
    total = fmt.number(count)
    pieces: list[Piece] = [(f"row {place:>{len(total)}}/{total}{'+' if more else ''}", Look.DIM)]
    wrong = troubles(standing, now)
    if not wrong:  # it never changes, and gives way to what does
        pieces.append(("   order severity, then age", Look.DIM))
    if triage.marks:
        pieces.append((f"   marks {len(triage.marks)}", Look.BOLD))
    if triage.done:
        pieces.append((f"   undo {len(triage.done)}", Look.DIM))
    return (*pieces, *wrong)


def empty_words(standing: Standing | None, counts: Counts | None) -> tuple[Line, ...]:
    """What an empty list means; never that all is well where rows are not read yet, or sources were not."""
    if standing is None or counts is None or counts.undecided:
        return ((("not loaded yet", Look.DIM),),)
    now = standing.now
    good, total = standing.documents_good, standing.documents
    snoozed = f" {counts.snoozed} snoozed." if counts.snoozed else ""
    if total == 0:
        return (_say("0 undecided, and no document is watched yet.", Look.WARN),)
    if good < total:
        bad = f"0 undecided, BUT {total - good} of {total} documents have no good capture for 24h or more."
        named = _say("policywatch documents list names them.", Look.PLAIN)
        return (_say(bad + snoozed, Look.WARN), named, *readable_words(standing))
    lines = [
        f"Queue is clear: 0 undecided.{snoozed} {good}/{total} documents captured, "
        f"the oldest {fmt.long_age(standing.oldest_good_at, now)} ago.",
        f"Last change {fmt.long_age(standing.last_change_at, now)} ago."
        if standing.last_change_at
        else "No change yet.",
    ]
    said = (_say(text, Look.GOOD if place == 0 else Look.PLAIN) for place, text in enumerate(lines))
    return (*said, *readable_words(standing))


def readable_words(standing: Standing | None) -> tuple[Line, ...]:
    """How much of what is watched can be read at all, where the list leaves room: few rows may mean few pages."""
    if standing is None or not standing.readable:
        return ()
    return (BLANK, _say(f"{clean(standing.readable)}.", Look.DIM))


def _say(text: str, look: Look) -> Line:
    return ((text, look),)
