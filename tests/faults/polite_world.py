"""A host that behaves as it is told, and what asks it as the daemon does: wall, lanes, robots.txt.

As a program (`python -m tests.faults.polite_world CONNINFO PORT TRIES`) it is one daemon of several: it asks for one
page so many times at once and prints one word for each: the status that came, or why nothing was asked.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from policywatch.db.pool import Database
from policywatchd.collect.fetch import Ask, Fetched, FetchFault, Limits, fetch
from policywatchd.collect.hosts import HostBusy, Lanes
from policywatchd.collect.robots import Passage, Robots
from policywatchd.collect.wall import Wall

__all__ = ["Daemon", "Host", "answer", "host", "one_daemon"]

Script = Callable[[str], Awaitable[bytes]]


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """An HTTP answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Host:
    """What was asked of it, by path; `answers` by path (a bytes answer; b"" cuts the connection), or `script`."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    script: Script | None = None
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: every request gets its answer."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split()[1].decode()
                self.asked.append(path)
                self.seen.set()
                said = await self.script(path) if self.script else self.answers.get(path, b"")
                if not said:
                    return
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def host() -> AsyncIterator[Host]:
    """A running host without robots.txt, whose page /terms is there."""
    made = Host(answers={"/robots.txt": answer("404 Not Found"), "/terms": answer("200 OK", b"terms")})
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@dataclass
class Daemon:
    """One daemon's way to a page of x.test."""

    wall: Wall
    lanes: Lanes
    robots: Robots
    passage: Passage | None = None

    async def get(self, path: str = "/terms", *, overridden: bool = False) -> Fetched:
        """Fetch a page as the daemon does."""
        self.passage = self.robots.passage(overridden=overridden)
        ask = Ask(f"http://x.test{path}", "PolicyWatch/test")
        return await fetch(self.wall, ask, Limits(seconds=5.0), self.passage.lane)

    async def said(self, path: str = "/terms") -> str:
        """The status that came, or in one word why none did."""
        try:
            return str((await self.get(path)).status)
        except FetchFault as fault:
            return str(fault.code)
        except HostBusy as busy:
            return busy.why


@asynccontextmanager
async def one_daemon(conninfo: str, port: int, name: str = "one") -> AsyncIterator[Daemon]:
    """A daemon of its own; it waits for no lane longer than a moment."""

    async def resolve(asked: str, wanted: int) -> list[tuple[str, int]]:
        return [("127.0.0.1", port)]

    async with await Database.open(conninfo, max_size=3, application="test daemon") as db:
        wall = Wall(resolve, frozenset({("127.0.0.1", port)}))
        lanes = Lanes(
            db,
            name,
            gap=timedelta(milliseconds=1),
            lease=timedelta(seconds=90),
            patience=0.3,
            draw=random.Random(1),
        )
        try:
            yield Daemon(wall, lanes, Robots(db, wall, lanes, "PolicyWatch/test", seconds=5.0))
        finally:
            await wall.aclose()


async def _run(conninfo: str, port: int, tries: int) -> list[str]:
    async with one_daemon(conninfo, port, "other") as daemon:
        return list(await asyncio.gather(*(daemon.said() for _ in range(tries))))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
