"""Which documents are visited when: claims as many as there are free places, again and again or once.

Claims and visits are the business of `policywatch.db.collecting` and `collect.visit`; here is the order of things,
and the clean stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from policywatch.db import collecting
from policywatch.db.collecting import Base, Claim, Page
from policywatch.db.pool import Database
from policywatch.errors import ServiceAway
from policywatchd.collect.polling import Polling
from policywatchd.collect.visit import Visited, Visitor

__all__ = ["Schedule"]

log = logging.getLogger("policywatch.collect")

_LONGEST_IDLE = 5.0  # seconds between two looks when nothing is due
_GATHER = 0.01  # seconds in which visits that end together are followed by one claim
_JOB_SECONDS = 3600.0  # one document with all its pages, each with limits; a minute may lie between two
_STOP_SECONDS = 30.0


class Schedule:
    """The collecting side of one daemon."""

    def __init__(self, db: Database, worker: str, visitor: Visitor, *, places: int, lease: timedelta) -> None:
        self._db, self._worker, self._visitor, self._lease = db, worker, visitor, lease
        self._look = asyncio.Event()  # an ended visit, or a hint, sets it
        self._open: dict[int, Claim] = {}
        self._polling = Polling(places, _JOB_SECONDS, self._ended)
        self.visits = 0
        self.on_visited: Callable[[Visited], None] = lambda visited: None

    async def run(
        self,
        stopping: asyncio.Event,
        wake: asyncio.Event,
        progressed: Callable[[], None],
        renewal: asyncio.Event | None = None,
    ) -> None:
        """Visit what is due until `stopping`, then end the open visits within 30 s. `wake`: look at once.

        Once `renewal` is set nothing more is claimed, and this returns when the open visits have ended by themselves.
        """
        self._look = wake
        try:
            while not stopping.is_set():
                progressed()
                self._look.clear()
                if renewal is not None and renewal.is_set():
                    if not self._polling.running:
                        return
                    await self._wait(1.0)
                elif not await self._start(None):
                    await self._idle(stopping)
        finally:
            await self.stop()

    async def once(
        self, documents: Sequence[int], stopping: asyncio.Event
    ) -> tuple[list[Visited], list[int]]:
        """Visit each of these documents one time; returns the visits and the documents that were held back."""
        left, visits = set(documents), list[Visited]()

        def note(visited: Visited) -> None:
            if visited.outcome != "put_back":
                left.discard(visited.claim.document_id)
                visits.append(visited)

        before, self.on_visited = self.on_visited, note
        try:
            while left and not stopping.is_set():
                self._look.clear()
                if await self._start(sorted(left)) or self._polling.running:
                    await self._wait(1.0)
                    continue
                rows = await collecting.waiting_of(self._db, sorted(left))
                wait = min((row["due_in"] for row in rows if not row["held"]), default=None)
                if wait is None or wait > _LONGEST_IDLE * 6:
                    break  # another daemon visits them, or their hosts ask for time
                await self._wait(max(wait, 0.1))
        finally:
            await self.stop()
            self.on_visited = before
        return visits, sorted(left)

    async def stop(self) -> None:
        """End open visits within 30 s; what is not ended then goes back to the others."""
        cut = await self._polling.stop(_STOP_SECONDS)
        for claim in tuple(self._open.values()):
            try:
                await collecting.put_back(self._db, claim, self._worker, timedelta(0))
            except ServiceAway:
                break  # the lease ends by itself
        self._open.clear()
        if cut:
            log.warning("visits_cut count=%d", cut)

    async def _start(self, only: Sequence[int] | None) -> int:
        """Claim and start as many visits as there are places; returns how many."""
        if self._polling.running:
            await asyncio.sleep(_GATHER)
        free = self._polling.free
        if not free:
            return 0
        claims = await collecting.claim_due(self._db, self._worker, free, only=only, lease=self._lease)
        if not claims:
            return 0
        documents = [claim.document_id for claim in claims]
        pages = await collecting.pages_of(self._db, documents)
        bases = await collecting.bases_of(self._db, documents)
        for claim in claims:
            self._open[claim.document_id] = claim
            document = claim.document_id
            self._polling.start(self._visit(claim, pages[document], bases.get(document)))
        return len(claims)

    async def _visit(self, claim: Claim, pages: Sequence[Page], base: Base | None) -> None:
        visited = await self._visitor.visit(claim, pages, base)
        self._open.pop(claim.document_id, None)
        self.visits += 1
        log.debug("visited document=%s outcome=%s", claim.name, visited.outcome)
        self.on_visited(visited)

    def _ended(self) -> None:
        self._look.set()

    async def _idle(self, stopping: asyncio.Event) -> None:
        due_in = await collecting.next_due_in(self._db)
        wait = _LONGEST_IDLE if due_in is None else due_in
        if self._polling.running and wait <= 0:
            wait = 1.0  # due, but its platform is being visited: the end of a visit wakes us
        if not stopping.is_set():
            await self._wait(min(max(wait, 0.05), _LONGEST_IDLE))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._look.wait()
        except TimeoutError:
            return
