"""Backup and restore: what is in it, that it wakes frozen, and what becomes of a broken one.

Long on purpose: one backup, and everything that may happen to it before somebody restores it.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from policywatch.db import backup, migrate
from policywatch.db.embedded import Server
from policywatch.db.pool import Database
from policywatch.errors import NotAllowed, PolicyWatchError, UsageError
from policywatch.simulated.mail import Refusal, SmtpSink
from policywatchd.publish import loop
from tests.daemon.mailing import APPROVER, AUTHOR, Room, World, world
from tests.databases import QUICK, Cluster, Scratch, embedded_folder

pytestmark = pytest.mark.needs_db

SCRIPTS = Path(__file__).parents[2] / "monitoring" / "backup"
TABLES = """
SELECT c.relname AS name FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'p')
"""


def counts(conninfo: str) -> dict[str, int]:
    """Rows of every table of app, counted here and not by the program."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        names = [row[0] for row in connection.execute(TABLES).fetchall()]
        found = {}
        for name in names:
            row = connection.execute(f'SELECT count(*) FROM app."{name}"'.encode()).fetchone()
            assert row is not None
            found[name] = row[0]
        return found


#: What waking writes: the pause of the publication that was being sent and the restore itself, both in the audit;
#: the count of its uncertain recipients.
WOKEN = {"audit_log": 2, "publication_counts": 1}


def woken(rows: Mapping[str, int]) -> dict[str, int]:
    """The counts of a database after it woke."""
    return {table: count + WOKEN.get(table, 0) for table, count in rows.items()}


def databases(cluster: Cluster) -> set[str]:
    with cluster.connect() as connection:
        return {row["datname"] for row in connection.execute("SELECT datname FROM pg_database")}


@dataclass
class Desk:
    """The command line of an operator: settings that lead to one database."""

    config: Path
    backups: Path
    env: dict[str, str]

    def run(self, *command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command], env=self.env, capture_output=True, text=True, timeout=60, **more
        )

    def policywatch(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return self.run(
            sys.executable, "-m", "policywatch_tui.main", "--config", self.config, *arguments, **more
        )


@pytest.fixture
def desk(database: Scratch, tmp_path: Path) -> Desk:
    parts = conninfo_to_dict(database.owner)
    password = str(parts.pop("password", ""))
    backups = tmp_path / "backups"
    wanted = {
        "catalogue": "none",
        "database": {
            "mode": "dsn",
            "dsn": make_conninfo("", **{k: str(v) for k, v in parts.items()}),
            "owner_password": {"secret": "owner"} if password else None,
            "state_folder": str(tmp_path / "state"),
        },
        "backup": {"folder": str(backups)},
    }
    config = tmp_path / "policywatch.yaml"
    config.write_text(json.dumps(wanted), encoding="utf-8")  # JSON is YAML
    own = Path(sys.executable).parent
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("POLICYWATCH_")},
        "PATH": f"{own}:{os.environ['PATH']}",
        "POLICYWATCH_SECRET_OWNER": password,
    }
    return Desk(config, backups, env)


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as made:
        yield made


@pytest.fixture
async def scene(database: Scratch, tmp_path: Path, sink: SmtpSink) -> AsyncIterator[World]:
    async with world(database, tmp_path) as made:
        made.port = sink.port
        yield made


@pytest.fixture
def target(server: Cluster) -> Iterator[str]:
    """The name of a database that a restore may make."""
    name = f"pwt_{server.run}_restored"
    yield name
    server.drop(name)


async def lived(scene: World, sink: SmtpSink) -> tuple[int, int]:
    """One publication sent, one held up by the relay, one in its grace; the last two."""
    async with scene.room() as room:
        first = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(first, "sent")
        sink.refusals["m1@members.test"] = Refusal("451 4.7.1 <m1@members.test> later, please", times=99)
        held = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until(
            "SELECT count(*) = 1 FROM app.publication_recipients WHERE publication_id = %s AND state = 'deferred'",
            held,
        )
        waiting = await scene.approved(room)
    assert await scene.states() == {"sent": 9, "deferred": 1}
    return held, waiting


@asynccontextmanager
async def awake(scene: World, cluster: Cluster, name: str) -> AsyncIterator[tuple[World, Room]]:
    """A daemon's publishing room on the restored database, and the people who worked in the old one."""
    restored = Scratch(cluster, name)
    people = {}
    for person in (AUTHOR, APPROVER):
        login = cluster.login(cluster.role(person), name)
        people[person] = await psycopg.AsyncConnection.connect(login, autocommit=True, row_factory=dict_row)
    owner = await psycopg.AsyncConnection.connect(restored.superuser, autocommit=True, row_factory=dict_row)
    there = World(owner, people, restored.daemon, scene.folder, scene.port, scene.mail)
    try:
        async with there.room("restored-daemon") as room:
            yield there, room
    finally:
        for connection in (owner, *people.values()):
            await connection.close()


