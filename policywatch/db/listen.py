"""Hints from the database: something moved, look at it. Never data, and never to be relied on alone.

A listener holds one connection of its own. When it is lost it comes back by itself and says `reconnected`:
hints may have been missed meanwhile, so the reader reads everything again. Readers poll every 30 s besides.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import psycopg

from policywatch.db.pool import session_conninfo
from policywatch.db.queries import load
from policywatch.db.refusals import place

__all__ = ["BACK_OFF", "Hint", "Listener", "parse"]

log = logging.getLogger("policywatch.db")
_sql = load("listen")

#: Seconds to wait before each attempt after a loss; the last one repeats.
BACK_OFF: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Hint:
    """What moved: `kind` (change, publication, ...), its id and new version. `reconnected`, 0, 0: read it all."""

    kind: str
    id: int
    version: int


RECONNECTED = Hint("reconnected", 0, 0)


def parse(payload: str) -> Hint | None:
    """The hint of a payload `kind:id:version`; None for what anybody else may have sent."""
    kind, _, numbers = payload.partition(":")
    number, _, version = numbers.partition(":")
    try:
        return Hint(kind, int(number), int(version)) if kind.isidentifier() else None
    except ValueError:
        return None


class Listener:
    """Listens as one login. `hints()` runs until it is closed; `connected` says whether it hears just now."""

    def __init__(
        self,
        conninfo: str,
        *,
        application: str = "policywatch listen",
        back_off: tuple[float, ...] = BACK_OFF,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._conninfo = session_conninfo(conninfo, application=application)
        self._back_off = back_off
        self._sleep = sleep
        self._jitter = jitter
        self.connected = False

    async def hints(self) -> AsyncGenerator[Hint, None]:
        """First `reconnected` after every (re)connection, then each hint as it comes. Never ends by itself."""
        failures = 0
        while True:
            try:
                async with aclosing(self._one_connection()) as hints:
                    async for hint in hints:
                        failures = 0
                        yield hint
            except psycopg.Error as error:
                log.warning(
                    "listener_lost place=%s attempt=%d reason=%s",
                    place(self._conninfo),
                    failures + 1,
                    " ".join(str(error).split()),
                )
            pause = self._back_off[min(failures, len(self._back_off) - 1)]
            failures += 1
            await self._sleep(pause * (1 + 0.25 * self._jitter()))  # not every desk at the same moment

    async def _one_connection(self) -> AsyncGenerator[Hint, None]:
        connection = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        try:
            await connection.execute(_sql.listen.text)
            self.connected = True
            yield RECONNECTED
            async for notice in connection.notifies():
                hint = parse(notice.payload)
                if hint is not None:
                    yield hint
        finally:
            self.connected = False
            await connection.close()
