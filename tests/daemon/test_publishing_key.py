"""The master key: made with the first schema, and never by a daemon that misses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from policywatch import secrets
from policywatch.db import migrate, setup
from policywatch.errors import PolicyWatchError
from policywatch.settings import Settings
from policywatch.simulated.mail import SmtpSink
from tests.daemon.mailing import World, world
from tests.databases import Cluster, Scratch, for_settings

pytestmark = pytest.mark.needs_db


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as made:
        yield made


@pytest.fixture
async def scene(database: Scratch, tmp_path: Path, sink: SmtpSink) -> AsyncIterator[World]:
    async with world(database, tmp_path) as made:
        made.port = sink.port
        yield made


async def test_without_the_master_key_nothing_is_mailed_and_an_alert_says_so_until_it_is_back(
    scene: World, sink: SmtpSink
) -> None:
    async with scene.room() as room:
        publication = await scene.approved(room)
    key = scene.settings().database.state_folder / secrets.KEY_FILE
    kept = key.rename(key.with_name("kept"))
    scene.keyed = False
    await scene.move_clock("6 minutes")
    async with scene.room() as room:
        await scene.until(
            "SELECT count(*) = 1 FROM app.alerts WHERE kind = 'master_key' AND closed_at IS NULL"
        )
        alert = (await scene.rows("SELECT level, sentence FROM app.alerts WHERE kind = 'master_key'"))[0]
        assert alert["level"] == "critical"
        assert f"there is no master key in {key}" in alert["sentence"]
        assert "put the old key file back" in alert["sentence"]
        assert not key.exists()
        assert (await scene.value("SELECT state FROM app.guidance_publications"), sink.mails) == ("grace", [])
        kept.rename(key)
        room.woken.set()
        await scene.until_state(publication, "sent")
        assert await scene.value("SELECT closed_at IS NOT NULL FROM app.alerts WHERE kind = 'master_key'")
    assert len(sink.mails) == 5


async def test_the_first_schema_comes_with_a_key_and_no_later_start_makes_another(
    server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = server.create()
    state = tmp_path / "state"
    settings = Settings.model_validate(
        {
            "database": {
                "mode": "dsn",
                "dsn": for_settings(make_conninfo(server.superuser, dbname=name), monkeypatch),
                "state_folder": str(state),
            }
        }
    )
    try:
        state.mkdir(mode=0o777)
        state.chmod(0o777)
        (state / secrets.KEY_FILE).write_bytes(b"k" * 32)  # an unsafe one is not used: no schema either
        with pytest.raises(PolicyWatchError, match="not used for secrets"):
            await setup.prepare(settings)
        assert (await migrate.status(make_conninfo(server.superuser, dbname=name))).have == 0
        (state / secrets.KEY_FILE).unlink()
        state.chmod(0o700)

        await setup.prepare(settings)
        key = secrets.master_key(state, env={})
        await setup.prepare(settings)
        assert secrets.master_key(state, env={}) == key
        (state / secrets.KEY_FILE).unlink()
        await setup.prepare(settings)
        with pytest.raises(PolicyWatchError, match="there is no master key"):
            secrets.master_key(state, env={})
    finally:
        server.drop(name)
