"""Lanes: one request at a time per host, over all daemons that share the database.

Visits of this daemon wait for each other in memory; against other daemons a row of `hosts` decides, with a lease
(so that a dead daemon blocks nobody), the time from which the next request is allowed, and the breaker. What
robots.txt says is the business of `robots`.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

import httpx

from policywatch.db import lanes
from policywatch.db.lanes import Left, Taken
from policywatch.db.pool import Database
from policywatch.errors import PolicyWatchError
from policywatchd.collect.together import Together

__all__ = ["HostBusy", "Lanes", "Turn", "patiently"]

T = TypeVar("T")

_POLL = 0.5  # seconds between two looks at a lane that another daemon holds
_LONGEST_GAP = 300.0  # seconds; robots.txt can ask for 75, the settings for more
_sleep = asyncio.sleep
_WAITERS = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class HostBusy(PolicyWatchError):
    """The host is not to be asked for longer than a visit waits; `seconds` says how long.

    `why`: gap, held (another visit asks it), asked (429, 503, Retry-After) or breaker.
    """

    def __init__(self, host: str, seconds: float, why: str = "held", cause: str = "") -> None:
        super().__init__(cause or f"{host} is asked by another visit", code="host-busy")
        self.seconds, self.why = seconds, why

    @property
    def cause(self) -> str | None:
        """What a person should know of it: nothing where it is only our own turn that has to be waited for."""
        return self.what if self.why in ("asked", "breaker") else None


async def patiently(look: Callable[[], Awaitable[T]]) -> T:
    """What `look` gives; where nothing but the gap of its host stands in the way, after that gap.

    For what goes on in a visit: put back, the visit would begin at its first page again, and never come to this one.
    """
    try:
        return await look()
    except HostBusy as busy:
        if busy.why != "gap" or busy.seconds > _LONGEST_GAP:
            raise
        await _sleep(busy.seconds)
    return await look()


class Turn:
    """One turn at a host: what the database knows of its robots.txt, and what came of the turn.

    `delay` is what robots.txt asks for between two requests; `wait`, once the turn has ended, the seconds that the
    host asked to be left alone.
    """

    __slots__ = ("_between", "asked", "delay", "failed", "known", "named", "used", "wait")

    def __init__(self, known: Taken, between: float) -> None:
        self.known, self._between = known, between
        self.delay = 0.0
        self.used = False
        self.failed: str | None = None
        self.asked: str | None = None
        self.named: float | None = None
        self.wait: float | None = None

    async def again(self, url: httpx.URL) -> None:
        """Another request to the same host within this turn (a redirect): not before the gap is over."""
        await asyncio.sleep(self._between)

    def answered(self, status: int, wait: float | None) -> None:
        """The host answered; `wait` is what its Retry-After says, in seconds."""
        self.used = True
        words = _words(status)
        self.failed = f"it answers {words}" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
        if status in _WAITERS:
            self.asked, self.named = words if wait is None else f"{words}, Retry-After", wait

    def gave_none(self, why: str) -> None:
        """No whole answer came."""
        self.used, self.failed = True, why


class Lanes:
    """The lanes as this daemon sees them.

    `gap` is the shortest time between two requests to a host; up to a quarter of it is added at random.
    `patience` is how long a visit waits for a lane before it is put back.
    """

    def __init__(
        self,
        db: Database,
        worker: str,
        *,
        gap: timedelta,
        lease: timedelta,
        patience: float = 10.0,
        draw: random.Random | None = None,
    ) -> None:
        self._db, self._worker = db, worker
        self._gap, self._lease, self._patience = gap, lease, patience
        self._draw = draw or random.Random()  # noqa: S311 (politeness, not secrecy)
        self._ours: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._count = 0
        self._takes = Together(self._take_all)
        self._leaves = Together(self._leave_all)

    def lane(self, host: str) -> AbstractAsyncContextManager[Turn]:
        """Hold the one place at `host`. Raises HostBusy where that would take too long."""
        return self._lane(host.lower())

    @asynccontextmanager
    async def _lane(self, host: str) -> AsyncIterator[Turn]:
        self._count += 1
        holder = f"{self._worker}/{self._count}"
        ours = self._ours[host]
        if ours.locked():
            try:
                async with asyncio.timeout(self._patience):
                    await ours.acquire()
            except TimeoutError:
                raise HostBusy(host, self._patience) from None
        else:
            await ours.acquire()
        try:
            turn = await self._take(host, holder)
            try:
                yield turn
            finally:
                await self._leave(host, holder, turn)
        finally:
            ours.release()

    def _drawn(self, gap: timedelta) -> timedelta:
        return gap * (1 + self._draw.random() / 4)

    async def _take(self, host: str, holder: str) -> Turn:
        waited = 0.0
        while True:
            known = await self._try(host, holder)
            if known is not None:
                return Turn(known, self._drawn(self._gap).total_seconds())
            wait = await self._wait_for(host)
            if waited + wait > self._patience:
                raise HostBusy(host, wait)
            await asyncio.sleep(wait)
            waited += wait

    async def _wait_for(self, host: str) -> float:
        """Seconds until the next look. Raises HostBusy where the host, or its breaker, says how long."""
        found = await lanes.lane_wait(self._db, host)
        if found is None:
            return 0.01
        if found.shut > self._patience:
            away = max(found.shut, found.gap) * (1 + self._draw.random() / 20)
            if found.held:
                raise HostBusy(host, min(away, 30.0), "held", f"{host} is tried by another visit")
            raise HostBusy(
                host, away, "breaker", f"{host} is left alone until {found.until} UTC: {found.cause}"
            )
        if found.gap > self._patience:
            if found.cause is not None:
                sentence = f"{host} asks to wait until {found.until} UTC ({found.cause})"
                raise HostBusy(host, found.gap, "asked", sentence)
            raise HostBusy(host, found.gap, "gap", f"{host} is asked again after its gap")
        look = _POLL * (0.5 + self._draw.random()) if found.held else 0.01
        return max(found.gap, found.shut, look)

    async def _try(self, host: str, holder: str) -> Taken | None:
        future = self._takes.ask((host, holder))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not future.cancelled() and await future is not None:  # taken for nobody: give it back
                await self._leaves.ask(Left(host, holder, self._gap))
            raise

    async def _leave(self, host: str, holder: str, turn: Turn) -> None:
        gap = self._drawn(max(self._gap, timedelta(seconds=turn.delay)))
        named = None if turn.named is None else timedelta(seconds=turn.named)
        left = Left(host, holder, gap, turn.used, turn.failed, turn.asked, named)
        wait = await asyncio.shield(self._leaves.ask(left))
        turn.wait = wait if turn.asked is not None else None

    async def _take_all(self, asked: Sequence[tuple[str, str]]) -> list[Taken | None]:
        taken = await lanes.take_lanes(self._db, asked, self._lease)
        return [taken.get(host) for host, _ in asked]

    async def _leave_all(self, turns: Sequence[Left]) -> list[float | None]:
        left = await lanes.leave_lanes(self._db, turns)
        return [left.get(turn.host) for turn in turns]


def _words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
