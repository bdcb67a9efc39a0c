"""One visit of one document: every page looked at, the text composed and judged, the end stored.

The network and the reading happen outside of any transaction; the lease is renewed by each finished page, never by
a timer. What is stored is the business of `finish`, what a new text means that of `judge`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from policywatch.db import collecting, looks
from policywatch.db.collecting import Base, Claim, Page
from policywatch.db.pool import Database
from policywatch.domain.changes import NoiseKind
from policywatchd.collect.composing import Composer
from policywatchd.collect.finish import Ending, Finisher, LateResult
from policywatchd.collect.hosts import HostBusy, patiently
from policywatchd.collect.seen import Fault, Seen
from policywatchd.collect.sight import Sight
from policywatchd.judge.looks import Answer, Plan, Standing, decide
from policywatchd.judge.steps import Judge, Step
from policywatchd.judge.texts import Composed, is_made_of
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
    """What came of a visit. `outcome`: first, change, noise, technical, unchanged, failed, late or put_back.

    Of what earlier looks left open: confirmed, undone, taken, dropped, doubted, open; and variant, a known text.
    """

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
        sight: Sight,
        judge: Judge,
        finisher: Finisher,
        *,
        lease: timedelta,
        second_look: timedelta | None = None,
        draw: random.Random | None = None,
    ) -> None:
        self._db, self._worker = db, worker
        self._sight, self._judge, self._finisher = sight, judge, finisher
        self._composer = Composer(db, judge)
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
                see = partial(self._sight.see, _whole(page, base), claim.language)
                seen.append(await (patiently(see) if seen else see()))
                self.progressed()
        except HostBusy as busy:
            if any(not one.is_read for one in seen):
                # A page itself made the host ask for time: put back, the visit would begin with that page again.
                left = [_left_out(page, busy) for page in pages[len(seen) :]]
                return await self._ended(claim, base, [*seen, *left])
            wait = timedelta(seconds=busy.seconds)
            await collecting.put_back(self._db, claim, self._worker, wait, busy.cause)
            log.info("visit_put_back document=%s seconds=%.1f", claim.name, busy.seconds)
            return Visited(claim, "put_back")
        return await self._ended(claim, base, seen)

    async def _ended(self, claim: Claim, base: Base | None, seen: Sequence[Seen]) -> Visited:
        try:
            return await self._end(claim, base, seen)
        except LateResult:
            return Visited(claim, "late")

    async def _end(self, claim: Claim, base: Base | None, seen: Sequence[Seen]) -> Visited:
        composed = await self._composer.compose(seen, base)
        faulty = [one for one in seen if not one.is_read]
        if composed is None or _is_behind_archive(base, composed):
            return await self._end_unread(claim, base, seen, faulty)
        if base is not None and not base.open and is_made_of(base.origin, composed.parts):
            ending = Ending(claim, base, seen, self._wait(claim, faulty), composed=composed)
            return await self._finish(ending, faulty, "unchanged")
        await self._renew(claim)
        standing = await self._standing(base)
        accepted = any(one.accepted is not None for one in seen)
        try:
            hashes = await self._judge.hashes(composed)
            plan = decide(standing, base, composed, hashes[0], claim.cadence, accepted=accepted)
            steps: list[Step] = []
            if plan.compares:
                pages = [one.page for one in seen]
                steps = await self._judge.steps(claim, plan.base, pages, composed, hashes)
        except BoundedError as error:
            cause = f"the texts cannot be compared within their limits ({error.reason})"
            wait = self._spread(claim.cadence)
            await self._finisher.finish(Ending(claim, base, seen, wait, "degraded", cause))
            return Visited(claim, "failed", unread=[Unread(seen[0].page.url, cause)])
        ending = Ending(
            claim,
            base,
            seen,
            self._next(claim, faulty, plan, steps),
            composed=composed,
            standing=standing,
            plan=plan,
            steps=steps,
        )
        return await self._finish(ending, faulty, _outcome(plan, steps))

    async def _finish(self, ending: Ending, faulty: Sequence[Seen], outcome: str) -> Visited:
        """Store a visit that read the document, in whole or in part; the pages that it did not read are named."""
        if faulty:
            health, cause = _fault_of(ending.seen, faulty)
            ending = replace(ending, health=health, cause=cause)
        changes = await self._finisher.finish(ending)
        if outcome == "change" and not changes:
            outcome = "noise"  # its two texts have come by turns before
        return Visited(ending.claim, outcome, changes, _told(ending.claim, faulty))

    async def _end_unread(
        self, claim: Claim, base: Base | None, seen: Sequence[Seen], faulty: Sequence[Seen]
    ) -> Visited:
        health, cause = _fault_of(seen, faulty)
        wait = self._retry(claim, faulty)
        await self._finisher.finish(Ending(claim, base, seen, wait, health, cause))
        return Visited(claim, "failed", unread=_told(claim, faulty))

    async def _standing(self, base: Base | None) -> Standing:
        """What earlier looks left open."""
        if base is None or not base.open:
            return Standing()
        return Standing(
            await looks.candidate_of(self._db, base.document_id),
            await looks.variants_of(self._db, base.document_id),
        )

    async def _renew(self, claim: Claim) -> bool:
        """A page is done, and more is to do: hold the document longer. False: it is another's by now."""
        return await collecting.renew_lease(self._db, claim, self._worker, self._lease)

    def _spread(self, wait: timedelta) -> timedelta:
        """A twentieth more or less, so that documents do not march in step."""
        return wait * (0.95 + self._draw.random() / 10)

    def _wait(self, claim: Claim, faulty: Sequence[Seen]) -> timedelta:
        return self._retry(claim, faulty) if faulty else self._spread(claim.cadence)

    def _next(self, claim: Claim, faulty: Sequence[Seen], plan: Plan, steps: Sequence[Step]) -> timedelta:
        """When to look again: soon where something is open, each document at its own moment."""
        wait = self._wait(claim, faulty)
        if self._second_look is None or not is_open(plan, steps):
            return wait
        return min(wait, self._second_look * (1 + self._draw.random() / 2))

    def _retry(self, claim: Claim, faulty: Sequence[Seen]) -> timedelta:
        """The cadence; sooner, with growing waits, where all faults may pass; never before the host allows."""
        wait = claim.cadence
        if all(one.fault is not None and one.fault.passing for one in faulty):
            wait = min(wait, _FIRST_RETRY * 2 ** min(claim.failures, 10))
        asked = max((one.wait or 0.0 for one in faulty), default=0.0)
        return max(self._spread(wait), timedelta(seconds=asked))


