"""kill -9 of the daemon in the middle of a send: nobody gets two mails, and no recipient is lost."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from policywatch.simulated.mail import SmtpSink
from tests.daemon.mailing import World, addresses, members_csv, world
from tests.databases import Scratch

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]

COUNT, WINDOW, CONNECTIONS = 300, 20, 4


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink(delay=0.03) as made:
        yield made


@pytest.fixture
async def scene(database: Scratch, tmp_path: Path, sink: SmtpSink) -> AsyncIterator[World]:
    async with world(database, tmp_path) as made:
        made.port = sink.port
        made.mail = {"window": WINDOW, "connections": CONNECTIONS}
        made.members.write_text(members_csv(COUNT), encoding="utf-8")
        yield made


@asynccontextmanager
async def daemon(scene: World, database: Scratch, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`policywatchd run` as a process of its own; killed at the end if it still runs."""
    login = conninfo_to_dict(database.daemon)
    password = str(login.pop("password"))
    settings = scene.settings()
    wanted = {
        "catalogue": "none",
        "database": {
            "mode": "dsn",
            "dsn": make_conninfo("", **{key: str(value) for key, value in login.items()}),
            "daemon_user": login["user"],
            "daemon_password": {"secret": "daemon"},
            "state_folder": str(settings.database.state_folder),
        },
        "guidance": {"grace_period": "5 min"},
        "members": {"file": str(scene.members)},
        "mail": settings.mail.model_dump(mode="json", exclude_none=True),
        "metrics": {"enabled": False},
    }
    config = scene.folder / "policywatch.yaml"
    config.write_text(json.dumps(wanted), encoding="utf-8")  # JSON is YAML
    with (scene.folder / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from policywatchd.main import main; main()", "run", "--config", str(config),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "POLICYWATCH_SECRET_DAEMON": password},
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        print((scene.folder / f"{name}.log").read_text(encoding="utf-8")[-3000:])


async def test_after_kills_in_the_middle_nobody_got_two_mails_and_none_is_lost(
    scene: World, database: Scratch, sink: SmtpSink
) -> None:
    kills = 3
    request = publication = 0
    for kill in range(1, kills + 1):
        async with daemon(scene, database, f"daemon-{kill}") as process:
            if not publication:
                request = await scene.submit()
                await scene.counted(request)
                publication = await scene.approve(request)
                await scene.move_clock("6 minutes")
            await sink.wait_for(70 * kill)
            process.kill()
            await process.wait()
        held = await scene.states()
        assert 0 < held.get("sending", 0) <= WINDOW, held
    async with daemon(scene, database, "daemon-last"):
        await scene.until_state(publication, "sent", seconds=30)

    got = sink.recipients()
    assert sink.duplicates() == 0 and max(got.values()) == 1, "somebody got two mails"
    states = await scene.states()
    assert set(states) <= {"sent", "uncertain"} and sum(states.values()) == COUNT, states
    # The journal proves all but the mails that were between DATA and its answer: one a connection.
    uncertain = states.get("uncertain", 0)
    assert uncertain <= kills * CONNECTIONS, states
    rows = await scene.rows("SELECT state, message_id FROM app.publication_recipients")
    arrived = {mail.message_id for mail in sink.mails}
    assert {row["message_id"] for row in rows if row["state"] == "sent"} <= arrived, "falsely called sent"
    assert arrived <= {row["message_id"] for row in rows}
    assert set(got) <= set(addresses(COUNT))
    events = await scene.rows("SELECT kind, count(*) AS n FROM app.delivery_events GROUP BY 1")
    assert {row["kind"]: row["n"] for row in events} == states
    alerts = await scene.value("SELECT count(*) FROM app.alerts WHERE kind = 'recipients_uncertain'")
    assert alerts == (1 if uncertain else 0)
