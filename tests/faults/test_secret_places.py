"""R32: secrets come from five places; six unsafe ones are refused with the reason; a wrong master key writes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from policywatch.db import credentials
from policywatch.db.pool import Database
from tests.databases import Scratch
from tests.unprivileged import Unprivileged, unprivileged

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def account() -> Iterator[Unprivileged]:
    with unprivileged() as made:
        yield made


def case(account: Unprivileged, name: str) -> dict[str, Any]:
    """One case in a process of its own, which must end by itself."""
    answer = account.run("-m", "tests.faults.secret_places", str(account.folder / name), name, seconds=20)
    told: dict[str, Any] = json.loads(answer)
    assert told["uid"] != 0
    return told


@pytest.mark.parametrize("place", ["credential", "file", "environment", "allowed", "terminal"])
def test_a_secret_comes_from_each_of_five_places_and_is_shown_nowhere(
    account: Unprivileged, place: str
) -> None:
    told = case(account, place)
    assert told.get("right"), told
    assert told["shown"] == "SecretText(hidden)"
    assert not told.get("echoed")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("mode", "it has mode 0644"),
        ("symlink", "it is a symbolic link"),
        ("owner", "it belongs to another account"),
        ("null", "the keyring keyring.backends.null is not one that keeps secrets, and was not asked"),
        ("plaintext", "the keyring keyrings.alt.file is not one that keeps secrets, and was not asked"),
        ("hanging", "the keyring did not answer within 3 s"),
    ],
)
def test_an_unsafe_place_is_refused_with_the_reason(account: Unprivileged, place: str, reason: str) -> None:
    told = case(account, place)
    assert reason in told["sentence"]
    assert told["remedy"]
    assert told["seconds"] <= 3.5 or sys.gettrace()
    assert told["state"] == (reason if "keyring" in reason else "no desktop session: no keyring is asked")


@pytest.mark.needs_db
async def test_a_daemon_with_a_wrong_master_key_ends_and_wrote_no_row(
    database: Scratch, tmp_path: Path
) -> None:
    async with await Database.open(database.daemon) as db:
        assert await credentials.check_keys(db, lambda _: b"r" * 32) == [1]
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "policywatch.key").write_bytes(b"w" * 32)
    (state / "policywatch.key").chmod(0o600)
    before = _rows(database)

    code, said = await _daemon(database, state)

    assert code == 2, said
    assert "the master key here is not the one that this database was written under (version 1)" in said
    assert "Traceback" not in said
    assert _rows(database) == before

    (state / "policywatch.key").write_bytes(b"r" * 32)
    code, said = await _daemon(database, state, "once")  # the right one, on the same path, works
    assert code == 0, said


def _rows(database: Scratch) -> dict[str, int]:
    """Every table of ours with all that was ever inserted, changed or deleted, as far as rows show it."""
    tables = database.run(
        "SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p')"
    )
    return {
        table["name"]: database.run(
            f"SELECT coalesce(sum(xmin::text::bigint), 0) + count(*) AS n FROM {table['name']}"
        )[0]["n"]
        for table in tables
    }


async def _daemon(database: Scratch, state: Path, verb: str = "run") -> tuple[int, str]:
    """`policywatchd` as a process of its own; how it ended and what it said."""
    login = conninfo_to_dict(database.daemon)
    password = str(login.pop("password"))
    wanted = {
        "catalogue": "none",
        "database": {
            "mode": "dsn",
            "dsn": make_conninfo("", **{key: str(value) for key, value in login.items()}),
            "daemon_user": login["user"],
            "daemon_password": {"secret": "daemon"},
            "state_folder": str(state),
        },
        "metrics": {"enabled": False},
    }
    config = state / "policywatch.yaml"
    config.write_text(json.dumps(wanted), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from policywatchd.main import main; main()"),
        *("--config", str(config), verb),
        env=os.environ | {"POLICYWATCH_SECRET_DAEMON": password},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    began = time.monotonic()
    try:
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert time.monotonic() - began < 30
    return process.returncode or 0, said.decode()
