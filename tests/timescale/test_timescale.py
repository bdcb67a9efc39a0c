"""The schema on TimescaleDB, by its WebAssembly build: hypertables, views over compressed chunks, every act, retention.

One connection and no background workers there: what the server's jobs would do is called by hand. What needs several
connections is tried on plain PostgreSQL. Run by `make test-timescale`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from psycopg import errors

from policywatch.db import audit, migrate, sealing, timescale
from policywatch.db.pool import Database
from policywatch.db.queries import load
from policywatch.db.statements import compose
from policywatch.errors import PolicyWatchError
from tests.timescale.wasm import Connection, connected, person, wasm_server
from tests.timescale.world import ANN, AUD, RITA, World, told

pytestmark = pytest.mark.timescale

MONTH = timedelta(days=30)
CHUNKS = {
    "policy_snapshots": MONTH,
    "policy_changes": MONTH,
    "delivery_events": MONTH,
    "audit_log": MONTH,
    "system_metrics": timedelta(days=1),
}
# Acts whose secrets are encrypted by pgcrypto, which the WebAssembly build lacks.
ENCRYPTING = ("credential", "key_rotation")
REFUSED = (errors.InsufficientPrivilege, errors.InternalError_, errors.FeatureNotSupported)
# Figures of the server itself, which compression is there to change.
SIZES = ("table_sizes",)


@pytest.fixture
def fresh() -> Iterator[str]:
    """An empty server of this test's own."""
    with wasm_server() as conninfo:
        yield conninfo


@pytest.fixture(scope="module")
def story() -> Iterator[tuple[str, World]]:
    """A migrated server on which every act was tried once."""
    with wasm_server() as conninfo:
        asyncio.run(migrate.up(conninfo))
        with connected(conninfo) as connection:
            world = told(connection)
        yield conninfo, world


def ask(connection: Connection, statement: Any, *values: Any, **named: Any) -> list[dict[str, Any]]:
    return list(connection.execute(statement, values or named or None).fetchall())


def chunks(connection: Connection) -> dict[str, timedelta]:
    found = ask(
        connection,
        "SELECT hypertable_name, time_interval FROM timescaledb_information.dimensions WHERE hypertable_schema = 'app'",
    )
    return {row["hypertable_name"]: row["time_interval"] for row in found}


def views(connection: Connection) -> list[str]:
    """Those that whoever the connection is may read."""
    return [
        row["relname"]
        for row in ask(
            connection,
            "SELECT relname FROM pg_class WHERE relnamespace = 'read'::regnamespace AND relkind = 'v'"
            " AND has_table_privilege(oid, 'SELECT') ORDER BY relname",
        )
        if row["relname"] not in SIZES
    ]


def seen(connection: Connection, who: str) -> dict[str, list[str]]:
    """Every row of every view as this person reads it; the clock stands still meanwhile."""
    rows = {}
    connection.execute("BEGIN")
    connection.execute(
        "CREATE OR REPLACE FUNCTION app.pw_now() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER"
        " SET search_path = pg_catalog, app, pg_temp AS $$ SELECT timestamptz '2100-01-01' $$"
    )
    with person(connection, who):
        for name in views(connection):
            rows[name] = sorted(
                row["text"] for row in ask(connection, f"SELECT v::text AS text FROM read.{name} v")
            )
    connection.execute("ROLLBACK")
    return rows


def compress_all(connection: Connection) -> int:
    """Every chunk of every series that has a columnstore, today's too; how many."""
    done = ask(
        connection,
        "SELECT compress_chunk(format('%I.%I', c.chunk_schema, c.chunk_name)::regclass)"
        " FROM timescaledb_information.chunks c JOIN timescaledb_information.hypertables h USING (hypertable_schema, hypertable_name)"
        " WHERE c.hypertable_schema = 'app' AND h.compression_enabled AND NOT c.is_compressed",
    )
    return len(done)


