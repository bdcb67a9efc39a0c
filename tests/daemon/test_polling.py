"""The one home of asyncio-pool: the limit holds, errors are counted, the end is bounded, on every Python."""

from __future__ import annotations

import asyncio
import logging

import pytest

from policywatchd.collect.polling import Polling


async def test_200_jobs_keep_the_limit_and_each_end_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "policywatch.collect")
    ended = asyncio.Event()
    polling = Polling(7, 0.05, ended.set)
    running, most = 0, 0

    async def job(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(10 if number % 10 == 9 else 0)
            if number % 10 == 3:
                raise ValueError("an invented fault")
        finally:
            running -= 1

    number = 0
    while number < 200:
        ended.clear()
        while polling.free and number < 200:
            polling.start(job(number))
            number += 1
        await asyncio.wait_for(ended.wait(), 5)
    cut = await polling.stop(5)

    assert (most, cut, polling.running) == (7, 0, 0)
    counts = polling.counts
    assert (counts.done, counts.failed, counts.late, counts.cancelled) == (160, 20, 20, 0)


async def test_a_job_never_waits_in_the_pool() -> None:
    polling = Polling(1, 5)
    gate = asyncio.Event()

    async def job() -> None:
        await gate.wait()

    polling.start(job())
    with pytest.raises(RuntimeError, match="full"):
        polling.start(job())
    gate.set()
    assert await polling.stop(5) == 0


async def test_what_does_not_end_is_cancelled_and_the_pool_can_be_used_again() -> None:
    polling = Polling(3, 60)
    for _ in range(3):
        polling.start(asyncio.sleep(60))
    await asyncio.sleep(0)
    assert await polling.stop(0.05) == 3
    assert polling.free == 3

    polling.start(asyncio.sleep(0))
    assert await polling.stop(5) == 0
    assert (polling.counts.done, polling.counts.cancelled) == (1, 3)
