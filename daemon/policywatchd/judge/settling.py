"""What a look said of what earlier looks left open, carried out: confirmed, undone, doubted, remembered.

Runs in the transaction that proved the fence, before anything new is stored. Each answer has its audit row and its
hint. The rules are those of `looks`.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from policywatch.db import judging, looks, workers
from policywatch.db.collecting import Claim
from policywatch.db.looks import Candidate
from policywatch.db.pool import Tx
from policywatch.domain.changes import Severity
from policywatchd.judge.looks import Answer, Plan, Standing
from policywatchd.judge.queue import Queue

__all__ = ["FasterPerson", "Settling"]

log = logging.getLogger("policywatch.judge")

_STATUS = {Answer.CONFIRMED: "queued", Answer.UNDONE: "undone", Answer.SUPERSEDED: "undone"}
_ACTIONS = {
    Answer.CONFIRMED: "change.confirmed",
    Answer.TAKEN: "change.believed",
    Answer.DROPPED: "change.dropped",
    Answer.UNDONE: "change.undone",
    Answer.SUPERSEDED: "change.superseded",
    Answer.DOUBTED: "change.unconfirmed",
}


class FasterPerson(Exception):
    """A person decided about the candidate between our reading and our writing: the visit is to be repeated."""


class Settling:
    """Settles candidates and counts variants. `second_look`: how long until another look."""

    def __init__(self, queue: Queue, second_look: timedelta | None) -> None:
        self._queue, self._wait = queue, second_look or timedelta(0)

    async def settle(self, tx: Tx, claim: Claim, standing: Standing, plan: Plan, text: str | None) -> None:
        """Carry out a plan's answer. `text` is what was read, where it confirmed the candidate.

        Raises FasterPerson, and nothing of the visit may be stored.
        """
        candidate = standing.candidate
        if candidate is not None and plan.answer is not None and not plan.early:
            await self._answer(tx, claim, candidate, plan, text)
        if plan.settled is not None:
            await looks.forget_variants(tx, claim.document_id, plan.settled)
        if standing.variants or plan.variant is not None:
            await looks.count_variants(tx, claim.document_id, plan.variant)

    async def _answer(self, tx: Tx, claim: Claim, candidate: Candidate, plan: Plan, text: str | None) -> None:
        answer, after = plan.answer, candidate.after
        assert answer is not None
        if answer in (Answer.OPEN, Answer.DOUBTED):
            status = "unconfirmed" if answer is Answer.DOUBTED else candidate.status
            counts = answer is Answer.DOUBTED or plan.variant is not None
            version = await looks.look_later(
                tx, candidate.change_id, candidate.status, status, self._wait, counts=counts
            )
        else:
            status = _STATUS.get(answer, candidate.status)
            version = await looks.settle_change(tx, candidate.change_id, candidate.status, status)
        if version is None:
            raise FasterPerson
        if answer in (Answer.CONFIRMED, Answer.TAKEN):
            await judging.believe(tx, claim.document_id, after.id, changed=True)
            if text is not None:
                await judging.index_text(tx, claim.document_id, after.id, text)
        if plan.remember:
            await looks.remember_variant(tx, claim.document_id, after.reader_hash, after.text_sha256)
        if answer is Answer.CONFIRMED and candidate.reverts is not None:
            await self._queue.count_alternation(tx, candidate.reverts)
        if answer is Answer.OPEN:
            return
        await workers.audit(
            tx,
            _ACTIONS[answer],
            "change",
            str(candidate.change_id),
            before={"status": candidate.status},
            after={"document": claim.name, "status": status, "variant": plan.remember},
        )
        await workers.hint(tx, "change", candidate.change_id, version)
        if candidate.status == "second_look" and status in ("queued", "unconfirmed"):
            severity = Severity(candidate.severity)
            await self._queue.alert(tx, claim, candidate.change_id, severity, candidate.summary)
        elif status == "undone":
            await workers.close_alert(tx, "change", f"C-{candidate.change_id}")
        log.info("change_%s document=%s change=%d", answer.value, claim.name, candidate.change_id)