def test_migrations_go_up_down_and_up_again_and_make_five_hypertables(fresh: str) -> None:
    asyncio.run(migrate.up(fresh))
    with connected(fresh) as connection:
        assert chunks(connection) == CHUNKS
    assert asyncio.run(migrate.verify(fresh)) == ()

    asyncio.run(migrate.down(fresh))
    with connected(fresh) as connection:
        assert chunks(connection) == {}
        assert ask(connection, "SELECT FROM pg_namespace WHERE nspname IN ('app', 'read', 'act')") == []
        assert (
            ask(connection, "SELECT FROM timescaledb_information.jobs WHERE hypertable_schema = 'app'") == []
        )

    again = asyncio.run(migrate.up(fresh))
    assert again.done == ("001_initial_schema",)
    with connected(fresh) as connection:
        assert chunks(connection) == CHUNKS
    asyncio.run(migrate.up(fresh))
    assert asyncio.run(timescale.edition(fresh)).kind == "timescale"


def test_every_act_but_those_that_encrypt_works_on_hypertables(story: tuple[str, World]) -> None:
    conninfo, world = story
    with connected(conninfo) as connection:
        there = {
            row["proname"]
            for row in ask(
                connection, "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'act'::regnamespace"
            )
        }
        refused = ask(connection, "SELECT action FROM app.audit_log WHERE outcome <> 'done'")
    untried = {name for name in there - world.tried if not any(word in name for word in ENCRYPTING)}
    assert untried == set()
    assert refused == []


def test_views_show_the_same_rows_before_and_after_chunks_are_compressed(story: tuple[str, World]) -> None:
    conninfo, world = story
    with connected(conninfo) as connection:
        before = {who: seen(connection, who) for who in ("admin", AUD, RITA)}
        assert len(before["admin"]["delivery_events"]) == 12
        assert before["admin"]["audit"]
        assert before["admin"]["delivery_daily"]

        assert compress_all(connection) > 3

        for who, rows in before.items():
            assert seen(connection, who) == rows, who

        # A compressed chunk takes new rows, and refuses to change old ones.
        world.connection = connection
        world.act(RITA, "request_visit", "x", None)
        for statement in ("UPDATE app.audit_log SET action = ''", "DELETE FROM app.delivery_events"):
            with pytest.raises(errors.RestrictViolation):
                connection.execute(statement)


async def test_the_audit_log_is_sealed_and_checked_through_compressed_chunks(
    story: tuple[str, World],
) -> None:
    conninfo, _ = story
    async with await Database.open(conninfo, max_size=1) as db:
        sealed = await sealing.seal(db)
        assert sealed is not None
        assert sealed.row_count > 30
    with connected(conninfo) as connection:
        compress_all(connection)
    async with await Database.open(conninfo, max_size=1) as db:
        report = await audit.check(db)
    assert report.faults == ()
    assert report.seals >= 1
    assert report.rows >= sealed.row_count


