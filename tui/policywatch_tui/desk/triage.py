"""Triage: the queue's rows, the acts on their way, the marks, and what undo will do. No I/O, no clock.

A local act is painted at once and confirmed or refused later; other people's acts come in between in any
order. Whatever the order, the rows end in the server's state: a row is only ever replaced by one of the same
or a later version, and an act that nobody answers is shown as unknown, never as done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from policywatch.domain.changes import Severity
from policywatch_tui.desk.listing import Listing
from policywatch_tui.desk.rows import QueueRow

__all__ = ["Act", "Pending", "Step", "StepPart", "Triage", "foretold"]

_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Act:
    """What a person wants of a change. `kind`: decide, undo, severity, snooze, take, release."""

    kind: str
    verdict: str = ""
    severity: Severity | None = None
    until: datetime | None = None
    note: str = ""

    @property
    def words(self) -> str:
        """For messages: `accepted`, `severity high`, `undo`."""
        if self.kind == "decide":
            return self.verdict
        if self.kind == "severity":
            return f"severity {self.severity.value}" if self.severity else "severity of the machine"
        if self.kind == "snooze":
            return "snoozed" if self.until else "awake"
        return self.kind


@dataclass(frozen=True, slots=True)
class Pending:
    """An act on its way to the server, with the row as it was seen."""

    act_id: UUID
    change_id: int
    act: Act
    version: int
    before: QueueRow
    undoes: StepPart | None = None


@dataclass(frozen=True, slots=True)
class StepPart:
    """An act that was stored on one change: from version `base` to `after`, and the row before it."""

    change_id: int
    act: Act
    base: int
    after: int
    before: QueueRow


@dataclass(frozen=True, slots=True)
class Step:
    """What one key did, on one row or on all marked ones; undone as one."""

    parts: tuple[StepPart, ...]


def foretold(row: QueueRow, act: Act, *, version: int, by: str, at: datetime) -> QueueRow:
    """The row as the server will have it after the act, until the server's own word comes."""
    if act.kind == "decide":
        return replace(row, version=version, verdict=act.verdict, decided_by=by, decided_at=at, taken_by="")
    if act.kind == "undo":
        return replace(row, version=version, verdict="", decided_by="", decided_at=None)
    if act.kind == "severity":
        return replace(row, version=version, severity=act.severity or row.machine_severity)
    if act.kind == "snooze":
        return replace(row, version=version, snoozed_until=act.until)
    return replace(row, version=version, taken_by=by if act.kind == "take" else "")


