"""Carries a person's acts to the source and their answers back to triage; no Textual, no SQL.

One act is one call. Where the server does not answer, the act is tried again with the same id for a while, so
that a lost answer does nothing twice; after that it is shown as unknown, never as done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from policywatch.errors import PolicyWatchError, ServiceAway
from policywatch_tui.desk.rows import Done
from policywatch_tui.desk.source import DeskSource
from policywatch_tui.desk.triage import Act, Pending, Step, StepPart, Triage

__all__ = ["Clerk", "Report"]

log = logging.getLogger("policywatch.desk")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a key's acts: how many were stored, and the first sentence that says no."""

    stored: int
    asked: int
    sentence: str = ""

    @property
    def all_stored(self) -> bool:
        """Whether nothing was refused."""
        return self.stored == self.asked


class Clerk:
    """Acts one after the other, through one source, as one person."""

    def __init__(
        self,
        source: DeskSource,
        triage: Triage,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
        painted: Callable[[int], None],
        retry_for: float = 60.0,
        retry_every: float = 2.0,
    ) -> None:
        self.source, self.triage = source, triage
        self.new_id, self.now, self.painted = new_id, now, painted
        self.retry_for, self.retry_every = retry_for, retry_every

    async def act(self, change_ids: Sequence[int], act: Act) -> Report:
        """The same act on these changes; one step of undo."""
        parts, report = await self._all([(change_id, act, None) for change_id in change_ids])
        self.triage.remember([part for part in parts if part.act.kind not in ("take", "release")])
        return report

    async def undo(self) -> Report:
        """Take back the last step; what somebody else acted on since stays, and the sentence says who."""
        if not self.triage.done:
            return Report(0, 0, "nothing to undo")
        step = self.triage.done.pop()
        wanted = [(part.change_id, self.triage.inverse(part), part) for part in reversed(step.parts)]
        parts, report = await self._all(wanted)
        undone: list[StepPart] = []
        for back in parts:
            part = next(part for part in step.parts if part.change_id == back.change_id)
            self.triage.undone_by(part, back.after)
            undone.append(StepPart(part.change_id, part.act, back.after, back.after, part.before))
        if undone:
            self.triage.undone.append(Step(tuple(undone)))
        return report

    async def redo(self) -> Report:
        """Do the last undone step again."""
        if not self.triage.undone:
            return Report(0, 0, "nothing to redo")
        step = self.triage.undone.pop()
        parts, report = await self._all([(part.change_id, part.act, part) for part in step.parts])
        if parts:
            self.triage.redone(Step(tuple(parts)))
        return report

    async def _all(self, wanted: Sequence[tuple[int, Act, StepPart | None]]) -> tuple[list[StepPart], Report]:
        pendings: list[Pending] = []
        parts: list[StepPart] = []
        sentence = ""
        for change_id, act, undoes in wanted:
            reason = self.triage.why_not(change_id, act)
            pending = None if reason else self.triage.begin(change_id, act, self.new_id(), undoes)
            sentence = sentence or reason
            if pending is not None:
                pendings.append(pending)
                self.painted(change_id)
        for pending in pendings:
            part, refusal = await self._one(pending)
            if part is not None:
                parts.append(part)
            sentence = sentence or refusal
            self.painted(pending.change_id)
        return parts, Report(len(parts), len(wanted), sentence)

    async def _one(self, pending: Pending) -> tuple[StepPart | None, str]:
        try:
            done = await self._with_patience(pending)
        except ServiceAway as away:
            self.triage.unanswered(pending)
            return None, f"{away.what} - unknown whether it was stored, R checks"
        except PolicyWatchError as refusal:
            await self._refused(pending, refusal)
            return None, refusal.what
        return self.triage.confirmed(pending, done.version, self.now()), ""

    async def _refused(self, pending: Pending, refusal: PolicyWatchError) -> None:
        """Show what the server has instead; where even that cannot be read, the sentence alone."""
        try:
            rows = await self.source.queue_rows([pending.change_id])
        except PolicyWatchError:
            rows = []
        log.info("act_refused change=%s act=%s code=%s", pending.change_id, pending.act.kind, refusal.code)
        self.triage.refused(pending, refusal.what, rows[0] if rows else None)
        if any(row.verdict for row in rows):  # the row itself says who decided, which is the reason
            self.triage.refusals.pop(pending.change_id, None)

    async def _with_patience(self, pending: Pending) -> Done:
        loop = asyncio.get_running_loop()
        patience = loop.time() + self.retry_for
        while True:
            try:
                return await self._send(pending)
            except ServiceAway:
                if loop.time() + self.retry_every > patience:
                    raise
                await asyncio.sleep(self.retry_every)

    async def _send(self, pending: Pending) -> Done:
        act, change_id, version = pending.act, pending.change_id, pending.version
        if act.kind == "decide":
            return await self.source.decide(change_id, version, act.verdict, act.note, pending.act_id)
        if act.kind == "undo":
            return await self.source.undo(change_id, version, pending.act_id)
        if act.kind == "severity":
            severity = act.severity or pending.before.machine_severity
            return await self.source.set_severity(change_id, version, severity, act.note, pending.act_id)
        if act.kind == "snooze":
            return await self.source.snooze(change_id, version, act.until, pending.act_id)
        if act.kind == "take":
            return await self.source.take(change_id, version, pending.act_id)
        return await self.source.release(change_id, version, pending.act_id)