def test_the_daily_figures_are_those_of_the_events_before_and_after_a_refresh(
    story: tuple[str, World],
) -> None:
    conninfo, world = story
    plain = (
        "SELECT publication_id, date_trunc('day', at, 'UTC') AS day, kind, count(*) AS events FROM app.delivery_events"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    shown = "SELECT publication_id, day, kind, events FROM read.delivery_daily ORDER BY 1, 2, 3"
    with connected(conninfo) as connection:
        expected = ask(connection, plain)
        assert len({row["day"] for row in expected}) == 3
        with person(connection, ANN):
            assert ask(connection, shown) == expected

        connection.execute("CALL refresh_continuous_aggregate('app.delivery_daily', NULL, NULL)")

        world.connection = connection
        world.daemon(
            "INSERT INTO app.delivery_events (at, publication_id, recipient_id, recipient_hash, kind)"
            " SELECT app.pw_now() + interval '1 day', publication_id, id, recipient_hash, 'complaint'"
            " FROM app.publication_recipients"
        )
        with person(connection, ANN):
            assert ask(connection, shown) == ask_as_owner(conninfo, connection, plain)


def ask_as_owner(_conninfo: str, connection: Connection, statement: str) -> list[dict[str, Any]]:
    """The same connection, for a moment as the superuser."""
    who = ask(connection, "SELECT session_user AS name")[0]["name"]
    connection.execute("SET SESSION AUTHORIZATION postgres")
    rows = ask(connection, statement)
    connection.execute(f'SET SESSION AUTHORIZATION "{who}"')
    return rows


def test_nobody_reads_a_chunk_or_schedules_a_job(story: tuple[str, World]) -> None:
    conninfo, _ = story
    with connected(conninfo) as connection:
        parts = [
            row["name"]
            for row in ask(
                connection,
                "SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relnamespace = '_timescaledb_internal'::regnamespace"
                " AND c.relkind = 'r' AND c.relowner = 'pw_owner'::regrole",
            )
        ]
        assert len(parts) > 10
        granted = ask(
            connection,
            "SELECT c.oid::regclass::text, a.grantee::regrole::text FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a"
            " WHERE c.relnamespace = '_timescaledb_internal'::regnamespace AND c.relkind = 'r'"
            " AND c.relowner = 'pw_owner'::regrole AND a.grantee NOT IN ('pw_owner'::regrole, 'pw_daemon'::regrole)",
        )
        assert granted == []
        for who in ("admin", ANN, AUD):
            with person(connection, who):
                for part in parts:
                    # Of a compressed part TimescaleDB says what it is, before rights are looked at.
                    for verb in ("SELECT * FROM", "DELETE FROM"):
                        with pytest.raises(REFUSED):
                            connection.execute(f"{verb} {part}")
                for call in (
                    "SELECT add_job('pg_sleep'::regproc, interval '1 second')",
                    "SELECT alter_job(1000, scheduled => false)",
                    "SELECT add_retention_policy('app.audit_log', interval '1 day')",
                    "SELECT drop_chunks('app.audit_log', older_than => interval '0')",
                    "CALL run_job(1000)",
                ):
                    with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedTable)):
                        connection.execute(call)
        open_to_all = ask(
            connection,
            "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.proname ~ '^(add_job|alter_job|add_.*_policy|add_policies|alter_policies)$'"
            " AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))",
        )
        assert open_to_all == []


def test_retention_drops_old_figures_and_follows_the_setting(story: tuple[str, World]) -> None:
    conninfo, world = story
    oldest = "SELECT app.pw_now() - min(at) AS age, count(*) AS n FROM app.system_metrics"
    with connected(conninfo) as connection:
        world.connection = connection
        had = ask(connection, "SELECT count(*) AS n FROM app.audit_log")[0]["n"]
        assert ask(connection, oldest)[0]["age"] > timedelta(days=59)

        forget = "SELECT way, gone FROM app.forget_metrics(%s, 100)"
        for keep, anew in ((timedelta(days=45), 1), (timedelta(days=45), 0), (MONTH, 1)):
            with person(connection, "pw_daemon"):
                assert ask(connection, forget, keep) == [{"way": "policy", "gone": anew}]
        jobs = ask(
            connection,
            "SELECT job_id, owner, config ->> 'drop_after' AS keep FROM timescaledb_information.jobs"
            " WHERE proc_name = 'policy_retention' AND hypertable_schema = 'app'",
        )
        assert [(job["owner"], job["keep"]) for job in jobs] == [("pw_owner", "30 days")]

        connection.execute("CALL run_job(%s)", [jobs[0]["job_id"]])

        # Whole chunks go: at most one day more than the setting stays.
        assert timedelta(days=29) < ask(connection, oldest)[0]["age"] < timedelta(days=32)
        assert ask(connection, "SELECT count(*) AS n FROM app.audit_log")[0]["n"] == had


