"""Migrations: forward, back, once, and the refusals to guess. A small folder stands in for the shipped one."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from policywatch.db import migrate
from policywatch.db.logins import one_time_password, verifier
from policywatch.db.setup import ensure_database, require_current
from policywatch.db.steps import api_files, shipped, steps
from policywatch.errors import PolicyWatchError, ServiceAway
from tests.databases import Cluster, Scratch

pytestmark = pytest.mark.needs_db


@pytest.fixture
def empty(server: Cluster) -> Iterator[str]:
    """The conninfo of an empty database."""
    name = server.create()
    yield make_conninfo(server.superuser, dbname=name)
    server.drop(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations and two api files."""
    (tmp_path / "001_first.sql").write_text(
        "CREATE TABLE app.books (title text);\nINSERT INTO app.books VALUES ('$$ ; %s');\n"
    )
    (tmp_path / "001_first.down.sql").write_text("DROP TABLE app.books;\n")
    (tmp_path / "002_second.sql").write_text("ALTER TABLE app.books ADD COLUMN pages integer;\n")
    (tmp_path / "002_second.down.sql").write_text("ALTER TABLE app.books DROP COLUMN pages;\n")
    api = tmp_path / "api"
    api.mkdir()
    (api / "010_view.sql").write_text("CREATE OR REPLACE VIEW app.shelf AS SELECT title FROM app.books;\n")
    return tmp_path


