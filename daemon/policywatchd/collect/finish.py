"""The end of a visit: one transaction that proves the fence first and then stores everything, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from policywatch.db import collecting, contents, looks, unchanged, workers
from policywatch.db.collecting import Base, Capture, Claim
from policywatch.db.pool import Database, Tx
from policywatch.db.unchanged import Look, Quiet
from policywatch.reading.extract import ENGINE
from policywatchd.collect.seen import Seen, Trial
from policywatchd.collect.together import Together
from policywatchd.judge.looks import Plan, Standing
from policywatchd.judge.queue import Queue
from policywatchd.judge.settling import FasterPerson, Settling
from policywatchd.judge.steps import Step
from policywatchd.judge.texts import Composed

__all__ = ["ALERT_AFTER", "Ending", "Finisher", "LateResult"]

log = logging.getLogger("policywatch.collect")

ALERT_AFTER = 3  # visits in a row that could not read a document


class LateResult(Exception):
    """The fence is another's by now: nothing of this visit is stored."""


@dataclass(frozen=True, slots=True)
class Ending:
    """All that a visit found. `cause` None: every page was read.

    `composed` None: no page was, and nothing is said about the text. `plan` and `steps`: what follows from the text.
    """

    claim: Claim
    base: Base | None
    seen: Sequence[Seen]
    wait: timedelta
    health: str = "ok"
    cause: str | None = None
    composed: Composed | None = None
    standing: Standing = field(default=Standing())
    plan: Plan | None = None
    steps: Sequence[Step] = field(default=())

    @property
    def is_same(self) -> bool:
        """Whether the document was read, says what it said, and nothing was open."""
        return self.cause is None and not self.steps and not (self.base is not None and self.base.open)