def test_only_figures_are_ever_deleted_and_events_and_audit_are_compressed_after_three_months(
    story: tuple[str, World],
) -> None:
    conninfo, _ = story
    with connected(conninfo) as connection:
        jobs = ask(
            connection,
            "SELECT hypertable_name AS series, proc_name AS work, coalesce(config ->> 'compress_after', '') AS after, owner"
            " FROM timescaledb_information.jobs WHERE hypertable_schema = 'app' AND proc_name <> 'policy_retention' ORDER BY 1, 2",
        )
        assert {(job["series"], job["after"]) for job in jobs if job["work"] == "policy_compression"} == {
            ("audit_log", "3 mons"),
            ("delivery_events", "3 mons"),
            ("system_metrics", "7 days"),
        }
        assert {job["owner"] for job in jobs} == {"pw_owner"}
        dropped = ask(
            connection,
            "SELECT hypertable_name AS series FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'",
        )
        assert {job["series"] for job in dropped} <= {"system_metrics"}


def test_a_plain_database_is_converted_with_its_rows_and_their_hashes(fresh: str) -> None:
    asyncio.run(migrate.up(fresh, timescale="off"))
    with connected(fresh) as connection:
        world = told(connection)
        assert chunks_or_none(connection) == {}
        series = {name: ask(connection, f"SELECT * FROM app.{name} ORDER BY id, 2") for name in CHUNKS}
        before = seen(connection, "admin")
    assert all(series.values())
    plain = asyncio.run(timescale.edition(fresh))
    assert (plain.kind, plain.version, plain.convertible) == ("plain", None, True)

    converted = asyncio.run(timescale.convert(fresh))

    assert (converted.made, converted.edition.kind) == (5, "timescale")
    with connected(fresh) as connection:
        assert chunks(connection) == CHUNKS
        for name, rows in series.items():
            now = ask(connection, f"SELECT * FROM app.{name} ORDER BY id, 2")
            assert now[: len(rows)] == rows, name
            assert ask(connection, f"SELECT count(*) AS n FROM ONLY app.{name}")[0]["n"] == 0
        told_of = ask(
            connection,
            "SELECT after ->> 'made' AS made FROM app.audit_log WHERE action = 'config.timescale'",
        )
        assert [row["made"] for row in told_of] == ["5"]
        stored = ask(
            connection, "SELECT value #>> '{}' AS v FROM app.system_config WHERE key = 'timescaledb'"
        )
        assert stored[0]["v"] == converted.edition.version
        after = seen(connection, "admin")
        for name in before.keys() - {"audit", "audit_unsealed", "config", "api_files"}:
            assert after[name] == before[name], name
        for statement in ("UPDATE app.audit_log SET action = ''", "DELETE FROM app.policy_changes"):
            with pytest.raises(errors.RestrictViolation):
                connection.execute(statement)
        world.connection = connection
        world.act(RITA, "request_visit", "x", None)

    assert asyncio.run(timescale.convert(fresh)).made == 0


def chunks_or_none(connection: Connection) -> dict[str, timedelta]:
    there = ask(connection, "SELECT FROM pg_extension WHERE extname = 'timescaledb'")
    return chunks(connection) if there else {}


def test_what_cannot_be_converted_is_refused_with_a_sentence(fresh: str) -> None:
    with pytest.raises(PolicyWatchError) as refused:
        asyncio.run(timescale.convert(fresh))
    assert "migrate up" in refused.value.remedy


def test_the_statements_around_a_restore_are_those_of_the_extension(fresh: str) -> None:
    """A dump comes in while jobs and triggers of the extension rest, in the version that made it."""
    around = load("backup")
    state = "SELECT current_setting('timescaledb.restoring') AS state"
    with connected(fresh) as connection:
        version = ask(
            connection,
            "SELECT default_version AS v FROM pg_available_extensions WHERE name = 'timescaledb'",
        )[0]["v"]
        assert ask(connection, around.timescale_offered.text, version=version) == [{"offered": True}]
        assert ask(connection, around.timescale_offered.text, version="0.0.1") == [{"offered": False}]
        connection.execute(compose(around.timescale_make, names={}, literals={"version": version}))
        connection.execute(around.timescale_before.text)
        assert ask(connection, state)[0]["state"] == "on"
        connection.execute(around.timescale_after.text)
        assert ask(connection, state)[0]["state"] == "off"
