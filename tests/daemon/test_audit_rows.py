"""What the daemon does without an act of a person has its audit row too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policywatch import secrets
from policywatch.db import workers
from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatch.simulated.mail import SmtpSink
from policywatchd.service import Service
from policywatchd.upkeep import loop as upkeep
from tests.daemon.mailing import World, world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


@pytest.fixture
async def scene(database: Scratch, tmp_path: Path) -> AsyncIterator[World]:
    async with SmtpSink() as sink, world(database, tmp_path) as made:
        made.port = sink.port
        yield made


def rows(database: Scratch, action: str) -> list[dict[str, object]]:
    return database.run(
        "SELECT actor, object_kind, object_id, outcome, before, after FROM app.audit_log WHERE action LIKE %s"
        " ORDER BY id",
        action,
    )


async def test_an_alert_has_a_row_when_it_opens_and_when_it_closes(database: Scratch) -> None:
    async with await Database.open(database.daemon) as db:
        for _ in range(3):
            number = await workers.open_alert(db, "late", "x/terms", "It is late.")
        assert await workers.close_alert(db, "late", "x/terms")
        assert not await workers.close_alert(db, "late", "x/terms")
    opened, closed = rows(database, "alert.open"), rows(database, "alert.close")
    assert [(r["object_id"], r["actor"]) for r in opened] == [(str(number), database.cluster.role("daemon"))]
    assert [r["after"] for r in closed] == [
        {"kind": "late", "subject": "x/terms", "level": "warning", "times": 3}
    ]


async def test_the_health_of_a_document_has_a_row_for_each_transition(database: Scratch) -> None:
    database.run("INSERT INTO app.platforms (key, name, position) VALUES ('q', 'Q', 99)")
    database.run(
        "INSERT INTO app.policy_documents (platform_id, key, name) SELECT id, 'terms', 'Terms' FROM app.platforms"
        " WHERE key = 'q'"
    )
    for health in ("ok", "ok", "degraded", "ok"):
        database.run(
            "UPDATE app.policy_documents SET health = %s WHERE key = 'terms' AND name = 'Terms'", health
        )
    told = [r for r in rows(database, "document.health") if r["object_id"] == "q/terms"]
    assert [(r["before"], r["after"]) for r in told] == [
        ({"health": "never"}, {"health": "ok"}),
        ({"health": "ok"}, {"health": "degraded"}),
        ({"health": "degraded"}, {"health": "ok"}),
    ]


async def test_the_use_of_keys_has_a_row_with_their_labels_and_nothing_else(
    scene: World, database: Scratch
) -> None:
    async with scene.room():
        await scene.until("SELECT count(*) = 1 FROM app.audit_log WHERE action = 'key.used'")
    (used,) = rows(database, "key.used")
    assert used["after"] == {
        "labels": ["recipient-hash/1", "recipient-addr/1", "msgid/1"],
        "secrets": [],
    }
    key = (scene.settings().database.state_folder / secrets.KEY_FILE).read_bytes()
    assert key.hex() not in str(rows(database, "%"))


async def test_the_end_of_a_request_has_a_row(scene: World, database: Scratch) -> None:
    async with scene.room() as room:
        await scene.approved(room)
    (ended,) = rows(database, "request.done")
    assert ended["after"] == {"kind": "count_audience", "requested_by": ended["after"]["requested_by"]}  # type: ignore[index]


async def test_a_running_daemon_seals_what_it_finds(database: Scratch) -> None:
    settings = Settings.model_validate({"metrics": {"enabled": False}})
    async with await Database.open(database.daemon) as db:
        service = Service(db, settings)
        running = asyncio.create_task(upkeep.run(service))
        async with asyncio.timeout(20):
            while not database.run("SELECT id FROM app.audit_seals"):  # noqa: ASYNC110 - the database sets no event
                await asyncio.sleep(0.02)
        service.stop()
        await asyncio.wait_for(running, 20)
    (seal,) = database.run("SELECT epoch, low::text AS low FROM app.audit_seals")
    assert seal == {"epoch": 1, "low": "0"}
