"""The daemon's life: heartbeat, requests, restarts of loops, systemd's words, the clean stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio

from policywatch.simulated.texts import PLATFORMS
from policywatchd.collect import loop as collect
from policywatchd.service import Loop, Service
from policywatchd.upkeep import loop as upkeep
from policywatchd.upkeep.reconcile import reconcile
from tests.daemon.collecting_world import World, open_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


@pytest_asyncio.fixture
async def world(database: Scratch) -> AsyncIterator[World]:
    async with open_world(database, PLATFORMS[:2]) as opened:
        yield opened


def loops() -> list[Loop]:
    return [Loop("collect", collect.run), Loop("upkeep", upkeep.run)]


async def started(world: World) -> tuple[Service, asyncio.Task[None]]:
    service = await world.service()
    await reconcile(service.db, service.settings)
    return service, asyncio.create_task(service.run(loops()))


async def test_a_daemon_visits_beats_measures_and_stops_cleanly(world: World) -> None:
    service, running = await started(world)

    await world.until("SELECT count(*) = 6 FROM app.policy_snapshots")
    await world.until("SELECT count(*) > 5 FROM app.system_metrics")
    assert world.value("SELECT alive FROM read.workers")
    service.stop()
    await asyncio.wait_for(running, 20)

    assert world.value("SELECT stopped_at IS NOT NULL FROM app.workers")
    assert world.value("SELECT count(*) FROM app.policy_documents WHERE owner IS NOT NULL") == 0


async def test_a_request_to_visit_is_served_and_answered(world: World) -> None:
    service, running = await started(world)
    await world.until("SELECT count(*) = 6 FROM app.policy_snapshots")
    with psycopg.connect(world.scratch.person("rita"), autocommit=True) as reviewer:
        reviewer.execute("SELECT * FROM act.request_visit(%s, 'x')", [uuid4()])

    await world.until("SELECT count(*) = 1 FROM app.requests WHERE state = 'done'")
    await world.until("SELECT count(*) = 9 FROM app.captures")
    service.stop()
    await asyncio.wait_for(running, 20)

    assert world.value("SELECT result FROM app.requests") == {"documents": 3}


async def test_a_loop_that_fails_is_alerted_counted_and_started_again(world: World) -> None:
    service = await world.service()
    again = asyncio.Event()
    runs = 0

    async def faulty(_: Service) -> None:
        nonlocal runs
        runs += 1
        if runs > 1:
            again.set()
            await service.stopping.wait()
            return
        raise ValueError("an invented fault")

    running = asyncio.create_task(service.run([Loop("faulty", faulty)]))
    await asyncio.wait_for(again.wait(), 20)
    service.stop()
    await asyncio.wait_for(running, 20)

    (alert,) = world.rows("SELECT kind, subject, sentence FROM app.alerts")
    assert (alert["kind"], alert["subject"]) == ("loop_failed", "faulty")
    assert "an invented fault" in alert["sentence"]
    assert service.counters["loop_failures_faulty"] == 1


async def test_systemd_hears_readiness_and_the_stop_and_no_watchdog_while_a_loop_stalls(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"policywatch-test-{uuid4().hex}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}")
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        monkeypatch.setattr("policywatchd.service._BEAT", 0.05)
        service = await world.service()

        async def waiting(daemon: Service) -> None:
            await daemon.stopping.wait()

        stalled, lively = Loop("stalled", waiting, limit=0.0), Loop("lively", waiting, limit=60.0)
        loop = asyncio.get_running_loop()
        running = asyncio.create_task(service.run([stalled, lively]))
        heard = [await asyncio.wait_for(loop.sock_recv(systemd, 100), 10)]
        await world.until("SELECT progress -> 'loops' ? 'stalled' FROM app.workers")
        stalled.limit = 60.0
        while heard[-1] != b"WATCHDOG=1":
            heard.append(await asyncio.wait_for(loop.sock_recv(systemd, 100), 10))
        service.stop()
        while heard[-1] != b"STOPPING=1":
            heard.append(await asyncio.wait_for(loop.sock_recv(systemd, 100), 10))
        await asyncio.wait_for(running, 20)

    assert heard[:2] == [b"READY=1", b"WATCHDOG=1"]
