"""Approvals, Drafts and Publications in words: one line a row, and the sheet below the list.

An approver signs what stands on the sheet and nothing else, so the sheet holds all of it: the text as it is
mailed, the segment, the count, the digest, when it goes out at the earliest.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from policywatch_tui.desk import fmt
from policywatch_tui.desk.clean import clean, clean_lines
from policywatch_tui.desk.diffview import wrapped
from policywatch_tui.desk.line import Line, Look, Piece, justified, line
from policywatch_tui.desk.rows import Approval, Draft, Publication

__all__ = [
    "approval_line",
    "approval_sheet",
    "approvals_head",
    "draft_line",
    "draft_sheet",
    "drafts_head",
    "last_minute",
    "paragraphs",
    "publication_line",
    "publication_sheet",
    "publications_head",
]

_STATES = {
    "grace": ("IN GRACE", Look.WARN),
    "releasing": ("SENDING", Look.BOLD),
    "paused": ("PAUSED", Look.ALARM),
    "stopped": ("STOPPED", Look.ALARM),
    "withdrawn": ("WITHDRAWN", Look.DIM),
    "lapsed": ("LAPSED", Look.ALARM),
    "sent": ("SENT", Look.GOOD),
}


def paragraphs(text: str, width: int) -> list[Line]:
    """A foreign text with its own line breaks, wrapped."""
    lines: list[Line] = []
    for part in clean_lines(text).split("\n"):
        lines += [line(part[start:end]) for start, end in wrapped(part, width)]
    return lines


def _field(name: str, text: str, width: int, look: Look = Look.PLAIN) -> list[Line]:
    shown = clean(text)
    rows = wrapped(shown, max(1, width - 10))
    first, *rest = rows
    lines: list[Line] = [((f"{name:<10}", Look.DIM), (shown[first[0] : first[1]], look))]
    lines += [((" " * 10, Look.DIM), (shown[start:end], look)) for start, end in rest]
    return lines


def _gutter(here: bool) -> Piece:
    return ("> " if here else "  ", Look.BOLD)


def _subject(subject: str, end: str, width: int) -> str:
    return fmt.cut(clean(subject), max(0, width - len(end) - 10))


# -- Approvals -------------------------------------------------------------------------------------------


def approvals_head(rows: Sequence[Approval]) -> tuple[Piece, ...]:
    """How many wait for this person, and how many for another."""
    yours = sum(row.yours for row in rows)
    text = f"  {len(rows) - yours} wait for you"
    text += f", {yours} {'is' if yours == 1 else 'are'} yours (another must approve)" if yours else ""
    return (("Approvals", Look.BOLD), (text, Look.PLAIN))


def approval_line(row: Approval, *, here: bool, width: int, now: datetime) -> Line:
    """One request."""
    end = f" by {fmt.pad(clean(row.author), 10)} waits {fmt.pad_left(fmt.age(row.asked_at, now), 4)}"
    end += f"  {row.approvals_have} of {row.approvals_needed}"
    look = Look.DIM if row.yours else Look.PLAIN
    return justified(
        [_gutter(here), (fmt.pad(row.label, 7), look), (_subject(row.subject, end, width), look)],
        [(end, look)],
        width,
    )


def approval_sheet(row: Approval, width: int, now: datetime, zone: tzinfo) -> tuple[Line, ...]:
    """All that a yes binds."""
    digest = " ".join(row.content_hash[at : at + 4] for at in range(0, len(row.content_hash), 4))
    whom = f"{fmt.number(row.count or 0)} recipients; {fmt.number(row.suppressed)} suppressed"
    if row.count is None:
        whom = row.fault or "the daemon has not counted it yet"
    lines: list[Line] = [
        (
            (f"YOU SIGN {row.label}", Look.BOLD),
            (f"  revision {row.revision} of G-{row.draft_id}, nothing else", Look.PLAIN),
        ),
    ]
    lines += _field("to", f"{row.segment} (segment v{row.segment_version})  {whom}", width, Look.BOLD)
    lines += _field("subject", row.subject, width, Look.BOLD)
    earliest = f"{_span(row.grace)} after the yes, {fmt.clock(now + row.grace, zone, now)} at the earliest"
    lines += _field("sends", earliest + (f"; from {row.sender}" if row.sender else ""), width)
    lines += _field("written", f"by {row.author}" + _others(row.editors, row.author), width)
    if row.expires_at:
        lines += _field("expires", fmt.clock(row.expires_at, zone, now), width)
    if row.based_on:
        lines += _field("based on", "; ".join(row.based_on), width)
    lines += _field("sha256", digest, width, Look.DIM)
    lines += [(("-" * width, Look.DIM),), *paragraphs(row.body, width)]
    lines.append((("-- end of what is mailed " + "-" * max(0, width - 25), Look.DIM),))
    return tuple(lines)


def _others(editors: Sequence[str], author: str) -> str:
    rest = [editor for editor in editors if editor != author]
    return f", edited by {', '.join(rest)}" if rest else ""


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds % 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:g} h"


# -- Drafts ----------------------------------------------------------------------------------------------


def drafts_head(rows: Sequence[Draft]) -> tuple[Piece, ...]:
    """How many there are."""
    return (("Drafts", Look.BOLD), (f"  {len(rows)} not published", Look.PLAIN))


def draft_line(row: Draft, *, here: bool, width: int, now: datetime) -> Line:
    """One draft."""
    end = f" {fmt.pad(clean(row.state), 10)} by {fmt.pad(clean(row.author), 10)}"
    end += fmt.pad_left(fmt.age(row.updated_at, now), 4)
    return justified(
        [
            _gutter(here),
            (fmt.pad(row.label, 7), Look.PLAIN),
            (_subject(row.subject, end, width), Look.PLAIN),
        ],
        [(end, Look.DIM)],
        width,
    )


def draft_sheet(row: Draft, width: int, now: datetime, zone: tzinfo) -> tuple[Line, ...]:
    """The draft as it stands."""
    lines: list[Line] = [
        (
            (f"{row.label}", Look.BOLD),
            (f"  revision {row.revision}, {fmt.clock(row.updated_at, zone, now)}", Look.DIM),
        )
    ]
    if row.returned_because:
        lines += _field("returned", row.returned_because, width, Look.WARN)
    lines += _field("to", row.segment, width)
    lines += _field("subject", row.subject, width, Look.BOLD)
    if row.based_on:
        lines += _field("based on", "; ".join(row.based_on), width)
    lines += [(("-" * width, Look.DIM),), *paragraphs(row.body, width)]
    return tuple(lines)


# -- Publications ----------------------------------------------------------------------------------------


def publications_head(rows: Sequence[Publication]) -> tuple[Piece, ...]:
    """How many are in grace, on their way, or stand still."""
    in_grace = sum(row.state == "grace" for row in rows)
    sending = sum(row.state == "releasing" for row in rows)
    held = sum(row.state in ("paused", "stopped", "lapsed") for row in rows)
    text = f"  {in_grace} in grace, {sending} sending, "
    return (
        ("Publications", Look.BOLD),
        (text, Look.PLAIN),
        (f"{held} held", Look.ALARM if held else Look.PLAIN),
    )


def last_minute(row: Publication, now: datetime) -> bool:
    """Whether its countdown runs by the second now."""
    if row.state != "grace" or row.releases_at is None:
        return False
    return timedelta(0) < row.releases_at - now < timedelta(minutes=1)


def publication_line(row: Publication, *, here: bool, width: int, now: datetime, zone: tzinfo) -> Line:
    """One publication: state, and what is most worth knowing in that state."""
    word, look = _STATES.get(row.state, (clean(row.state).upper(), Look.PLAIN))
    return justified(
        [
            _gutter(here),
            (fmt.pad(row.label, 6), Look.PLAIN),
            (fmt.pad(word, 10), look),
            (fmt.pad(_news(row, now, zone), 40), Look.PLAIN),
        ],
        [(" " + fmt.cut(clean(row.subject), max(0, width - 60)), Look.DIM)],
        width,
    )


def _news(row: Publication, now: datetime, zone: tzinfo) -> str:
    if row.state == "grace" and row.releases_at is not None:
        left = fmt.countdown(row.releases_at, now)
        when = (
            "releases now" if left == "due" else f"sends in {left} ({fmt.clock(row.releases_at, zone, now)})"
        )
        return f"{when}  {fmt.number(row.count)} to mail"
    trouble = "".join(
        f"  {word} {fmt.number(count)}"
        for word, count in (("failed", row.failed), ("uncertain", row.uncertain))
        if count
    )
    if row.state in ("releasing", "paused", "stopped", "sent"):
        return f"{fmt.number(row.sent)}/{fmt.number(row.count)} sent{trouble}"
    return f"nobody was mailed  {fmt.clock(row.ended_at, zone, now)}"


def publication_sheet(row: Publication, width: int, now: datetime, zone: tzinfo) -> tuple[Line, ...]:
    """The ledger's sums."""
    lines: list[Line] = [((row.label, Look.BOLD), (f"  from G-{row.draft_id}", Look.PLAIN))]
    lines += _field("subject", row.subject, width, Look.BOLD)
    lines += _field("to", f"{row.segment}  {fmt.number(row.count)} recipients", width)
    if row.approved_by:
        lines += _field("approved", f"by {row.approved_by}", width)
    if row.releases_at is not None:
        lines += _field("release", fmt.clock(row.releases_at, zone, now), width)
    sums = f"waiting {row.waiting:,}  sent {row.sent:,}  failed {row.failed:,}  uncertain {row.uncertain:,}"
    lines += _field("ledger", sums, width)
    if row.because:
        lines += _field("because", row.because, width, Look.WARN)
    if row.state == "grace":
        lines.append(line("x takes it back, then y: nobody is mailed", Look.WARN))
    return tuple(lines)