async def turns(there: World, room: Room, count: int = 6) -> None:
    """Let the room look so many times."""
    wanted = room.turns + count
    while room.turns < wanted:
        room.woken.set()
        await there.until("SELECT true")


async def test_a_restored_database_is_whole_wakes_frozen_and_sends_only_after_two_people_thaw_it(
    scene: World, sink: SmtpSink, database: Scratch, desk: Desk, server: Cluster, target: str
) -> None:
    held, waiting = await lived(scene, sink)
    before = counts(database.owner)

    made = await asyncio.to_thread(desk.run, SCRIPTS / "backup.sh", "--config", desk.config, "--json")
    assert made.returncode == 0, made.stderr
    manifest = json.loads(made.stdout)
    place = Path(manifest["backup"])
    assert manifest["rows"] == before == counts(database.owner)
    assert {path.name for path in place.iterdir()} == {backup.DUMP, backup.MANIFEST}
    assert [path.stat().st_mode & 0o777 for path in (place, *place.iterdir())] == [0o700, 0o600, 0o600]
    shown = await asyncio.to_thread(desk.policywatch, "backup", "list", "--json")
    assert [(row["backup"], row["state"]) for row in json.loads(shown.stdout)["backups"]] == [
        (str(place), "complete")
    ]

    done = await asyncio.to_thread(
        desk.run, SCRIPTS / "restore.sh", "--config", desk.config, "--json", place.name, target
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {
        "database": target,
        "tables": len(before),
        "rows": sum(before.values()),
        "uncertain": 1,
        "frozen": True,
    }
    assert counts(Scratch(server, target).owner) == woken(before)

    mails = len(sink.mails)
    sink.refusals.clear()
    async with awake(scene, server, target) as (there, room):
        assert await there.value("SELECT value FROM app.system_config WHERE key = 'frozen'") is True
        await there.move_clock("10 minutes")
        await turns(there, room)
        states = {
            row["id"]: row["state"]
            for row in await there.rows("SELECT id, state FROM app.guidance_publications")
        }
        assert (states[held], states[waiting]) == ("paused", "grace")
        assert await there.states() == {"sent": 9, "uncertain": 1}
        assert len(sink.mails) == mails, "a frozen database sent mail"

        first = await there.act(APPROVER, "thaw_system(%s)", uuid4())
        again = await there.act(APPROVER, "thaw_system(%s)", uuid4())
        assert (first["ok"], again["code"]) == (True, "PW403")
        await turns(there, room)
        assert len(sink.mails) == mails, "one person thawed it"
        await there.rows(
            "UPDATE app.users SET role = 'approver' WHERE name = %s", database.login_name(AUTHOR)
        )
        await there.rows(f'GRANT pw_approver TO "{database.login_name(AUTHOR)}"')
        second = await there.act(AUTHOR, "thaw_system(%s)", uuid4())
        assert second["ok"], second
        await turns(there, room, 1)
        await there.until_state(waiting, "sent")
        assert len(sink.mails) == mails + 5
        assert (
            await there.value("SELECT state FROM app.guidance_publications WHERE id = %s", held) == "paused"
        )


async def test_a_backup_is_restored_in_a_cluster_that_never_saw_the_program(
    scene: World, sink: SmtpSink, database: Scratch, tmp_path: Path
) -> None:
    await lived(scene, sink)
    place, manifest = await backup.create(database.owner, tmp_path / "backups", program="test")
    with embedded_folder() as folder:
        other = Server(folder, extra=QUICK)
        await asyncio.to_thread(other.start)
        try:
            owner = other.conninfo("postgres")
            restored = await backup.restore(owner, place, "moved", programs=other.programs())
            assert (restored.rows, restored.uncertain) == (sum(manifest.rows.values()), 1)
            moved = other.conninfo("postgres", "moved")
            assert counts(moved) == woken(manifest.rows)
            again = await migrate.up(moved, admin_name=database.cluster.role("admin"), peer=True)
            assert (again.done, again.api) == ((), False)
            assert again.admin is not None
            assert again.admin.made
            assert await migrate.verify(moved) == await migrate.verify(database.owner)
            async with await Database.open(other.conninfo("pw_daemon", "moved")) as db:
                room = Room(scene.settings(), db)
                running = asyncio.create_task(loop.run(room))
                while room.turns < 4:
                    room.woken.set()
                    await asyncio.sleep(0.02)
                room.stopping.set()
                await asyncio.wait_for(running, 20)
        finally:
            await asyncio.to_thread(other.stop)


# What is broken ---------------------------------------------------------------------------------------


def bitten(place: Path) -> None:
    dump = place / backup.DUMP
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)


