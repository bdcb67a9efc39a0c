"""Forty documents on forty hosts, and daemons of which each is a process that may be stopped or killed at any line.

As a program (`python -m tests.faults.visits_world CONNINFO PORT SEED`) it is one daemon's collecting room: the real
schedule with a lease of 1.2 s, so that a stopped daemon loses its documents while a test can wait for it. It goes on
after its database was away, as the supervised loop of a service does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta

from policywatch.db.pool import Database
from policywatch.errors import PolicyWatchError
from policywatch.settings import Settings
from policywatch.simulated.world import allowed, simulated_resolver
from policywatchd.collect import loop
from policywatchd.service import Network, Service
from tests.daemon.told_pages import policy

__all__ = ["DOCUMENTS", "LEASE", "Daemons", "Web", "settings", "web"]

DOCUMENTS = 40
LEASE = timedelta(seconds=1.2)
_BODY = policy()


def settings() -> Settings:
    """Forty platforms with a document each, due every second."""
    platforms = {
        f"p{n}": {
            "name": f"Platform {n}",
            "documents": {
                "terms": {
                    "name": "Terms",
                    "cadence": "1 s",
                    "pages": [{"url": f"http://p{n}.test/terms", "select": ["main"]}],
                }
            },
        }
        for n in range(DOCUMENTS)
    }
    fetch = {"min_gap": "1 ms", "timeout": "2 s", "second_look": "off", "render": "off"}
    return Settings.model_validate({"catalogue": "none", "platforms": platforms, "fetch": fetch})


@dataclass
class Web:
    """Answers slowly enough to be stopped in the middle."""

    draw: random.Random
    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                path, host = head.split()[1], head.partition(b"host: ")[2].split()[0]
                if path == b"/robots.txt":
                    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                else:
                    self.asked[host.decode()] += 1
                    await asyncio.sleep(0.02 + self.draw.random() * 0.2)
                    answer = b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
                    if b'if-none-match: "1"' not in head:
                        answer = (
                            b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: "1"\r\nContent-Length: %d\r\n\r\n'
                            % len(_BODY)
                        ) + _BODY
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def web(seed: int) -> AsyncIterator[Web]:
    """The forty hosts on loopback."""
    made = Web(random.Random(seed))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@dataclass
class Daemons:
    """So many processes; whoever is killed is followed by another."""

    conninfo: str
    port: int
    draw: random.Random
    running: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, count: int) -> None:
        for _ in range(count):
            await self._one()

    async def _one(self) -> None:
        self.running.append(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", __spec__.name if __name__ == "__main__" else __name__,
                self.conninfo, str(self.port), str(self.draw.randrange(10_000)),
                stderr=asyncio.subprocess.DEVNULL,
            )
        )  # fmt: skip

    async def kill_one(self, *, spare: int = 0) -> None:
        """A crash in the middle of whatever it does; not of the process `spare`."""
        process = self.draw.choice([one for one in self.running if one.pid != spare])
        self.running.remove(process)
        process.kill()
        await process.wait()
        await self._one()

    async def stop_one_for_a_while(self, visits: Callable[[], dict[int, set[tuple[int, int]]]]) -> int:
        """Stop one amid a visit until its document is another's, and longer than its lease; the process.

        `visits`: the documents, each with its fence, that each process holds now.
        """
        async with asyncio.timeout(30):
            while True:
                held = await asyncio.to_thread(visits)
                pids = sorted({one.pid for one in self.running} & held.keys())
                if not pids:
                    await asyncio.sleep(0.05)
                    continue
                pid = self.draw.choice(pids)
                os.kill(pid, signal.SIGSTOP)
                try:
                    await asyncio.sleep(0.1)  # what it had sent already has arrived
                    mine = (await asyncio.to_thread(visits)).get(pid, set())
                    if mine:
                        await asyncio.sleep(LEASE.total_seconds() + 0.5)
                        while not await asyncio.to_thread(_is_taken, visits, pid, mine):  # noqa: ASYNC110
                            await asyncio.sleep(0.05)
                        return pid
                finally:
                    os.kill(pid, signal.SIGCONT)

    async def end(self) -> None:
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await asyncio.gather(*(process.wait() for process in self.running))


def _is_taken(
    visits: Callable[[], dict[int, set[tuple[int, int]]]], pid: int, mine: set[tuple[int, int]]
) -> bool:
    """Whether another process holds one of these documents, under a later fence."""
    fences = dict(mine)
    others = {one for owner, held in visits().items() if owner != pid for one in held}
    return any(fence > fences.get(document, fence) for document, fence in others)


def _short(settings: Settings) -> timedelta:
    return LEASE


async def work(conninfo: str, port: int, seed: int) -> None:
    """One daemon, for as long as it is let live."""
    setattr(loop, "lease_for", _short)  # noqa: B010 (the room's own name for it, in this process alone)
    began = time.monotonic()
    while time.monotonic() - began < 120:
        try:
            async with await Database.open(conninfo, max_size=3, application="visits world") as db:
                network = Network(simulated_resolver(port), allowed(port))
                service = Service(
                    db,
                    settings(),
                    network=network,
                    program="test",
                    draw=random.Random(seed),
                    today=lambda: date(2026, 11, 27),
                )
                await loop.run(service)
        except PolicyWatchError:
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
