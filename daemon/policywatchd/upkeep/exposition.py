"""The exposition for Prometheus: GET /metrics on loopback, and nothing else.

What is measured is the business of `measures`. An asker is bounded in time, bytes and number; a port that
somebody else holds is told in the log and as an alert, and the daemon goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from policywatch.db import workers
from policywatch.errors import PolicyWatchError
from policywatch.metrics import exposition
from policywatchd.upkeep.measures import samples_now

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["serve_metrics"]

log = logging.getLogger("policywatch.upkeep")

_ANSWER_WITHIN = 10.0  # seconds for one asker, reading and writing
_MAX_HEAD = 8 * 1024  # bytes
_LET_GO = 0.5  # seconds for the rest of a refused request
_ASKERS = 8  # at once; a further one is turned away
_ALERT = "metrics_not_served"


@asynccontextmanager
async def serve_metrics(service: Service) -> AsyncIterator[int]:
    """Answer GET /metrics on the settings' loopback address; yields the port (0: switched off, or it is taken)."""
    wanted = service.settings.metrics
    if not wanted.enabled:
        yield 0
        return
    askers = asyncio.Semaphore(_ASKERS)

    answering = set[asyncio.Task[None]]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.add(task)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                await _exchange(service, askers, reader, writer)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            log.debug("metrics_asker_lost")  # cancelled: only by the end of the server, below
        finally:
            answering.discard(task)
            writer.close()

    host, _, port = wanted.listen.rpartition(":")
    try:
        server = await asyncio.start_server(answer, host.strip("[]"), int(port), limit=_MAX_HEAD)
    except OSError as error:
        await _tell(service, wanted.listen, error.strerror or str(error))
        yield 0
        return
    with suppress(PolicyWatchError):
        await workers.close_alert(service.db, _ALERT, service.host)
    async with server:
        taken = int(server.sockets[0].getsockname()[1])
        log.info("metrics_served port=%d", taken)
        try:
            yield taken
        finally:
            for task in answering:
                task.cancel()


async def _tell(service: Service, listen: str, reason: str) -> None:
    log.warning("metrics_not_served listen=%s reason=%r", listen, reason)
    sentence = f"Metrics are not served at {listen}: {reason}. Set metrics.listen to a free port and restart the daemon."
    with suppress(PolicyWatchError):
        await workers.open_alert(service.db, _ALERT, service.host, sentence)


async def _exchange(
    service: Service, askers: asyncio.Semaphore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One request, one answer, the end: no connection is kept."""
    if askers.locked():
        await _refuse(reader, writer, "503 Service Unavailable", "Too many ask at once.\n")
        return
    async with askers:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.LimitOverrunError:
            await _refuse(reader, writer, "431 Request Header Fields Too Large", "The request is too long.\n")
            return
        method, _, rest = head.partition("\r\n")[0].partition(" ")
        if method == "GET" and rest.partition(" ")[0] == "/metrics":
            await _write(writer, "200 OK", exposition(await samples_now(service)))
        else:
            await _refuse(reader, writer, "404 Not Found", "There is GET /metrics.\n")


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: str, body: str) -> None:
    """Answer, then let go what still comes: closed with it unread, the asker would see no answer but a reset."""
    await _write(writer, status, body)
    writer.write_eof()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LET_GO):
            for _ in range(64):
                if not await reader.read(_MAX_HEAD):
                    return


async def _write(writer: asyncio.StreamWriter, status: str, body: str) -> None:
    content = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode("latin-1") + content)
    await writer.drain()
