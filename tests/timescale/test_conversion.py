"""A plain database turns into hypertables, the Apache edition's way with them, and what surrounds a restore."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from psycopg import errors

from policywatch.db import migrate, timescale
from policywatch.db.queries import load
from policywatch.db.statements import compose
from policywatch.errors import PolicyWatchError
from tests.timescale.looking import CHUNKS, MONTH, ask, chunks, seen
from tests.timescale.wasm import Connection, connected, person
from tests.timescale.world import ANN, RITA, told

pytestmark = pytest.mark.timescale


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


def test_hypertables_of_the_apache_edition_are_dropped_in_chunks_by_the_daemon(fresh: str) -> None:
    """The build here has the Community licence for good: the answer to which edition it is is put in the mouth."""
    asyncio.run(migrate.up(fresh, timescale="off"))
    with connected(fresh) as connection:
        world = told(connection)
        connection.execute("CREATE EXTENSION timescaledb")
        connection.execute(
            "CREATE OR REPLACE FUNCTION app.series_edition() RETURNS text LANGUAGE plpgsql STABLE"
            " SET search_path = pg_catalog, app, pg_temp AS $$ BEGIN RETURN 'apache'; END $$"
        )
        connection.execute("SET ROLE pw_owner")
        assert ask(connection, "SELECT app.make_series() AS made") == [{"made": 5}]
        assert ask(connection, "SELECT app.settle_series() AS edition") == [{"edition": "apache"}]
        connection.execute("RESET ROLE")
        assert chunks(connection) == CHUNKS
        jobs = ask(connection, "SELECT FROM timescaledb_information.jobs WHERE hypertable_schema = 'app'")
        assert jobs == []

        with person(connection, "pw_daemon"):
            gone = ask(connection, "SELECT way, gone FROM app.forget_metrics(%s, 100)", MONTH)[0]

        assert gone["way"] == "chunks"
        assert 29 <= gone["gone"] <= 31
        oldest = ask(connection, "SELECT app.pw_now() - min(at) AS age FROM app.system_metrics")[0]["age"]
        assert timedelta(days=29) < oldest < timedelta(days=32)
        with person(connection, ANN):
            assert len(ask(connection, "SELECT * FROM read.delivery_daily")) == 4
        world.act(RITA, "request_visit", "x", None)
