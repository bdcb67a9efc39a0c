"""/metrics as a Prometheus server reads it, and askers that are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatchd.service import Loop, Service
from policywatchd.upkeep import exposition
from policywatchd.upkeep.exposition import serve_metrics
from policywatchd.upkeep.measures import store_measures
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


async def idle(service: Service) -> None:
    await service.stopping.wait()


@pytest.fixture
async def service(database: Scratch) -> AsyncIterator[Service]:
    settings = Settings.model_validate({"metrics": {"listen": "127.0.0.1:0"}})
    async with await Database.open(database.daemon, application="exposition-test") as db:
        made = Service(db, settings)
        made.loops = {"collect": Loop("collect", idle)}
        made.count("visits_unchanged", 3)
        yield made


async def asked(port: int, request: bytes) -> tuple[str, str]:
    """Status line and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return head.partition("\r\n")[0], body


GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def test_sizes_times_pool_queues_loops_and_visits_are_served(service: Service) -> None:
    async with serve_metrics(service) as port:
        await asked(port, GET)
        status, body = await asked(port, GET)

    assert status == "HTTP/1.1 200 OK"
    values = {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert values["policywatch_up", ()] == 1
    assert values["policywatch_table_bytes", ("audit_log",)] > 0
    assert values["policywatch_query_calls_total", ("metrics.table_sizes",)] >= 1
    assert values["policywatch_pool", ("pool_size",)] >= 1
    assert values["policywatch_loop_restarts_total", ("collect",)] == 0
    assert values["policywatch_loop_idle_seconds", ("collect",)] >= 0
    assert values["policywatch_visits_total", ("unchanged",)] == 3
    assert {name for name, _ in values} >= {"policywatch_queue_waiting", "policywatch_queue_oldest_seconds"}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"GET /metrics/x HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "404 Not Found"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", "404 Not Found"),
        (
            b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
            "431 Request Header Fields Too Large",
        ),
    ],
)
async def test_what_is_no_get_of_metrics_is_refused(service: Service, request_: bytes, status: str) -> None:
    async with serve_metrics(service) as port:
        assert (await asked(port, request_))[0] == f"HTTP/1.1 {status}"
        assert (await asked(port, GET))[0] == "HTTP/1.1 200 OK"


async def test_a_silent_asker_is_dropped_and_too_many_are_turned_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposition, "_ANSWER_WITHIN", 0.3)
    monkeypatch.setattr(exposition, "_ASKERS", 1)
    async with serve_metrics(service) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\n")
        async with asyncio.timeout(10):
            while (await asked(port, GET))[0] != "HTTP/1.1 503 Service Unavailable":
                pass
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        assert (await asked(port, GET))[0] == "HTTP/1.1 200 OK"


async def test_a_taken_port_is_an_alert_and_no_crash_and_the_alert_ends(
    service: Service, database: Scratch
) -> None:
    async with serve_metrics(service) as port:
        taken = service.settings.metrics.model_copy(update={"listen": f"127.0.0.1:{port}"})
        second = Service(service.db, service.settings.model_copy(update={"metrics": taken}))
        async with serve_metrics(second) as none:
            assert none == 0
        (alert,) = database.run("SELECT kind, sentence FROM app.alerts WHERE closed_at IS NULL")
        assert alert["kind"] == "metrics_not_served"
        assert f"not served at 127.0.0.1:{port}: " in alert["sentence"]
    async with serve_metrics(second) as again:
        assert again == port
    assert database.run("SELECT 1 FROM app.alerts WHERE closed_at IS NULL") == []


async def test_switched_off_nothing_listens(service: Service) -> None:
    off = Settings.model_validate({"metrics": {"enabled": False}})
    async with serve_metrics(Service(service.db, off)) as port:
        assert port == 0


async def test_without_the_database_the_answer_says_down(service: Service) -> None:
    await service.db.close()
    async with serve_metrics(service) as port:
        status, body = await asked(port, GET)
    assert status == "HTTP/1.1 200 OK"
    assert "policywatch_up 0.0" in body


async def test_queues_and_loops_are_kept_for_a_look_back(service: Service, database: Scratch) -> None:
    await store_measures(service)
    names = {row["name"] for row in database.run("SELECT DISTINCT name FROM app.system_metrics")}
    assert names >= {"policywatch_queue_waiting", "policywatch_pool", "policywatch_loop_idle_seconds"}
    assert not any(name.startswith("policywatch_table_") for name in names)
