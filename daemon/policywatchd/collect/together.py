"""Statements of many visits in one: whoever asks while one runs is served by the next, together with the others.

No timer and no delay: alone, a call is done at once. What is asked together is one statement, so it is one
transaction: a fault of the statement is everybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Together"]

T = TypeVar("T")
R = TypeVar("R")


class Together(Generic[T, R]):
    """Calls `work` with at most `most` waiting wishes at a time; it answers them in their order."""

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, most: int = 64) -> None:
        self._work, self._most = work, most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    def ask(self, wish: T) -> asyncio.Future[R]:
        """The answer to come. Whoever stops waiting for it has asked all the same."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((wish, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return future

    async def _run(self) -> None:
        try:
            await asyncio.sleep(0)  # who starts in this turn of the loop comes along
            while self._waiting:
                now, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._serve(now)
        finally:
            self._running = None
            for _, future in self._waiting:  # only where this task itself was ended
                future.cancel()

    async def _serve(self, now: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._work([wish for wish, _ in now])
        except BaseException as error:
            for _, future in now:
                if not future.done():
                    if isinstance(error, Exception):
                        future.set_exception(error)
                    else:
                        future.cancel()
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(now, answers, strict=True):
            if not future.done():
                future.set_result(answer)
