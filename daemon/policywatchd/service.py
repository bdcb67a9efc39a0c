"""The daemon as one thing: what its rooms share, the supervision of its loops, readiness and the clean stop.

A loop that fails is logged, counted, alerted and started again after a growing wait. The watchdog of systemd hears
from us only while every loop made progress within its limit and the heartbeat was committed; no timer feeds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from policywatch.db import workers
from policywatch.db.listen import Listener
from policywatch.db.pool import Database
from policywatch.errors import PolicyWatchError, ServiceAway
from policywatch.settings import Settings
from policywatchd.collect.fetch import Transport
from policywatchd.collect.wall import Resolver, system_resolver
from policywatchd.reader import Reader
from policywatchd.upkeep.notify import notify

__all__ = ["Loop", "Network", "Service", "lease_for"]

log = logging.getLogger("policywatch.daemon")

_BEAT = 5.0  # seconds between heartbeats; after 30 without one a daemon counts as dead
#: Which rooms a kind of hint concerns.
_ROOMS: dict[str, tuple[str, ...]] = {
    "request": ("upkeep", "publish"),
    "document": ("collect",),
    "approval": ("publish",),
    "publication": ("publish",),
    "system": ("publish", "collect"),
    "config": ("publish",),
    "session": ("upkeep",),
    "user": ("upkeep",),
}
_BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Network:
    """Where the wall is open: the system's resolver and no address beyond the public web, but for simulations.

    `watch` may put something before the wall that sees the requests; benchmarks count so.
    """

    resolver: Resolver = system_resolver
    allowed: frozenset[tuple[str, int]] = frozenset()
    watch: Callable[[Transport], Transport] = lambda wall: wall


@dataclass(slots=True)
class Loop:
    """A supervised loop: `run` until stopped; `limit` seconds without progress is a stall."""

    name: str
    run: Callable[[Service], Awaitable[None]]
    limit: float = 60.0
    progress: float = field(default_factory=time.monotonic)
    restarts: int = 0


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


class Service:
    """What the rooms of one daemon share, and its life from start to stop.

    Rooms use: `db`, `settings`, `worker_id` (the name in leases), `reader`, `network`, `draw`, `today()`,
    `stopping`, `progress(room)`, `wake(room)` (an event that hints set) and `pause(room, seconds)`.

    `settings` are replaced as a whole while the daemon runs. A room reads them anew each time, or takes them at its
    start and opens itself again, at a moment when nothing is cut, once `renewal(room)` is set.
    """

    def __init__(
        self,
        db: Database,
        settings: Settings,
        *,
        network: Network | None = None,
        program: str = "run",
        draw: random.Random | None = None,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self.db, self.settings, self.program = db, settings, program
        self.network = network or Network()
        self.draw = draw or random.Random()  # noqa: S311 (waits and spreads; no secret)
        self.today = today
        self.host = socket.gethostname()
        self.worker_id = f"{self.host}/{os.getpid()}/{uuid4().hex[:8]}"
        self.boot = _boot_id()
        self.reader = Reader()
        self.stopping = asyncio.Event()
        self.loops: dict[str, Loop] = {}
        self.counters: dict[str, int] = {}
        #: How the settings stand, for the heartbeat: file, sha256, loaded_at, fault, needs_restart.
        self.settings_state: dict[str, Any] = {"sha256": settings.sha256, "fault": None, "needs_restart": []}
        self._wakes: dict[str, asyncio.Event] = {}
        self._renewals: dict[str, asyncio.Event] = {}

    # -- what the rooms call --

    def progress(self, room: str) -> None:
        """The room did something, or saw that there is nothing to do."""
        if room in self.loops:
            self.loops[room].progress = time.monotonic()

    def count(self, name: str, by: int = 1) -> None:
        """Count something for the heartbeat and the metrics."""
        self.counters[name] = self.counters.get(name, 0) + by

    def wake(self, room: str) -> asyncio.Event:
        """Set by hints of the database that concern the room, after a reconnection, and by the stop."""
        return self._wakes.setdefault(room, asyncio.Event())

    def renewal(self, room: str) -> asyncio.Event:
        """Set when settings that the room took at its start were replaced; the room clears it as it opens again."""
        return self._renewals.setdefault(room, asyncio.Event())

    def replace_settings(self, settings: Settings, rooms: Iterable[str]) -> None:
        """From here on these settings hold; `rooms` took some of the old ones at their start."""
        self.settings = settings
        for room in rooms:
            self.renewal(room).set()
            self.wake(room).set()

    async def pause(self, room: str, seconds: float) -> None:
        """Sleep until the room is woken, but no longer than that."""
        if self.stopping.is_set():
            return
        try:
            async with asyncio.timeout(seconds):
                await self.wake(room).wait()
        except TimeoutError:
            return
        self.wake(room).clear()

    def stop(self) -> None:
        """Begin the clean stop: no new claims, and open work is ended."""
        if not self.stopping.is_set():
            notify("STOPPING=1")
            log.info("daemon_stopping worker=%s", self.worker_id)
            self.stopping.set()
            self._wake_all()

    def _wake_all(self) -> None:
        for room in (*self.loops, *self._wakes):
            self.wake(room).set()

    # -- its life --

    async def run(self, loops: list[Loop]) -> None:
        """Supervise the loops until SIGTERM, SIGINT or `stop()`; returns when all of them have ended."""
        self.loops = {loop.name: loop for loop in loops}
        running = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, self.stop)
        try:
            await self.beat()
            notify("READY=1")
            log.info("daemon_started worker=%s loops=%s", self.worker_id, ",".join(self.loops))
            aside = [asyncio.create_task(self._beats()), asyncio.create_task(self._listen())]
            try:
                async with asyncio.TaskGroup() as group:
                    for loop in loops:
                        group.create_task(self._supervise(loop), name=loop.name)
            finally:
                for task in aside:
                    task.cancel()
                await asyncio.gather(*aside, return_exceptions=True)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                running.remove_signal_handler(number)
            await self.reader.close()
            with contextlib.suppress(PolicyWatchError):
                await workers.stop_worker(self.db, self.worker_id)
            log.info("daemon_stopped worker=%s", self.worker_id)

    async def _supervise(self, loop: Loop) -> None:
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                await loop.run(self)
                if self.stopping.is_set():
                    return
                raise RuntimeError(f"the loop {loop.name} ended by itself")
            except Exception as error:  # noqa: BLE001 (the edge of a loop: whatever it is, the others go on)
                await self._failed(loop, error, began)

    async def _failed(self, loop: Loop, error: Exception, began: float) -> None:
        """Log, count and alert a failure, then wait; a loop that ran well for a minute starts from the front."""
        loop.restarts = 1 if time.monotonic() - began > 60 else loop.restarts + 1
        self.count(f"loop_failures_{loop.name}")
        if isinstance(error, ServiceAway):
            log.warning("loop_away loop=%s restarts=%d what=%s", loop.name, loop.restarts, error.what)
        else:
            log.error("loop_failed loop=%s restarts=%d", loop.name, loop.restarts, exc_info=error)
            sentence = f"The loop {loop.name} failed and is started again: {type(error).__name__}: {error}"
            with contextlib.suppress(PolicyWatchError):
                await workers.open_alert(self.db, "loop_failed", loop.name, sentence[:500])
        step = _BACK_OFF[min(loop.restarts, len(_BACK_OFF)) - 1]
        await self.pause(
            f"restart {loop.name}", step * self.draw.random() + 0.1
        )  # full jitter: not all daemons at once

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(_BEAT)
            try:
                await self.beat()
            except PolicyWatchError as error:
                log.warning("heartbeat_missed what=%s", error.what)
                continue
            except Exception:  # a silent heart would look like a dead daemon
                log.exception("heartbeat_failed")
                continue
            now = time.monotonic()
            stalled = [loop.name for loop in self.loops.values() if now - loop.progress > loop.limit]
            if stalled:
                log.warning("loops_stalled loops=%s", ",".join(stalled))
            else:
                notify("WATCHDOG=1")

    async def beat(self) -> None:
        """Say now that this daemon lives, and how its loops and its settings stand."""
        now = time.monotonic()
        await workers.beat(
            self.db,
            self.worker_id,
            boot=self.boot,
            pid=os.getpid(),
            host=self.host,
            program=self.program,
            progress={
                "loops": {name: round(now - loop.progress, 1) for name, loop in self.loops.items()},
                "counters": self.counters,
                "settings": self.settings_state,
            },
        )

    async def _listen(self) -> None:
        listener = Listener(self.db.conninfo, application="policywatchd listen")
        async for hint in listener.hints():
            if hint.kind == "reconnected":
                self._wake_all()
            for room in _ROOMS.get(hint.kind, ()):
                self.wake(room).set()


def lease_for(settings: Settings) -> timedelta:
    """How long a claim holds: a page's whole time, its reading, and some air; renewed by each page.

    With a browser a page may take its time by plain HTTP, wait for its turn there as long, and be built as long. A
    trial asks its host twice, and robots.txt may want a minute between requests.
    """
    fetch = settings.fetch
    return fetch.timeout * (1 if fetch.render == "off" else 3) + timedelta(minutes=3)
