"""Figures of the system: into `system_metrics` for a look back, and as an exposition for Prometheus on loopback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from policywatch.db import metrics, workers
from policywatch.errors import PolicyWatchError
from policywatch.metrics import Sample, exposition

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["forget_old", "serve_metrics", "store_measures"]

log = logging.getLogger("policywatch.upkeep")

_STORED = (
    "policywatch_queue_",
    "policywatch_replication_",
    "policywatch_pool",
    "policywatch_loop_",
    "policywatch_visits_",
)
_ANSWER_WITHIN = 10.0
_MAX_HEAD = 8 * 1024


def _of_service(service: Service) -> list[Sample]:
    """What this daemon counted."""
    samples = [
        Sample("policywatch_loop_restarts_total", float(count), {"loop": name.removeprefix("loop_failures_")})
        for name, count in service.counters.items()
        if name.startswith("loop_failures_")
    ]
    samples += [
        Sample("policywatch_visits_total", float(count), {"outcome": name.removeprefix("visits_")})
        for name, count in service.counters.items()
        if name.startswith("visits_")
    ]
    return samples


async def store_measures(service: Service) -> None:
    """Store lengths and ages of all that waits, the pool's state and this daemon's counters."""
    samples = [*await metrics.measure(service.db), *metrics.own_samples(service.db), *_of_service(service)]
    await metrics.store(service.db, [one for one in samples if one.name.startswith(_STORED)])


async def forget_old(service: Service) -> None:
    """Drop figures beyond their retention."""
    await workers.forget(service.db, service.settings.retention.metrics)


@asynccontextmanager
async def serve_metrics(service: Service) -> AsyncIterator[int]:
    """Answer GET /metrics on the settings' loopback address; yields the port (0: switched off, or it is taken)."""
    wanted = service.settings.metrics
    host, _, port = wanted.listen.rpartition(":")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                await _exchange(service, reader, writer)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.debug("metrics_asker_lost")
        finally:
            writer.close()

    server = None
    if wanted.enabled:
        try:
            server = await asyncio.start_server(answer, host.strip("[]"), int(port), limit=_MAX_HEAD)
        except OSError as error:
            log.warning("metrics_not_served listen=%s reason=%s", wanted.listen, error)
    if server is None:
        yield 0
        return
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def _exchange(service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    method, _, rest = head.partition("\r\n")[0].partition(" ")
    status, body = "404 Not Found", "There is /metrics.\n"
    if method == "GET" and rest.partition(" ")[0] == "/metrics":
        status, body = "200 OK", exposition(await _samples(service))
    content = body.encode()
    writer.write(
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode("latin-1")
        + content
    )
    await writer.drain()


async def _samples(service: Service) -> list[Sample]:
    try:
        measured = await metrics.measure(service.db)
    except PolicyWatchError:
        measured = [Sample("policywatch_up", 0.0)]
    return [*measured, *metrics.own_samples(service.db), *_of_service(service)]
