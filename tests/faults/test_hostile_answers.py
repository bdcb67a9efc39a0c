"""R29: answers that never come, never end, break off or grow beyond measure cost a bounded time and memory."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatch.simulated.world import simulated_resolver
from policywatchd.once import once
from policywatchd.service import Network, Service
from tests.databases import Scratch

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]

DEADLINE = 2.0  # seconds for one page
GROWTH = 64 * 1024 * 1024
KINDS = ("slow-headers", "slow-body", "endless", "cut", "bomb", "double-gzip")


def bomb() -> bytes:
    """512 MiB of nothing, compressed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(1024 * 1024)
    return b"".join([*(packer.compress(piece) for _ in range(512)), packer.flush()])


async def misbehave(kind: str, writer: asyncio.StreamWriter, bombs: bytes) -> None:
    """One answer, as bad as its kind."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    packed = head + b"Content-Encoding: gzip\r\n"
    match kind:
        case "slow-headers":
            for sign in head + b"X-Slow: " + b"x" * 1000:
                writer.write(bytes([sign]))
                await writer.drain()
                await asyncio.sleep(0.05)
        case "slow-body":
            writer.write(head + b"Content-Length: 100000\r\n\r\n")
            for _ in range(1000):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        case "endless":
            writer.write(head + b"\r\n")
            while True:
                writer.write(b"<p>and so on</p>" * 4096)
                await writer.drain()
        case "cut":
            writer.write(head + b"Content-Length: 100000\r\n\r\n<main>half of")
        case "bomb":
            writer.write(packed + b"\r\n" + bombs)
        case _:
            twice = gzip.compress(gzip.compress(b"<main>terms</main>" * 1000))
            writer.write(head + b"Content-Encoding: gzip, gzip\r\n\r\n" + twice)
    await writer.drain()


@asynccontextmanager
async def misbehaving(bombs: bytes) -> AsyncIterator[int]:
    """A web whose hosts are named by what they do; none has a robots.txt. Its port."""
    tasks = set[asyncio.Task[Any]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /robots.txt "):
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            else:
                await misbehave(head.split(b"Host: ")[1].split(b".")[0].decode(), writer, bombs)
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()


def settings_of(kinds: tuple[str, ...], copies: int) -> Settings:
    """A platform for each kind, or so many of one kind."""
    platforms = {
        f"p{number}": {
            "name": f"{kind} {number}",
            "documents": {
                "terms": {
                    "name": "Terms",
                    "cadence": "1 h",
                    "pages": [
                        {"url": f"http://{kind}.n{number}.test/terms", "select": "main", "render": "never"}
                    ],
                }
            },
        }
        for number, kind in enumerate(kind for kind in kinds for _ in range(copies))
    }
    fetch = {"min_gap": "1 ms", "timeout": f"{DEADLINE} s", "concurrency": 8}
    return Settings.model_validate({"catalogue": "none", "platforms": platforms, "fetch": fetch})


def memory() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def visit(database: Scratch, settings: Settings, port: int) -> tuple[Any, float, int]:
    """One look at everything: the report, seconds, the largest growth of memory on the way."""
    async with await Database.open(database.daemon, max_size=3, application="test") as db:
        network = Network(simulated_resolver(port), frozenset({("127.0.0.1", port)}))
        service = Service(db, settings, network=network, program="test")
        before, most = memory(), 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, memory() - before)
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        try:
            began = time.monotonic()
            report = await once(service, ("",))
            return report, time.monotonic() - began, most
        finally:
            watching.cancel()
            await service.reader.close()


@pytest.mark.parametrize(("kinds", "copies"), [(KINDS, 1), *(((kind,), 8) for kind in KINDS)])
async def test_every_kind_of_bad_answer_ends_in_time_alone_and_eight_at_once(
    database: Scratch, kinds: tuple[str, ...], copies: int
) -> None:
    settings = settings_of(kinds, copies)
    async with misbehaving(bomb()) as port:
        report, _, growth = await visit(database, settings, port)

    assert report.outcomes == {"failed": len(kinds) * copies}
    rows = database.run(
        "SELECT c.state, c.cause, extract(epoch FROM c.elapsed)::float AS seconds, g.url FROM app.captures c"
        " JOIN app.document_pages g ON g.id = c.page_id"
    )
    assert len(rows) == len(kinds) * copies
    for row in rows:
        assert row["state"] == "failed" and row["cause"], row
        assert row["seconds"] <= DEADLINE + 0.5, row
    assert growth <= GROWTH, f"{growth / 1024 / 1024:.0f} MiB"
    (left,) = database.run(
        "SELECT (SELECT count(*) FROM app.policy_snapshots) AS snapshots, (SELECT count(*) FROM app.contents) AS contents"
    )
    assert left == {"snapshots": 0, "contents": 0}
