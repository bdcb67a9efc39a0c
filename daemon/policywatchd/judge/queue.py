"""Snapshots and changes of a visit into the database, and with them the change's place in the queue.

Runs in the transaction that proved the fence: snapshot, change, analysis, queue, audit row and hint are there
together or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from policywatch.db import contents, judging, workers
from policywatch.db.collecting import Base, Claim
from policywatch.db.judging import NewSnapshot, Snapshot
from policywatch.db.pool import Tx
from policywatch.domain.changes import NoiseKind, Severity
from policywatchd.judge.steps import COMPARER, Step
from policywatchd.judge.texts import origin

__all__ = ["Queue"]

log = logging.getLogger("policywatch.judge")


class Queue:
    """Writes what `Judge` decided.

    `second_look`: how long a change waits to be seen again before people see it (None: not at all).
    `alert_from`: the severity from which reviewers are alerted.
    """

    def __init__(self, second_look: timedelta | None, alert_from: Severity) -> None:
        self._second_look, self._alert_from = second_look, alert_from

    async def add(
        self, tx: Tx, claim: Claim, base: Base | None, steps: Sequence[Step], captures: Sequence[int]
    ) -> list[int]:
        """Store the steps, oldest first; returns the numbers of changes that people are to see."""
        queued: list[int] = []
        before = None if base is None else Snapshot(base.id, base.fetched_at, base.text_sha256)
        for step in steps:
            sha256 = await contents.store(
                tx, step.text.encode(), base=None if before is None else before.text_sha256
            )
            after = await judging.add_snapshot(
                tx,
                NewSnapshot(
                    document_id=claim.document_id,
                    previous_id=None if before is None else before.id,
                    source="platform",
                    kind=step.kind,
                    text_sha256=sha256,
                    reader_hash=step.reader_hash,
                    link_hash=step.link_hash,
                    captures=captures if step.captures is None else step.captures,
                    origin=origin(step.parts),
                ),
            )
            assert after is not None  # only a known source_ref gives none
            if step.judged is not None and before is not None:
                change = await self._add_change(tx, claim, before, after, step)
                queued += [change] if step.judged.comparison.noise_kind is NoiseKind.NONE else []
            before = after
        if steps and before is not None:
            await judging.index_text(tx, claim.document_id, before.id, steps[-1].text)
        return queued

    async def look_again(self, tx: Tx, claim: Claim, *, same: bool) -> None:
        """A later visit confirms (same text) or doubts the changes that wait for their second look."""
        settle = judging.confirm_changes if same else judging.doubt_changes
        for row in await settle(tx, claim.document_id):
            action = "change.confirmed" if same else "change.unconfirmed"
            await workers.audit(tx, action, "change", str(row["change_id"]))
            await workers.hint(tx, "change", row["change_id"], row["version"])

    async def _add_change(self, tx: Tx, claim: Claim, before: Snapshot, after: Snapshot, step: Step) -> int:
        assert step.judged is not None
        comparison, analysis = step.judged.comparison, step.judged.analysis
        if comparison.noise_kind is not NoiseKind.NONE:
            status = "noise"
        else:
            status = "queued" if self._second_look is None else "second_look"
        change = await judging.add_change(
            tx,
            claim.document_id,
            before,
            after,
            comparison,
            analysis,
            status=status,
            engine=COMPARER,
            second_look=self._second_look,
        )
        await workers.audit(
            tx,
            "change.detected",
            "change",
            str(change),
            after={
                "document": claim.name,
                "status": status,
                "noise_kind": comparison.noise_kind.value,
                "change_type": analysis.change_type.value,
                "severity": analysis.severity.value,
                "engine": analysis.engine,
            },
        )
        await workers.hint(tx, "change", change, 1)
        if status != "noise" and analysis.severity.rank >= self._alert_from.rank:
            sentence = f"C-{change} in {claim.name} is {analysis.severity.value}: {analysis.summary}"
            await workers.open_alert(
                tx, "change", f"C-{change}", sentence[:1000], level="notice", audience="reviewers"
            )
        log.info("change_detected document=%s change=%d status=%s", claim.name, change, status)
        return change