class Finisher:
    """Stores endings under the name of this worker."""

    def __init__(self, db: Database, worker: str, queue: Queue, second_look: timedelta | None = None) -> None:
        self._db, self._worker, self._queue = db, worker, queue
        self._settling = Settling(queue, second_look)
        self._quiet = Together(self._finish_quiet)

    async def finish(self, ending: Ending) -> list[int]:
        """Store a visit; returns the numbers of changes that are no noise.

        Raises LateResult, after the refusal was written to the audit log.
        """
        claim = ending.claim
        quiet = _quiet(ending)
        if quiet is not None and await self._quiet.ask(quiet):
            return []
        try:
            async with self._db.transaction() as tx:
                return await self._store(tx, ending)
        except LateResult as late:
            await workers.audit(
                self._db,
                "visit.late_result",
                "document",
                claim.name,
                outcome="refused",
                after={"worker": self._worker, "fence": claim.fence},
            )
            log.warning("late_result document=%s fence=%d reason=%s", claim.name, claim.fence, late)
            await collecting.put_back(self._db, claim, self._worker, timedelta(0))
            raise

    async def _finish_quiet(self, quiet: Sequence[Quiet]) -> list[bool]:
        done = await unchanged.finish_unchanged(self._db, self._worker, quiet)
        return [one.document in done for one in quiet]

    async def _store(self, tx: Tx, ending: Ending) -> list[int]:
        claim = ending.claim
        row = await collecting.finish_visit(
            tx, claim, self._worker, wait=ending.wait, health=ending.health, cause=ending.cause
        )
        if row is None:
            raise LateResult("fence")
        if row["newest_snapshot"] != (ending.base.id if ending.base else None):
            raise LateResult("base")  # an import went on in between
        captures = [await self._store_page(tx, claim, seen) for seen in ending.seen]
        for seen in ending.seen:
            full = seen.status == HTTPStatus.OK and seen.is_read
            same = full and seen.fault is None and seen.text is None and seen.step == "http"
            await unchanged.note_page(
                tx,
                seen.page.id,
                robots=seen.robots,
                full=full,
                moved_to=seen.moved_to if seen.is_read else None,
                validators=(seen.headers.get("etag"), seen.headers.get("last-modified")) if same else None,
            )
            if seen.fault is None and (seen.step, seen.step_reason) != (
                seen.page.step,
                seen.page.step_reason,
            ):
                await collecting.mark_step(tx, seen.page.id, seen.step, seen.step_reason)
        changes = await self._store_text(tx, ending, [one for one in captures if one is not None])
        await self._alert(tx, ending, int(row["failures"]))
        moved = next((one for one in ending.seen if one.moved_to and one.is_read), None)
        if moved is not None and moved.moved_to is not None and ending.cause is None:
            await unchanged.note_moved(tx, claim.document_id, moved.page.url, moved.moved_to)
        health = ending.health if moved is None or ending.cause is not None else "moved"
        if ending.steps or health != claim.health:
            await workers.hint(tx, "document", claim.document_id, int(row["version"]))
        return changes

    async def _store_text(self, tx: Tx, ending: Ending, captures: Sequence[int]) -> list[int]:
        """Settle what was open, then store what is new."""
        if ending.plan is None or ending.composed is None:
            return []
        confirmed = ending.plan.answer is not None and ending.plan.compares and not ending.steps
        text = ending.composed.text if confirmed else None
        try:
            await self._settling.settle(tx, ending.claim, ending.standing, ending.plan, text)
        except FasterPerson:
            raise LateResult("decided") from None
        return await self._queue.add(tx, ending.claim, ending.plan, ending.steps, ending.composed, captures)

    async def _store_page(self, tx: Tx, claim: Claim, seen: Seen) -> int | None:
        """Store a page's capture; returns the one that holds its text now, if there is any."""
        page = seen.page
        if seen.trial is not None:
            trial = seen.trial
            await looks.end_trial(tx, page.id, trial.rule_id, trial.result, good=trial.good)
            await self._audit_trial(tx, claim, seen, trial)
        if not seen.fetched:
            assert seen.fault is not None
            await collecting.mark_page_failing(tx, page.id, seen.fault.health, seen.fault.cause)
            return await self._stand_in(tx, seen)
        raw = text = None
        if seen.raw is not None:
            raw = await contents.store(tx, seen.raw, base=page.raw_sha256)
        if seen.text is not None:
            text = await contents.store(tx, seen.text.encode(), base=page.text_sha256)
        capture = await collecting.add_capture(
            tx,
            Capture(
                document_id=claim.document_id,
                page_id=page.id,
                fence=claim.fence,
                state=seen.state,
                rule_id=page.rule_id,
                status=seen.status,
                headers=seen.headers,
                redirects=seen.redirects,
                final_url=seen.final_url,
                raw_sha256=raw,
                text_sha256=text,
                conditional=seen.conditional,
                quality=seen.quality,
                signals=_signals(seen),
                cause=seen.fault.cause if seen.fault else None,
                elapsed=seen.elapsed,
                egress=seen.egress,
                robots=seen.robots,
                step=seen.step,
            ),
        )
        if seen.fault is not None:
            suspect = capture if seen.fault.state == "suspect" else None
            await collecting.mark_page_failing(
                tx, page.id, seen.fault.health, seen.fault.cause, suspect=suspect
            )
            return await self._stand_in(tx, seen)
        if seen.text is None:
            await collecting.mark_page_unchanged(tx, page.id)
            return page.good_capture
        await collecting.mark_page_good(
            tx,
            page.id,
            capture,
            etag=seen.headers.get("etag"),
            last_modified=seen.headers.get("last-modified"),
        )
        return capture

    async def _audit_trial(self, tx: Tx, claim: Claim, seen: Seen, trial: Trial) -> None:
        """A rule in force, or one that failed for the first time; the same failure at each visit is told once."""
        if not trial.good and seen.page.trial == "failed":
            return
        await workers.audit(
            tx,
            "rule.tried",
            "document",
            claim.name,
            outcome="done" if trial.good else "failed",
            after={"url": seen.page.url, "rule": trial.rule_id, "cause": trial.result.get("cause")},
        )

    async def _stand_in(self, tx: Tx, seen: Seen) -> int | None:
        """The capture that stands for a page which could not be read: the accepted one, or the last good one."""
        if seen.accepted is not None:
            await collecting.mark_page_accepted(tx, seen.page.id, seen.accepted)
            return seen.accepted
        return seen.page.good_capture

    async def _alert(self, tx: Tx, ending: Ending, failures: int) -> None:
        claim = ending.claim
        if ending.cause is None:
            if claim.failures >= ALERT_AFTER:
                await workers.close_alert(tx, "document_failing", claim.name)
        elif failures == ALERT_AFTER:
            await workers.open_alert(
                tx,
                "document_failing",
                claim.name,
                f"{claim.name} could not be read {failures} times: {ending.cause}",
            )


def _quiet(ending: Ending) -> Quiet | None:
    """The ending for the short way, where every page said that it is as it was."""
    if not ending.is_same or ending.plan is not None or ending.base is None or ending.health != "ok":
        return None
    looks = []
    for seen in ending.seen:
        capture = seen.page.good_capture
        known = (seen.page.step, seen.page.step_reason) == (seen.step, seen.step_reason)
        if capture is None or not known or not seen.is_plainly_unchanged or seen.trial is not None:
            return None
        looks.append(
            Look(
                seen.page.id,
                capture,
                seen.status,
                seen.headers,
                seen.redirects,
                seen.final_url,
                seen.conditional,
                seen.elapsed,
                seen.egress,
                seen.robots,
            )
        )
    claim = ending.claim
    return Quiet(claim.document_id, claim.fence, ending.base.id, ending.wait, looks)


def _signals(seen: Seen) -> dict[str, Any]:
    """What is kept beside a text: who read it, how long it is, what a reader reads, and the signs of a bad capture."""
    kept: dict[str, Any] = {}
    if seen.text is not None:
        kept |= {"engine": ENGINE, "length": len(seen.text)}
    if seen.hashes is not None:
        kept["reader"] = seen.hashes[0].hex()
    elif seen.text is not None and seen.fault is None and seen.page.reader is not None:
        kept["reader"] = seen.page.reader  # the text is the one of the last good capture
    if seen.plain is not None:
        kept["plain"] = seen.plain
    if seen.signals:
        kept["found"] = [dict(one) for one in seen.signals]
    return kept
