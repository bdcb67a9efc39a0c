"""The end of a visit: one transaction that proves the fence first and then stores everything, or nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from policywatch.db import collecting, contents, workers
from policywatch.db.collecting import Base, Capture, Claim
from policywatch.db.pool import Database, Tx
from policywatch.reading.extract import ENGINE
from policywatchd.collect.seen import Seen
from policywatchd.judge.queue import Queue
from policywatchd.judge.steps import Step

__all__ = ["ALERT_AFTER", "Ending", "Finisher", "LateResult"]

log = logging.getLogger("policywatch.collect")

ALERT_AFTER = 3  # visits in a row that could not read a document


class LateResult(Exception):
    """The fence is another's by now: nothing of this visit is stored."""


@dataclass(frozen=True, slots=True)
class Ending:
    """All that a visit found. `cause` None: the document was read; `same`: a reader sees no difference."""

    claim: Claim
    base: Base | None
    seen: Sequence[Seen]
    wait: timedelta
    health: str = "ok"
    cause: str | None = None
    steps: Sequence[Step] = field(default=())

    @property
    def is_same(self) -> bool:
        """Whether the document was read and says what it said."""
        return self.cause is None and not self.steps


class Finisher:
    """Stores endings under the name of this worker."""

    def __init__(self, db: Database, worker: str, queue: Queue) -> None:
        self._db, self._worker, self._queue = db, worker, queue

    async def finish(self, ending: Ending) -> list[int]:
        """Store a visit; returns the numbers of changes that people are to see.

        Raises LateResult, after the refusal was written to the audit log.
        """
        claim = ending.claim
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
        if ending.is_same or any(step.judged for step in ending.steps):
            await self._queue.look_again(tx, claim, same=ending.is_same)
        changes = await self._queue.add(
            tx, claim, ending.base, ending.steps, [one for one in captures if one is not None]
        )
        await self._alert(tx, ending, int(row["failures"]))
        if ending.steps or ending.health != claim.health:
            await workers.hint(tx, "document", claim.document_id, int(row["version"]))
        return changes

    async def _store_page(self, tx: Tx, claim: Claim, seen: Seen) -> int | None:
        """Store a page's capture; returns the capture that holds its text, if there is one."""
        page = seen.page
        if not seen.fetched:
            assert seen.fault is not None
            await collecting.mark_page_failing(tx, page.id, seen.fault.health, seen.fault.cause)
            return None
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
                signals={"engine": ENGINE} if seen.text is not None else {},
                cause=seen.fault.cause if seen.fault else None,
                elapsed=seen.elapsed,
            ),
        )
        if seen.fault is not None:
            await collecting.mark_page_failing(tx, page.id, seen.fault.health, seen.fault.cause)
            return None
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
