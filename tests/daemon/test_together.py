"""Wishes that come while a statement runs are served by the next one, together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from policywatchd.collect.together import Together


class Server:
    """Answers each wish with its double, once it is let."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.free, self.called = asyncio.Event(), asyncio.Event()

    async def work(self, wishes: Sequence[int]) -> list[int]:
        self.calls.append(list(wishes))
        self.called.set()
        await self.free.wait()
        if 13 in wishes:
            raise ValueError("unlucky")
        return [2 * wish for wish in wishes]


async def test_what_starts_in_one_turn_and_what_comes_meanwhile_is_two_calls() -> None:
    server = Server()
    together = Together(server.work)
    first = [together.ask(wish) for wish in (1, 2, 3)]
    await server.called.wait()
    later = [together.ask(wish) for wish in (4, 5)]
    server.free.set()

    assert await asyncio.gather(*first, *later) == [2, 4, 6, 8, 10]
    assert server.calls == [[1, 2, 3], [4, 5]]


async def test_no_call_serves_more_than_it_may() -> None:
    server = Server()
    server.free.set()
    together = Together(server.work, most=2)

    assert await asyncio.gather(*(together.ask(wish) for wish in range(5))) == [0, 2, 4, 6, 8]
    assert server.calls == [[0, 1], [2, 3], [4]]


async def test_a_fault_is_everybodys_and_the_next_call_is_made() -> None:
    server = Server()
    server.free.set()
    together = Together(server.work)
    for future in [together.ask(13), together.ask(1)]:
        with pytest.raises(ValueError, match="unlucky"):
            await future

    assert await together.ask(2) == 4


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    server = Server()
    together = Together(server.work)
    gone, stays = together.ask(1), together.ask(2)
    gone.cancel()
    server.free.set()

    assert await stays == 4 and server.calls == [[1, 2]]