def cut(place: Path) -> None:
    dump = place / backup.DUMP
    dump.write_bytes(dump.read_bytes()[:-1000])


def cut_and_believed(place: Path) -> None:
    """The manifest names the damaged dump: pg_restore itself must find it."""
    cut(place)
    rewrite(place, sha256=backup._hashed(place / backup.DUMP))


def another_count(place: Path) -> None:
    rows = backup.read_manifest(place).rows
    rewrite(place, rows={**rows, "users": rows["users"] + 1})


def another_extension(place: Path) -> None:
    rewrite(place, timescaledb="0.0.1")


def no_manifest(place: Path) -> None:
    (place / backup.MANIFEST).unlink()


def rewrite(place: Path, **changed: object) -> None:
    path = place / backup.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changed), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (bitten, "is not the one its manifest names"),
        (cut, "is not the one its manifest names"),
        (cut_and_believed, "pg_restore failed"),
        (another_count, "The restored rows differ from the manifest in: users"),
        (another_extension, "was made with TimescaleDB 0.0.1, which this server does not offer"),
        (no_manifest, "is no backup: its manifest is missing"),
    ],
    ids=lambda case: getattr(case, "__name__", ""),
)
async def test_a_damaged_backup_is_refused_and_leaves_no_database(
    damage: Callable[[Path], None],
    sentence: str,
    database: Scratch,
    desk: Desk,
    server: Cluster,
    target: str,
) -> None:
    place, _ = await backup.create(database.owner, desk.backups, program="test")
    there = databases(server)
    damage(place)

    refused = await asyncio.to_thread(desk.policywatch, "backup", "restore", str(place), "--into", target)

    assert refused.returncode == 1, refused.stderr
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 2, "a sentence and a remedy"
    assert databases(server) == there


async def test_a_restore_never_writes_into_a_database_that_is_there(
    database: Scratch, desk: Desk, server: Cluster
) -> None:
    place, _ = await backup.create(database.owner, desk.backups, program="test")
    before = counts(database.owner)

    refused = await asyncio.to_thread(
        desk.policywatch, "backup", "restore", str(place), "--into", database.name
    )
    assert refused.returncode == 2
    assert f"The database {database.name} exists; a restore never writes into one." in refused.stderr
    assert counts(database.owner) == before
    with pytest.raises(UsageError, match="cannot be the name of a database"):
        await backup.restore(database.owner, place, 'x"; DROP')


async def test_a_backup_that_finds_no_room_leaves_nothing_and_older_ones_as_they_were(
    database: Scratch, desk: Desk
) -> None:
    older, _ = await backup.create(database.owner, desk.backups, program="test")
    content = {path.name: path.read_bytes() for path in older.iterdir()}

    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    refused = await asyncio.to_thread(desk.policywatch, "backup", "create", preexec_fn=small_files_only)

    assert refused.returncode == 1, refused.stderr
    assert "pg_dump failed: " in refused.stderr
    assert "nothing was kept of it" in refused.stderr
    assert list(desk.backups.iterdir()) == [older]
    assert {path.name: path.read_bytes() for path in older.iterdir()} == content


async def test_a_folder_that_cannot_hold_backups_is_named(database: Scratch, desk: Desk) -> None:
    desk.backups.write_text("a file stands where the folder should")

    refused = await asyncio.to_thread(desk.policywatch, "backup", "create")

    assert refused.returncode == 2, refused.stderr
    assert f"{desk.backups} cannot hold backups: " in refused.stderr
    assert "Set backup.folder to a writable folder." in refused.stderr


async def test_a_folder_without_a_manifest_is_listed_as_broken(database: Scratch, desk: Desk) -> None:
    place, _ = await backup.create(database.owner, desk.backups, program="test")
    no_manifest(place)

    assert backup.listed(desk.backups) == [(place, None)]


async def test_who_is_no_owner_makes_no_backup_and_restores_none(database: Scratch, tmp_path: Path) -> None:
    with pytest.raises(PolicyWatchError, match="The database refused: permission denied"):
        await backup.create(database.person("cem", "viewer"), tmp_path / "backups", program="test")
    assert not (tmp_path / "backups").exists()

    place, _ = await backup.create(database.owner, tmp_path / "backups", program="test")
    there = databases(database.cluster)
    with pytest.raises(NotAllowed, match="is no superuser of that server"):
        await backup.restore(database.admin, place, f"{database.name}_2")
    assert databases(database.cluster) == there
