"""policywatchd as a process: exit codes, the clean stop, and no pretend page in a real history."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from policywatch.simulated.texts import PLATFORMS, Document
from policywatch.simulated.web import Trouble
from policywatch.simulated.world import platforms_settings
from tests.daemon.collecting_world import World, open_world
from tests.databases import Scratch

pytestmark = [pytest.mark.needs_db]


@pytest_asyncio.fixture
async def world(database: Scratch) -> AsyncIterator[World]:
    async with open_world(database, PLATFORMS[:2]) as opened:
        yield opened


def settings_file(world: World, folder: Path, *, cadence: str = "1 h") -> Path:
    """A settings file for the test's database; the password comes by the environment."""
    parts = conninfo_to_dict(world.scratch.daemon)
    parts.pop("password")
    user = parts.pop("user")
    state = folder / "state"
    state.mkdir(mode=0o700)
    path = folder / "policywatch.yaml"
    path.write_text(
        json.dumps(
            {
                "catalogue": "none",
                "platforms": platforms_settings(PLATFORMS[:2], cadence=cadence),
                "fetch": {"min_gap": "1 ms", "timeout": "2 s", "second_look": "off"},
                "metrics": {"enabled": False},
                "database": {
                    "mode": "dsn",
                    "dsn": make_conninfo("", **parts),
                    "daemon_user": user,
                    "state_folder": str(state),
                },
            }
        )
    )
    return path


async def start(world: World, settings: Path, *arguments: str) -> asyncio.subprocess.Process:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("POLICYWATCH_")}
    environment["PGPASSWORD"] = str(conninfo_to_dict(world.scratch.daemon)["password"])
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "policywatchd.main", "--config", str(settings), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    out, told = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode is not None
    return process.returncode, out.decode(), told.decode()


async def test_once_prints_what_it_could_not_read_and_exits_6(world: World, tmp_path: Path) -> None:
    settings = settings_file(world, tmp_path)
    world.web.spoil(Document("x", "privacy-policy"), Trouble.SERVER_ERROR)
    web = f"127.0.0.1:{world.web.port}"

    code, out, _ = await ended(await start(world, settings, "once", "--web", web, "--json"))
    again = await ended(await start(world, settings, "once", "facebook", "--web", web))

    told = json.loads(out)
    assert code == 6
    assert told["visits"] == 6 and told["outcomes"] == {"first": 5, "failed": 1}
    assert told["unread"] == [
        {
            "platform": "x",
            "document": "privacy-policy",
            "url": "http://x.test/privacy-policy",
            "cause": "the page answers 500 Internal Server Error",
        }
    ]
    assert again[0] == 0 and "3 documents visited" in again[1]


async def test_a_name_that_is_not_there_is_a_usage_error(world: World, tmp_path: Path) -> None:
    settings = settings_file(world, tmp_path)
    web = f"127.0.0.1:{world.web.port}"
    code, _, told = await ended(await start(world, settings, "once", "x/nothing", "--web", web))

    assert code == 2 and 'No active document with a page is named "x/nothing"' in told


async def test_nothing_is_simulated_in_a_real_database(world: World, tmp_path: Path) -> None:
    settings = settings_file(world, tmp_path)
    world.rows("UPDATE app.system_config SET value = '\"installation\"' WHERE key = 'origin'")
    web = f"127.0.0.1:{world.web.port}"
    code, _, told = await ended(await start(world, settings, "simulate", "--web", web))

    assert code == 4 and "nothing is simulated" in told
    assert world.web.log == []


async def test_a_real_run_never_reaches_loopback(world: World, tmp_path: Path) -> None:
    settings = settings_file(world, tmp_path)
    content = json.loads(settings.read_text())
    pages = {"name": "Inside", "pages": [{"url": f"http://127.0.0.1:{world.web.port}/", "select": ["main"]}]}
    content["platforms"] = {"x": {"name": "X", "documents": {"inside": pages}}}
    settings.write_text(json.dumps(content))

    code, out, _ = await ended(await start(world, settings, "once", "--json"))

    assert code == 6 and "not public" in json.loads(out)["unread"][0]["cause"]
    assert world.web.log == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_daemon_cleanly(world: World, tmp_path: Path, number: signal.Signals) -> None:
    settings = settings_file(world, tmp_path, cadence="1 s")
    daemon = await start(world, settings, "simulate", "--web", f"127.0.0.1:{world.web.port}")
    await world.until("SELECT count(*) >= 12 FROM app.captures")
    daemon.send_signal(number)
    code, _, told = await ended(daemon)

    assert code == 0, told
    assert "daemon_stopped" in told
    assert "Traceback" not in told
    assert world.value("SELECT count(*) FROM app.workers WHERE stopped_at IS NOT NULL") == 1
    assert world.value("SELECT count(*) FROM app.policy_documents WHERE owner IS NOT NULL") == 0
    assert world.value("SELECT count(*) FROM app.hosts WHERE owner IS NOT NULL") == 0


async def test_a_daemon_whose_connections_are_cut_goes_on(world: World, tmp_path: Path) -> None:
    settings = settings_file(world, tmp_path, cadence="1 s")
    daemon = await start(world, settings, "simulate", "--web", f"127.0.0.1:{world.web.port}")
    await world.until("SELECT count(*) >= 6 FROM app.captures")
    for _ in range(3):
        with psycopg.connect(world.scratch.superuser, autocommit=True) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        count = world.value("SELECT count(*) FROM app.captures")
        await world.until(f"SELECT count(*) > {count} + 3 FROM app.captures")
    daemon.send_signal(signal.SIGTERM)
    code, _, told = await ended(daemon)

    assert code == 0, told
    assert world.value("SELECT count(*) = count(DISTINCT (page_id, fence)) FROM app.captures")
