"""The schema on TimescaleDB, by its WebAssembly build: hypertables, views over compressed chunks, every act, retention.

One connection and no background workers there: what the server's jobs would do is called by hand. What needs several
connections is tried on plain PostgreSQL. Run by `make test-timescale`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from psycopg import errors

from policywatch.db import audit, migrate, sealing, timescale
from policywatch.db.pool import Database
from tests.timescale.looking import CHUNKS, MONTH, ask, chunks, compress_all, seen
from tests.timescale.wasm import Connection, connected, person
from tests.timescale.world import ANN, AUD, RITA, World

pytestmark = pytest.mark.timescale

# Acts whose secrets are encrypted by pgcrypto, which the WebAssembly build lacks.
ENCRYPTING = ("credential", "key_rotation")
REFUSED = (errors.InsufficientPrivilege, errors.InternalError_, errors.FeatureNotSupported)


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
    assert again.done[0] == "001_initial_schema"
    assert len(again.done) == again.version
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
