"""The pool in which visits run. The only place that knows asyncio-pool.

asyncio-pool 0.6 keeps its limit and does three things that nobody expects: a cancelled `spawn` returns instead
of raising, leaving its `async with` waits for every child, and errors stay silent. So here: no job is handed
over while the pool is full, `spawn_n` alone is used, every job runs under a deadline and inside one guard that
counts and logs its errors, and the end is a bounded join followed by a cancel.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from asyncio_pool import AioPool

__all__ = ["Counts", "Polling"]

log = logging.getLogger("policywatch.collect")


@dataclass(slots=True)
class Counts:
    """How jobs ended, since the start."""

    done: int = 0
    failed: int = 0
    late: int = 0
    cancelled: int = 0


class Polling:
    """At most `size` jobs at a time, each at most `seconds` long. `ended` is called after each of them."""

    def __init__(self, size: int, seconds: float, ended: Callable[[], None] = lambda: None) -> None:
        self._pool = AioPool(size=size)
        self._seconds = seconds
        self._ended = ended
        self.counts = Counts()

    @property
    def free(self) -> int:
        """How many jobs can be started now; claim no more work than that."""
        return max(0, int(self._pool.size) - len(self._pool))

    @property
    def running(self) -> int:
        """How many jobs have been started and not ended."""
        return len(self._pool)

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Start a job. Only where `free` is not 0: a job never waits in the pool."""
        if self._pool.is_full:
            job.close()
            raise RuntimeError("the pool is full: ask `free` first")
        self._pool.spawn_n(self._guarded(job))

    async def stop(self, seconds: float) -> int:
        """Wait for the running jobs, at most so long, then cancel the rest; returns how many were cancelled."""
        try:
            await asyncio.wait_for(self._pool.join(), seconds)
        except TimeoutError:
            cancelled, _ = await self._pool.cancel()
            return int(cancelled)
        return 0

    async def _guarded(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await job
            self.counts.done += 1
        except TimeoutError:
            self.counts.late += 1
            log.warning("visit_overdue seconds=%g", self._seconds)
        except asyncio.CancelledError:
            # The end of the task in any case; passed on, the pool would report it as an error never read.
            self.counts.cancelled += 1
        except Exception:
            self.counts.failed += 1
            log.exception("visit_failed")
        finally:
            self._ended()