def ask(conninfo: str, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        cursor = connection.execute(question.encode())
        return cursor.fetchall() if cursor.description else []


def tables(conninfo: str) -> list[object]:
    return [
        row[0]
        for row in ask(
            conninfo,
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('app') AND relkind = 'r' ORDER BY 1",
        )
    ]


async def test_up_applies_each_file_once_and_the_views_when_they_changed(empty: str, folder: Path) -> None:
    said = list[str]()
    first = await migrate.up(empty, folder=folder, say=said.append)
    assert (first.version, first.done, first.api) == (2, ("001_first", "002_second"), True)
    assert said == ["Applying 001_first ...", "Applying 002_second ...", "Applying views and acts ..."]
    second = await migrate.up(empty, folder=folder)
    assert (second.done, second.api) == ((), False)
    (folder / "api" / "010_view.sql").write_text(
        "DROP VIEW app.shelf; CREATE VIEW app.shelf AS SELECT pages FROM app.books;\n"
    )
    assert await migrate.verify(empty, folder=folder) == (
        "The views and acts are not those of this program.",
    )
    third = await migrate.up(empty, folder=folder)
    assert (third.done, third.api) == ((), True)
    assert await migrate.verify(empty, folder=folder) == ()
    assert ask(empty, "SELECT * FROM app.shelf") == [(None,)]
    assert ask(empty, "SELECT title FROM app.books") == [("$$ ; %s",)]


async def test_status_says_what_is_there_and_what_is_wanted(empty: str, folder: Path) -> None:
    before = await migrate.status(empty, folder=folder)
    assert (before.have, before.want, before.current) == (0, 2, False)
    with pytest.raises(PolicyWatchError, match="at migration 0; this program needs 2"):
        await require_current(empty, folder=folder)
    await migrate.up(empty, folder=folder)
    after = await require_current(empty, folder=folder)
    assert [(s.version, s.state) for s in after.steps] == [(1, "applied"), (2, "applied")]
    assert after.current


async def test_down_leaves_nothing_and_to_a_number_leaves_the_rest(empty: str, folder: Path) -> None:
    (folder / "api" / "010_view.sql").unlink()
    await migrate.up(empty, folder=folder)
    partly = await migrate.down(empty, to=1, folder=folder)
    assert (partly.version, partly.done) == (1, ("002_second",))
    assert tables(empty) == ["api_files", "books", "schema_migrations"]
    wholly = await migrate.down(empty, folder=folder)
    assert (wholly.version, wholly.done) == (0, ("001_first",))
    assert ask(empty, "SELECT to_regnamespace('app')") == [(None,)]
    assert (await migrate.up(empty, folder=folder)).version == 2


async def test_a_migration_without_a_way_back_is_not_half_undone(empty: str, folder: Path) -> None:
    (folder / "001_first.down.sql").unlink()
    await migrate.up(empty, folder=folder)
    with pytest.raises(PolicyWatchError, match="no way back from 001_first"):
        await migrate.down(empty, folder=folder)
    assert (await migrate.status(empty, folder=folder)).have == 2


async def test_a_failing_file_is_told_with_its_line_and_leaves_nothing(empty: str, folder: Path) -> None:
    (folder / "001_first.sql").write_text(
        "CREATE TABLE app.books (title text);\n\nSELECT missing FROM app.books;\n"
    )
    with pytest.raises(PolicyWatchError) as told:
        await migrate.up(empty, folder=folder)
    assert told.value.what.startswith("001_first, line 3 failed and was rolled back: column")
    assert ask(empty, "SELECT to_regnamespace('app')") == [(None,)]


async def test_an_edited_file_is_refused(empty: str, folder: Path) -> None:
    await migrate.up(empty, folder=folder)
    with (folder / "001_first.sql").open("a") as file:
        file.write("-- a word more\n")
    with pytest.raises(PolicyWatchError, match="001_first was edited after it was applied"):
        await migrate.up(empty, folder=folder)
    with pytest.raises(PolicyWatchError, match="001_first was edited after it was applied"):
        await migrate.down(empty, folder=folder)
    assert await migrate.verify(empty, folder=folder) == ("001_first was edited after it was applied.",)


async def test_a_newer_schema_is_refused_with_both_numbers(empty: str, folder: Path) -> None:
    await migrate.up(empty, folder=folder)
    (folder / "002_second.sql").unlink()
    with pytest.raises(PolicyWatchError, match="at migration 2; this program knows 1"):
        await migrate.up(empty, folder=folder)
    with pytest.raises(PolicyWatchError, match="at migration 2; this program knows 1"):
        await require_current(empty, folder=folder)


async def test_a_gap_in_the_record_is_refused(empty: str, folder: Path) -> None:
    await migrate.up(empty, folder=folder)
    ask(empty, "DELETE FROM app.schema_migrations WHERE version = 1")
    with pytest.raises(PolicyWatchError, match="001_first is not applied, though later ones are"):
        await migrate.up(empty, folder=folder)


async def test_tables_that_no_migration_recorded_are_refused(empty: str, folder: Path) -> None:
    ask(empty, "CREATE SCHEMA app")
    ask(empty, "CREATE TABLE app.books (title text)")
    with pytest.raises(PolicyWatchError, match="no migration is recorded"):
        await migrate.up(empty, folder=folder)
    assert tables(empty) == ["books"]


async def test_a_file_outside_a_transaction_that_stopped_half_way_is_refused(
    empty: str, folder: Path
) -> None:
    await migrate.up(empty, folder=folder)
    ask(empty, "INSERT INTO app.books SELECT title FROM app.books")  # the unique index cannot be built
    (folder / "003_alone.sql").write_text(
        "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY books_title ON app.books (title);\n"
    )
    (folder / "004_after.sql").write_text("CREATE TABLE app.after (n integer);\n")
    with pytest.raises(
        PolicyWatchError, match=r"003_alone.* stopped half-way: could not create unique index"
    ):
        await migrate.up(empty, folder=folder)
    with pytest.raises(PolicyWatchError, match="003_alone stopped half-way"):
        await migrate.up(empty, folder=folder)
    ask(empty, "DROP INDEX app.books_title")
    ask(empty, "DELETE FROM app.books WHERE ctid = (SELECT min(ctid) FROM app.books)")
    ask(empty, "DELETE FROM app.schema_migrations WHERE version = 3")
    done = await migrate.up(empty, folder=folder)
    assert done.done == ("003_alone", "004_after")
    assert ask(empty, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'app.books_title'::regclass") == [
        (True,)
    ]


async def test_three_runners_at_once_apply_each_file_once(empty: str, folder: Path) -> None:
    results = await asyncio.gather(*(migrate.up(empty, folder=folder) for _ in range(3)))
    assert sorted(len(r.done) for r in results) == [0, 0, 2]


async def test_a_runner_waits_for_another_and_gives_up_with_a_sentence(empty: str, folder: Path) -> None:
    with psycopg.connect(empty, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [migrate.LOCK_KEY])
        with pytest.raises(ServiceAway, match="has been migrating this database for too long"):
            await migrate.up(empty, folder=folder, patience=0.2)
    assert (await migrate.up(empty, folder=folder)).version == 2


def test_numbers_without_gaps_and_twice_the_same_are_told(folder: Path) -> None:
    (folder / "004_late.sql").write_text("SELECT 1;")
    with pytest.raises(PolicyWatchError, match="have a gap: 001, 002, 004"):
        steps(folder)
    (folder / "002_other.sql").write_text("SELECT 1;")
    with pytest.raises(PolicyWatchError, match="Two migrations have the number 002"):
        steps(folder)


# The shipped ones ---------------------------------------------------------------------------------


def test_every_shipped_migration_has_its_way_back() -> None:
    found = steps(shipped())
    assert found
    assert [s.title for s in found if s.down is None] == []
    assert len(api_files(shipped())) >= 1


async def test_up_down_up_gives_the_same_schema_and_the_same_roles(server: Cluster, empty: str) -> None:
    """Requirement: identical pg_dump --schema-only and identical pw_* rows of pg_roles."""
    admin = server.role("updown")

    def picture() -> tuple[str, list[tuple[object, ...]]]:
        program = pg_dump(server)
        dumped = subprocess.run(
            [*program, "--schema-only", "--restrict-key=x", empty], check=True, capture_output=True, text=True
        )
        roles = ask(empty, r"SELECT * FROM pg_roles WHERE rolname LIKE 'pw\_%' ORDER BY rolname")
        return dumped.stdout, roles

    first = await migrate.up(empty, admin_name=admin)
    before = picture()
    await migrate.down(empty)
    assert ask(empty, "SELECT to_regnamespace('app'), to_regnamespace('act'), to_regnamespace('read')") == [
        (None,) * 3
    ]
    again = await migrate.up(empty, admin_name=admin)
    assert picture() == before
    assert first.admin is not None
    assert again.admin is not None
    assert first.admin.one_time_password
    assert (again.admin.made, again.admin.one_time_password) == (False, None)


async def test_the_four_views_of_the_infrastructure_can_be_read(module_database: Scratch) -> None:
    for view in ("recent_unreviewed_changes", "pending_approvals", "platform_status", "guidance_metrics"):
        module_database.run(f"SELECT * FROM read.{view}")
    assert len(module_database.run("SELECT 1 FROM read.platform_status")) == 7


async def test_the_administrator_gets_a_password_once_and_must_change_it(server: Cluster, empty: str) -> None:
    admin = server.role("once")
    made = (await migrate.up(empty, admin_name=admin)).admin
    assert made is not None
    assert made.one_time_password
    assert made.one_time_password not in repr(made)
    login = make_conninfo(empty, user=admin, password=made.one_time_password)
    refused = ask(login, "SELECT code FROM act.user_add(gen_random_uuid(), 'somebody', 'viewer')")
    assert refused == [("PW403",)]
    fresh = verifier(admin, "a password of their own")
    with psycopg.connect(login, autocommit=True) as connection:
        changed = connection.execute(
            "SELECT ok FROM act.user_password(gen_random_uuid(), %s)", [fresh]
        ).fetchone()
    assert changed == (True,)
    own = make_conninfo(empty, user=admin, password="a password of their own")
    assert ask(own, "SELECT role, must_change_password FROM read.me") == [("admin", False)]
    assert (await migrate.up(empty, admin_name=admin)).admin == type(made)(admin, False)
    assert ask(own, "SELECT must_change_password FROM read.me") == [(False,)]


async def test_timescaledb_demanded_and_missing_is_a_sentence_and_nothing_is_written(empty: str) -> None:
    if ask(empty, "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"):
        pytest.skip("this server offers TimescaleDB")
    with pytest.raises(PolicyWatchError) as told:
        await migrate.up(empty, timescale="require")
    assert told.value.what.startswith("TimescaleDB is demanded")
    assert "timescale: auto" in told.value.remedy
    assert ask(empty, "SELECT to_regnamespace('app')") == [(None,)]


async def test_verify_says_when_the_clock_is_a_tests(database: Scratch) -> None:
    assert await migrate.verify(database.owner) == ()
    database.replace_clock()
    database.move_clock("6 minutes")
    assert await migrate.verify(database.owner) == (
        "The clock app.pw_now() is replaced: this database is a test's or the demo's.",
    )
    assert database.run("SELECT app.pw_now() - clock_timestamp() > interval '5 minutes' AS moved") == [
        {"moved": True}
    ]


async def test_a_missing_database_is_made_once(server: Cluster) -> None:
    conninfo = make_conninfo(server.superuser, dbname=f"pwt_{server.run}_made")
    try:
        assert await ensure_database(conninfo)
        assert not await ensure_database(conninfo)
    finally:
        server.drop(f"pwt_{server.run}_made")


def test_a_verifier_is_what_the_server_itself_would_store() -> None:
    made = verifier("ana", "pencil")
    assert made.startswith("SCRAM-SHA-256$4096:")
    assert "pencil" not in made
    assert verifier("ana", "pencil") != made  # salted
    salt, keys = made.removeprefix("SCRAM-SHA-256$4096:").split("$")
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", b64decode(salt), 4096)
    client = hmac.digest(salted, b"Client Key", "sha256")
    assert b64decode(keys.split(":")[0]) == hashlib.sha256(client).digest()


def test_a_one_time_password_is_long_and_never_the_same() -> None:
    made = {one_time_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(p) == 24 for p in made)


def pg_dump(server: Cluster) -> list[str]:
    """A pg_dump that is not older than the server, with --restrict-key."""
    programs = server.embedded.programs() if server.embedded is not None else None
    with server.connect() as connection:
        major = connection.info.server_version // 10000
    found = (
        [programs / "pg_dump"] if programs is not None else [Path(f"/usr/lib/postgresql/{major}/bin/pg_dump")]
    )
    for program in found:
        if (
            program.is_file()
            and "--restrict-key"
            in subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
        ):
            return [str(program)]
    pytest.skip(f"no pg_dump of PostgreSQL {major} with --restrict-key here")