class Triage:
    """The state of the Queue; screens ask it and draw, the clerk carries its acts out."""

    def __init__(self, person: str = "") -> None:
        self.person = person
        self.list: Listing[QueueRow] = Listing()
        self.pending: dict[int, Pending] = {}
        self.unknown: set[int] = set()
        self.refusals: dict[int, str] = {}
        self.mine: set[int] = set()
        self.marks: set[int] = set()
        self.done: list[Step] = []
        self.undone: list[Step] = []

    # -- acts on their way -------------------------------------------------------------------------------

    def why_not(self, change_id: int, act: Act) -> str:
        """Why an act cannot even be sent; empty where it can. The server has the last word."""
        row = self.list.rows.get(change_id)
        if row is None:
            return "this change is not in the queue"
        if change_id in self.pending:
            return f"{row.label}: an act is still on its way"
        if act.kind in ("decide", "snooze", "take") and row.verdict:
            if row.decided_by == self.person:
                return f"{row.label} is {row.verdict} by you already; u takes it back"
            return f"{row.decided_by} decided {row.label} first: {row.verdict}"
        return ""

    def begin(self, change_id: int, act: Act, act_id: UUID, undoes: StepPart | None = None) -> Pending | None:
        """Paint an act as sending; None where the row is unknown or an act on it is still on its way."""
        row = self.list.rows.get(change_id)
        if row is None or change_id in self.pending:
            return None
        version = undoes.after if undoes else row.version
        pending = Pending(act_id, change_id, act, version, row, undoes)
        self.pending[change_id] = pending
        self.refusals.pop(change_id, None)
        self.unknown.discard(change_id)
        return pending

    def confirmed(self, pending: Pending, version: int, at: datetime) -> StepPart:
        """The server stored it: what undo will need. A row that moved on meanwhile keeps its newer state."""
        self._settle(pending)
        row = self.list.rows.get(pending.change_id)
        same_version = pending.act.kind in ("take", "release")
        if row is not None and (row.version < version or (same_version and row.version == version)):
            now = foretold(row, pending.act, version=version, by=self.person, at=at)
            self.list.rows[row.id] = now
        if pending.act.kind == "decide":
            self.mine.add(pending.change_id)
        elif pending.act.kind == "undo":
            self.mine.discard(pending.change_id)
        return StepPart(pending.change_id, pending.act, pending.version, version, pending.before)

    def refused(self, pending: Pending, sentence: str, row: QueueRow | None = None) -> None:
        """The server said no; `row` is what it has instead."""
        self._settle(pending)
        self.refusals[pending.change_id] = sentence
        if row is not None:
            self.list.remote(row)

    def unanswered(self, pending: Pending) -> None:
        """Nobody knows whether it was stored; a later read tells."""
        self._settle(pending)
        self.unknown.add(pending.change_id)

    def _settle(self, pending: Pending) -> None:
        if self.pending.get(pending.change_id) == pending:
            del self.pending[pending.change_id]

    # -- what comes from the server ----------------------------------------------------------------------

    def fill(self, rows: Sequence[QueueRow]) -> None:
        """Everything read again: marks and refusals of rows that are gone go too."""
        self.list.fill(rows)
        self.marks &= self.list.rows.keys()
        self.refusals.clear()
        self.unknown.clear()

    def remote(self, row: QueueRow) -> bool:
        """A row as the server has it; True where something shown changed."""
        self.unknown.discard(row.id)
        return self.list.remote(row)

    # -- undo and redo -----------------------------------------------------------------------------------

    def remember(self, parts: Sequence[StepPart]) -> None:
        """A key's stored acts become one step of undo; what was undone before can no longer be redone."""
        if parts:
            self.done.append(Step(tuple(parts)))
            del self.done[:-_DEPTH]
            self.undone.clear()

    def undone_by(self, part: StepPart, version: int) -> None:
        """An act was undone at `version`: the step before it on the same change rests on that now."""
        self._rebase(self.done, part.change_id, part.base, version)

    def redone(self, step: Step) -> None:
        """A step was done again."""
        self.done.append(step)

    def _rebase(self, steps: list[Step], change_id: int, old: int, new: int) -> None:
        for place in range(len(steps) - 1, -1, -1):
            parts = steps[place].parts
            for part in parts:
                if part.change_id == change_id:
                    if part.after == old:
                        moved = tuple(replace(p, after=new) if p is part else p for p in parts)
                        steps[place] = Step(moved)
                    return

    @staticmethod
    def inverse(part: StepPart) -> Act:
        """The act that takes a stored one back."""
        before = part.before
        if part.act.kind == "decide":
            return Act("undo")
        if part.act.kind == "severity":
            machine = before.severity == before.machine_severity
            return Act("severity", severity=None if machine else before.severity, note="undo")
        if part.act.kind == "snooze":
            return Act("snooze", until=before.snoozed_until)
        return Act("release" if part.act.kind == "take" else "take")

    # -- marks -------------------------------------------------------------------------------------------

    def toggle_mark(self) -> None:
        """Mark the row under the cursor, or take its mark away."""
        here = self.list.here
        if here is not None:
            self.marks ^= {here.id}

    def chosen(self) -> tuple[int, ...]:
        """The marked rows in their order, or the one under the cursor."""
        if self.marks:
            return tuple(row_id for row_id in self.list.ids if row_id in self.marks)
        here = self.list.here
        return (here.id,) if here is not None else ()

    def next_undecided(self, now: datetime) -> int | None:
        """The place of the next row below the cursor, then from the top, that nobody decided."""
        ids, cursor = self.list.ids, self.list.window.cursor
        places: list[int] = [*range(cursor + 1, len(ids)), *range(min(cursor + 1, len(ids)))]
        for place in places:
            row = self.list.rows[ids[place]]
            if not row.verdict and not row.asleep(now):
                return place
        return None

    def sign(self, row: QueueRow, now: datetime) -> str:
        """The one character that says how a row stands."""
        if row.id in self.pending:
            return "~"
        if row.id in self.unknown:
            return "?"
        if row.id in self.refusals:
            return "!"
        if row.verdict:
            return "+" if row.id in self.mine or row.decided_by == self.person else "o"
        if row.asleep(now):
            return "z"
        if row.taken_by:
            return "t"
        return " "
