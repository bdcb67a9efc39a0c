"""The three lines above a change's passages, and the one below them."""

from __future__ import annotations

from datetime import datetime, tzinfo

from policywatch_tui.desk import fmt
from policywatch_tui.desk.clean import clean
from policywatch_tui.desk.diffview import DiffView, wrapped
from policywatch_tui.desk.line import Line, Look, Piece, justified, line
from policywatch_tui.desk.rows import Change
from policywatch_tui.desk.triage import Triage

__all__ = ["body", "facts", "head", "status"]


def head(change: Change, place: int, count: int, now: datetime) -> tuple[Piece, ...]:
    """Where one is and how bad it is, by the machine and by whoever overrode it."""
    row = change.row
    where = f"  {clean(row.platform)} {clean(row.document)}  "
    machine, age = "", fmt.age(row.detected_at, now)
    if row.severity != row.machine_severity:
        machine = f" (machine: {fmt.severity_word(row.machine_severity)})"
    return (
        (f"Change {place}/{count}" if count else "Change", Look.BOLD),
        (where, Look.PLAIN),
        (fmt.severity_word(row.severity), Look.ALARM),
        (f"{machine}  {age if age == 'now' else f'{age} ago'}", Look.PLAIN),
    )


def facts(change: Change, triage: Triage, now: datetime, zone: tzinfo, width: int) -> tuple[Line, Line]:
    """When the texts were read, how much moved, what the machine takes it for; how it is decided."""
    row = change.row
    left = f"{row.label}  {fmt.clock(change.before_at, zone, now)} -> {fmt.clock(change.after_at, zone, now)}"
    count = len(change.passages)
    left += f"   {count} passage{'s' if count != 1 else ''}  +{row.words_added} -{row.words_removed} words"
    taken = (
        f"taken by {'you' if row.taken_by == triage.person else clean(row.taken_by)}" if row.taken_by else ""
    )
    first = justified([(left, Look.PLAIN)], [(taken, Look.WARN)], width)
    kind = clean(change.change_type).replace("_", " ")
    second = f"{kind}, confidence {change.confidence:.2f}" if kind else "not analysed"
    if change.effective_date:
        second += f", in force {change.effective_date.isoformat()}"
    if change.objection_deadline:
        second += f", object until {change.objection_deadline.isoformat()}"
    return first, justified([(second, Look.DIM)], [_decision(change, triage, now, zone)], width)


def _decision(change: Change, triage: Triage, now: datetime, zone: tzinfo) -> Piece:
    row = triage.list.rows.get(change.row.id, change.row)
    if (pending := triage.pending.get(row.id)) is not None:
        return f"{pending.act.words} - sending", Look.WARN
    if row.id in triage.unknown:
        return "unknown whether stored", Look.WARN
    if row.verdict:
        who = "you" if row.decided_by == triage.person else clean(row.decided_by)
        return f"{clean(row.verdict)} by {who} {fmt.clock(row.decided_at, zone, now)}", Look.GOOD
    if row.asleep(now):
        return f"snoozed to {fmt.clock(row.snoozed_until, zone, now)}", Look.DIM
    return "undecided", Look.BOLD


def body(change: Change, view: DiffView, width: int) -> tuple[Line, ...]:
    """Summary, notes, then the passages."""
    return (*preamble(change, width), *view.rows)


def preamble(change: Change, width: int) -> tuple[Line, ...]:
    """The machine's summary and people's notes, wrapped, ended by an empty line."""
    lines: list[Line] = []
    for text in (change.row.summary, *(f"note {note}" for note in change.notes)):
        shown = clean(text)
        lines += [line(shown[start:end]) for start, end in wrapped(shown, width)] if shown else []
    for mark in change.marks:
        lines += [line(mark[start:end], Look.WARN) for start, end in wrapped(mark, width)]
    if change.topics:
        lines.append(line("topics: " + ", ".join(clean(topic) for topic in change.topics), Look.DIM))
    lines.append(())
    return tuple(lines)


def status(view: DiffView, row: int, offset: int, total: int) -> Line:
    """Which passage, which line."""
    passage = view.passage_at(row - offset) + 1
    count = len(view.starts)
    left = f"passage {passage:>{len(str(count))}}/{count}  line {row + 1 if total else 0:>{len(str(total))}}/{total}"
    return ((left, Look.DIM), ("   words that differ are marked", Look.DIM))
