"""Lanes: one request at a time per host, over all daemons that share the database.

Visits of this daemon wait for each other in memory; against other daemons a row of `hosts` decides, with a lease
(so that a dead daemon blocks nobody) and the time from which the next request is allowed. Robots and the circuit
breaker have their columns in that row and are not served by this version.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

from policywatch.db import collecting
from policywatch.db.pool import Database
from policywatch.errors import PolicyWatchError

__all__ = ["HostBusy", "Lanes"]

_POLL = 0.5  # seconds between two looks at a lane that another daemon holds


class HostBusy(PolicyWatchError):
    """The host asks to wait longer than a visit waits. `seconds` says how long."""

    def __init__(self, host: str, seconds: float) -> None:
        super().__init__(f"{host} asks to wait {seconds:.0f} s.", code="host-busy")
        self.seconds = seconds


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

    def lane(self, host: str) -> AbstractAsyncContextManager[None]:
        """Hold the one place at `host`. Raises HostBusy where that would take too long."""
        return self._lane(host.lower())

    async def ask_later(self, host: str, seconds: float) -> None:
        """The host said (Retry-After) that it wants no request for so long."""
        await collecting.ask_later(self._db, host.lower(), timedelta(seconds=seconds))

    @asynccontextmanager
    async def _lane(self, host: str) -> AsyncIterator[None]:
        self._count += 1
        holder = f"{self._worker}/{self._count}"
        try:
            async with asyncio.timeout(self._patience):
                await self._ours[host].acquire()
        except TimeoutError:
            raise HostBusy(host, self._patience) from None
        try:
            await self._take(host, holder)
            try:
                yield
            finally:
                gap = self._gap * (1 + self._draw.random() / 4)
                await collecting.leave_lane(self._db, host, holder, gap)
        finally:
            self._ours[host].release()

    async def _take(self, host: str, holder: str) -> None:
        waited = 0.0
        while not await collecting.take_lane(self._db, host, holder, self._lease):
            gap, held = await collecting.lane_wait(self._db, host)
            wait = max(gap, _POLL * (0.5 + self._draw.random()) if held else 0.01)
            if waited + wait > self._patience:
                raise HostBusy(host, wait)
            await asyncio.sleep(wait)
            waited += wait
