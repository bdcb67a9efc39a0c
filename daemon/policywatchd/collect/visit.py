"""One visit of one document: every page looked at, the text composed and judged, the end stored.

The network and the reading happen outside of any transaction; the lease is renewed by each finished page, never by
a timer. What is stored is the business of `finish`, what a new text means that of `judge`.
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from policywatch.db import collecting, contents
from policywatch.db.collecting import Base, Claim, Page
from policywatch.db.pool import Database
from policywatchd.collect.finish import Ending, Finisher, LateResult
from policywatchd.collect.hosts import HostBusy
from policywatchd.collect.page import PageReader
from policywatchd.collect.seen import Seen
from policywatchd.judge.steps import Judge, Step
from policywatchd.judge.texts import Part, compose, is_made_of
from policywatchd.reader import BoundedError

__all__ = ["Unread", "Visited", "Visitor"]

log = logging.getLogger("policywatch.collect")

_FIRST_RETRY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Unread:
    """A page that could not be read, and why."""

    url: str
    cause: str


@dataclass(frozen=True, slots=True)
class Visited:
    """What came of a visit. `outcome`: first, change, noise, technical, unchanged, failed, late or put_back."""

    claim: Claim
    outcome: str
    changes: Sequence[int] = ()
    unread: Sequence[Unread] = field(default=())


class Visitor:
    """Visits claimed documents in the name of one worker."""

    def __init__(
        self,
        db: Database,
        worker: str,
        pages: PageReader,
        judge: Judge,
        finisher: Finisher,
        *,
        lease: timedelta,
        second_look: timedelta | None = None,
        draw: random.Random | None = None,
    ) -> None:
        self._db, self._worker = db, worker
        self._pages, self._judge, self._finisher = pages, judge, finisher
        self._lease, self._second_look = lease, second_look
        self._draw = draw or random.Random()  # noqa: S311 (spreads visits; no secret)
        self.progressed: Callable[[], None] = lambda: None

    async def visit(self, claim: Claim, pages: Sequence[Page], base: Base | None) -> Visited:
        """Visit a document and store what came of it. Faults of pages are outcomes; ours are raised."""
        seen: list[Seen] = []
        try:
            for page in pages:
                if seen and not await self._renew(claim):
                    break  # another holds it: the finish below proves and records it
                seen.append(await self._pages.read(page))
                self.progressed()
        except HostBusy as busy:
            wait = timedelta(seconds=busy.seconds)
            await collecting.put_back(self._db, claim, self._worker, wait)
            log.info("visit_put_back document=%s seconds=%.1f", claim.name, busy.seconds)
            return Visited(claim, "put_back")
        try:
            return await self._end(claim, base, seen)
        except LateResult:
            return Visited(claim, "late")

    async def _end(self, claim: Claim, base: Base | None, seen: Sequence[Seen]) -> Visited:
        faulty = [one for one in seen if one.fault is not None]
        if faulty:
            return await self._end_unread(claim, base, seen, faulty)
        parts = tuple(_part(one) for one in seen)
        if base is not None and is_made_of(base.origin, parts):
            steps: list[Step] = []
        else:
            await self._renew(claim)
            try:
                text = compose([(one.page.url, await self._text(one)) for one in seen])
                steps = await self._judge.steps(claim, base, [one.page for one in seen], parts, text)
            except BoundedError as error:
                cause = f"the texts cannot be compared within their limits ({error.reason})"
                wait = self._spread(claim.cadence)
                await self._finisher.finish(Ending(claim, base, seen, wait, "degraded", cause))
                return Visited(claim, "failed", unread=[Unread(seen[0].page.url, cause)])
        wait = self._next(claim, steps)
        changes = await self._finisher.finish(Ending(claim, base, seen, wait, steps=steps))
        return Visited(claim, _outcome(steps), changes)

    async def _end_unread(
        self, claim: Claim, base: Base | None, seen: Sequence[Seen], faulty: Sequence[Seen]
    ) -> Visited:
        unread = [Unread(one.page.url, one.fault.cause) for one in faulty if one.fault]
        first = faulty[0].fault
        assert first is not None
        cause = first.cause if len(seen) == 1 else f"{first.cause} ({faulty[0].page.url})"
        wait = self._retry(claim, faulty)
        await self._finisher.finish(Ending(claim, base, seen, wait, first.health, cause[:1000]))
        for one in unread:
            log.warning("page_unread document=%s url=%s cause=%s", claim.name, one.url, one.cause)
        return Visited(claim, "failed", unread=unread)

    async def _renew(self, claim: Claim) -> bool:
        """A page is done, and more is to do: hold the document longer. False: it is another's by now."""
        return await collecting.renew_lease(self._db, claim, self._worker, self._lease)

    async def _text(self, seen: Seen) -> str:
        if seen.text is not None:
            return seen.text
        assert seen.page.text_sha256 is not None  # unchanged means that there is a good capture
        return await contents.fetch_text(self._db, seen.page.text_sha256)

    def _spread(self, wait: timedelta) -> timedelta:
        """A twentieth more or less, so that documents do not march in step."""
        return wait * (0.95 + self._draw.random() / 10)

    def _next(self, claim: Claim, steps: Sequence[Step]) -> timedelta:
        if self._second_look is not None and any(step.judged for step in steps):
            return min(self._second_look, claim.cadence)
        return self._spread(claim.cadence)

    def _retry(self, claim: Claim, faulty: Sequence[Seen]) -> timedelta:
        """The cadence; sooner, with growing waits, where all faults may pass; never before the host allows."""
        wait = claim.cadence
        if all(one.fault is not None and one.fault.passing for one in faulty):
            wait = min(wait, _FIRST_RETRY * 2 ** min(claim.failures, 10))
        asked = max((one.wait or 0.0 for one in faulty), default=0.0)
        return max(self._spread(wait), timedelta(seconds=asked))


def _part(seen: Seen) -> Part:
    page = seen.page
    if seen.text is not None:
        sha256 = hashlib.sha256(seen.text.encode()).digest()
    else:
        assert page.text_sha256 is not None
        sha256 = page.text_sha256
    return Part(page.id, page.rule_id, page.url, sha256)


def _outcome(steps: Sequence[Step]) -> str:
    if not steps:
        return "unchanged"
    judged = steps[-1].judged
    if judged is not None and judged.comparison.noise_kind != "none":
        return "noise"
    return steps[-1].kind