def _left_out(page: Page, busy: HostBusy) -> Seen:
    """A page that was not asked for, because its host wants to be left alone."""
    fault = Fault("failed", "degraded", f"not looked at: {busy.what}", passing=True)
    return Seen(page, fault, fetched=False, wait=busy.seconds)


def _whole(page: Page, base: Base | None) -> Page:
    """The page to be asked for whole where a change waits: "not modified" is no second look."""
    if base is None or not base.waits:
        return page
    return replace(page, etag=None, last_modified=None)


def _is_behind_archive(base: Base | None, composed: Composed) -> bool:
    """Whether a text with stand-ins would put older words in the place of what an archive saw meanwhile.

    Only of an archive that is followed, and goes on standing in; nobody goes on where a history was imported.
    """
    followed = base is not None and base.source == "archive" and bool(base.origin.get("live"))
    return followed and composed.partial


def _fault_of(seen: Sequence[Seen], faulty: Sequence[Seen]) -> tuple[str, str]:
    """Health and cause of a document some page of which could not be read."""
    first = faulty[0].fault
    assert first is not None
    cause = first.cause if len(seen) == 1 else f"{first.cause} ({faulty[0].page.url})"
    if len(faulty) > 1:
        cause = f"{cause}, and {len(faulty) - 1} more of {len(seen)} pages"
    return first.health, cause[:1000]


def _told(claim: Claim, faulty: Sequence[Seen]) -> list[Unread]:
    unread = [Unread(one.page.url, one.fault.cause) for one in faulty if one.fault]
    for one in unread:
        log.warning("page_unread document=%s url=%s cause=%s", claim.name, one.url, one.cause)
    return unread


def is_open(plan: Plan, steps: Sequence[Step]) -> bool:
    """Whether a look leaves something that another look is to settle soon."""
    if not plan.compares:
        return plan.early or (plan.answer is Answer.OPEN and plan.variant is not None)
    judged = steps[-1].judged if steps else None
    return judged is not None and plan.waits and judged.comparison.noise_kind is NoiseKind.NONE


def _outcome(plan: Plan, steps: Sequence[Step]) -> str:
    if not steps:
        if plan.variant is not None:
            return "variant"
        return "unchanged" if plan.answer is None else plan.answer.value
    judged = steps[-1].judged
    if judged is not None and judged.comparison.noise_kind is not NoiseKind.NONE:
        return "noise" if plan.answer is not Answer.CONFIRMED else "confirmed"
    return steps[-1].kind
