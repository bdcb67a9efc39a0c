"""Snapshots and changes of a visit into the database, and with them the change's place in the queue.

Runs in the transaction that proved the fence: snapshot, change, analysis, queue, audit row and hint are there
together or not at all. What a look means was decided before (`steps`, `looks`); here it is carried out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from policywatch.db import contents, judging, looks, workers
from policywatch.db.collecting import Base, Claim
from policywatch.db.judging import NewSnapshot, Snapshot
from policywatch.db.pool import Tx
from policywatch.domain.changes import Analysis, NoiseKind, Severity
from policywatchd.judge.looks import MOST_LOOKS, Plan
from policywatchd.judge.steps import COMPARER, Step
from policywatchd.judge.texts import Composed, origin

__all__ = ["Queue"]

log = logging.getLogger("policywatch.judge")

_URGENT_WITHIN = timedelta(days=7)  # an effective date or a deadline so near is not kept from people
_ALTERNATES = 3  # changes between the same two texts within a week: one item


@dataclass(frozen=True, slots=True)
class _Believed:
    """The step before: its snapshot, what a reader reads there, whether it stood in the document's belief."""

    snapshot: Snapshot
    reader_hash: bytes


class Queue:
    """Writes what `Judge` and `looks.decide` decided.

    `second_look`: how long a change waits to be seen again before people see it (None: not at all).
    `alert_from`: the severity from which reviewers are alerted. `today`: for what a text says of dates.
    """

    def __init__(
        self,
        second_look: timedelta | None,
        alert_from: Severity,
        today: Callable[[], date],
    ) -> None:
        self._second_look, self._alert_from, self._today = second_look, alert_from, today

    async def add(
        self,
        tx: Tx,
        claim: Claim,
        plan: Plan,
        steps: Sequence[Step],
        composed: Composed,
        captures: Sequence[int],
    ) -> list[int]:
        """Store the steps, oldest first; returns the numbers of changes that are no noise."""
        found: list[int] = []
        base = plan.base
        before = None if base is None else _Believed(_snapshot_of(base), base.reader_hash)
        if any(step.kind == "technical" for step in steps):
            await looks.forget_variants(tx, claim.document_id)  # they were read by other rules
        believed: tuple[int, str] | None = None
        for step in steps:
            look = await self._look(tx, claim, plan, before, step)
            after = await self._add_snapshot(tx, claim, before, step, composed, captures, look)
            if step.untold:
                await self._say_untold(tx, claim, step.untold)
            if step.judged is not None and before is not None:
                change = await self._add_change(tx, claim, before.snapshot, after, step, look)
                found += [] if look.noise is not NoiseKind.NONE else [change]
            before = _Believed(after, step.reader_hash)
            believed = believed if look.waits else (after.id, step.text)
        if believed is not None:
            await judging.index_text(tx, claim.document_id, *believed)
        return found

    async def _look(self, tx: Tx, claim: Claim, plan: Plan, before: _Believed | None, step: Step) -> _Look:
        """What becomes of a step: noise, a change that waits, or one that people see at once."""
        if step.judged is None or before is None:
            return _Look("queued", NoiseKind.NONE)
        noise = step.judged.comparison.noise_kind
        if noise is not NoiseKind.NONE:
            return _Look("noise", noise)
        earlier = await looks.alternations_of(tx, claim.document_id, before.reader_hash, step.reader_hash)
        recent = [row for row in earlier if row["recent"]]
        reverts = next((row["change_id"] for row in reversed(earlier) if not row["same_way"]), None)
        if len(recent) + 1 >= _ALTERNATES:
            return _Look("noise", NoiseKind.DUPLICATE, first=recent[0]["change_id"], reverts=reverts)
        first = recent[0]["change_id"] if recent else None
        if self._second_look is None or not plan.waits:
            return _Look("queued", noise, first=first, reverts=reverts, looks=plan.looks)
        known = plan.looks >= MOST_LOOKS or self._is_urgent(step.judged.analysis)
        status = "unconfirmed" if known else "second_look"
        return _Look(status, noise, True, None, reverts, plan.looks)

    async def _say_untold(self, tx: Tx, claim: Claim, pages: Sequence[str]) -> None:
        """What could not be compared may hide a change: a person has to read it."""
        where = pages[0] if len(pages) == 1 else f"{pages[0]} and {len(pages) - 1} more pages"
        sentence = (
            f"{claim.name}: {where} reads otherwise, and cannot be compared with what was read there by another"
            f" address, rule or step. Read both versions: policywatch documents history {claim.name}"
        )
        after = {"pages": list(pages)}
        await workers.audit(tx, "document.not_compared", "document", claim.name, after=after)
        await workers.open_alert(tx, "not_compared", claim.name, sentence[:1000], audience="reviewers")

    def _is_urgent(self, analysis: Analysis) -> bool:
        """Whether people should see it before it is confirmed."""
        today = self._today()
        dates = [day for day in (analysis.effective_date, analysis.objection_deadline) if day is not None]
        near = any(today <= day <= today + _URGENT_WITHIN for day in dates)
        return near or analysis.severity is Severity.CRITICAL

    async def _add_snapshot(
        self,
        tx: Tx,
        claim: Claim,
        before: _Believed | None,
        step: Step,
        composed: Composed,
        captures: Sequence[int],
        look: _Look,
    ) -> Snapshot:
        previous = None if before is None else before.snapshot
        sha256 = await contents.store(
            tx, step.text.encode(), base=None if previous is None else previous.text_sha256
        )
        after = await judging.add_snapshot(
            tx,
            NewSnapshot(
                document_id=claim.document_id,
                previous_id=None if previous is None else previous.id,
                source="platform",
                kind=step.kind,
                text_sha256=sha256,
                reader_hash=step.reader_hash,
                link_hash=step.link_hash,
                captures=captures if step.captures is None else step.captures,
                origin=origin(step.parts, judged=len(composed.fresh), total=composed.total),
                partial=composed.partial,
                believed=not look.waits,
            ),
        )
        assert after is not None  # only a known source_ref gives none
        return after

    async def _add_change(
        self, tx: Tx, claim: Claim, before: Snapshot, after: Snapshot, step: Step, look: _Look
    ) -> int:
        assert step.judged is not None
        comparison, analysis = replace(step.judged.comparison, noise_kind=look.noise), step.judged.analysis
        duplicate = look.noise is NoiseKind.DUPLICATE
        change = await judging.add_change(
            tx,
            claim.document_id,
            before,
            after,
            comparison,
            analysis,
            status=look.status,
            engine=COMPARER,
            second_look=self._second_look if look.waits else None,
            looks=look.looks,
            reverts=look.reverts,
            same_as=look.first if duplicate else None,
        )
        await workers.audit(
            tx,
            "change.detected",
            "change",
            str(change),
            after={
                "document": claim.name,
                "status": look.status,
                "noise_kind": look.noise.value,
                "change_type": analysis.change_type.value,
                "severity": analysis.severity.value,
                "engine": analysis.engine,
                **({"reverts": look.reverts} if look.reverts else {}),
                **({"same_as": look.first} if duplicate else {}),
            },
        )
        await workers.hint(tx, "change", change, 1)
        if look.first is not None:
            await self.count_alternation(tx, look.first)
        if look.status in ("queued", "unconfirmed"):
            await self.alert(tx, claim, change, analysis.severity, analysis.summary)
        log.info("change_detected document=%s change=%d status=%s", claim.name, change, look.status)
        return change

    async def count_alternation(self, tx: Tx, first: int) -> None:
        """The two texts of a change came by turns once more."""
        version = await looks.count_alternation(tx, first)
        if version is not None:
            await workers.hint(tx, "change", first, version)

    async def alert(self, tx: Tx, claim: Claim, change: int, severity: Severity, summary: str) -> None:
        """Tell reviewers of a severe change, once people can see it."""
        if severity.rank >= self._alert_from.rank:
            sentence = f"C-{change} in {claim.name} is {severity.value}: {summary}"
            await workers.open_alert(
                tx, "change", f"C-{change}", sentence[:1000], level="notice", audience="reviewers"
            )


@dataclass(frozen=True, slots=True)
class _Look:
    """Where a step's change goes. `waits`: the belief stays. `first`: the change whose two texts alternate."""

    status: str
    noise: NoiseKind
    waits: bool = False
    first: int | None = None
    reverts: int | None = None
    looks: int = 1


def _snapshot_of(base: Base) -> Snapshot:
    return Snapshot(base.id, base.fetched_at, base.text_sha256)
