"""Waiting without sleeping: a question is asked again whenever the database hints that something moved."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from policywatch.db.listen import Listener
from policywatch.errors import PolicyWatchError

__all__ = ["Waiting", "finished", "listening"]

T = TypeVar("T")
_POLL_SECONDS = 0.25  # not every step has a hint (the end of a visit that found nothing)


class Waiting:
    """Questions that are asked until the answer is there."""

    def __init__(self) -> None:
        self._moved = asyncio.Event()

    async def until(self, question: Callable[[], Awaitable[T]], what: str, *, limit: float = 30.0) -> T:
        """The first answer that is not empty; PolicyWatchError says what did not happen in `limit` seconds."""
        try:
            async with asyncio.timeout(limit):
                while True:
                    self._moved.clear()
                    answer = await question()
                    if answer:
                        return answer
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._moved.wait(), _POLL_SECONDS)
        except TimeoutError:
            raise PolicyWatchError(
                f"The story stopped: {what} did not happen within {limit:g} seconds.",
                remedy="See the daemon's log: policywatch demo --keep DIR leaves it in DIR.",
            ) from None

    async def _follow(self, conninfo: str) -> None:
        async for _hint in Listener(conninfo, application="policywatch demo listen").hints():
            self._moved.set()


@contextlib.asynccontextmanager
async def listening(conninfo: str) -> AsyncIterator[Waiting]:
    """A `Waiting` that hears the database's hints on a connection of its own."""
    waiting = Waiting()
    following = asyncio.create_task(waiting._follow(conninfo))
    try:
        yield waiting
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def finished(work: Callable[[], T]) -> T:
    """Run `work` in a thread and never leave it half done: a cancellation waits for its end."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.gather(running, return_exceptions=True)  # Ctrl-C may have ended what it waits for
        raise
