"""What the series are worth on the server at hand: retention of figures, daily figures, the refusal to convert.

On plain PostgreSQL the daemon's own ways are tried here; hypertables have a suite of their own (tests/timescale).
"""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from policywatch.db import timescale, workers
from policywatch.db.pool import Database
from policywatch.errors import PolicyWatchError
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

_FIGURES = """
INSERT INTO app.system_metrics (name, value, at)
SELECT 'beats', n, app.pw_now() - n * interval '1 hour' FROM generate_series(1, 300) n"""


async def test_old_figures_go_in_batches_and_new_ones_stay(
    database: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_BATCH", 50)
    database.run(_FIGURES)
    kind = (await timescale.edition(database.owner)).kind

    async with await Database.open(database.daemon, max_size=1) as db:
        gone = await workers.forget(db, timedelta(hours=100))

    left = database.run("SELECT count(*) AS n, max(value) AS oldest FROM app.system_metrics")[0]
    if kind == "plain":
        assert (gone.way, gone.gone) == ("rows", 201)
        assert (left["n"], left["oldest"]) == (99, 99)
    else:
        assert gone.way == {"apache": "chunks", "timescale": "policy"}[kind]
        assert left["n"] >= 99


async def test_people_cannot_make_figures_go(database: Scratch) -> None:
    database.run(_FIGURES)
    with psycopg.connect(database.admin, autocommit=True) as connection:
        for statement in (
            "SELECT app.forget_metrics('0', 1000)",
            "SELECT app.make_series()",
            "SELECT app.settle_series()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    assert database.run("SELECT count(*) AS n FROM app.system_metrics")[0]["n"] == 300


async def test_daily_figures_count_events_per_publication_day_and_kind(database: Scratch) -> None:
    """Without an approved publication there is none to count: the view stands, has its columns, and is empty."""
    with psycopg.connect(database.person("viewer", "viewer"), autocommit=True) as connection:
        cursor = connection.execute("SELECT * FROM read.delivery_daily")
        assert cursor.description is not None
        assert [column.name for column in cursor.description] == ["publication_id", "day", "kind", "events"]
        assert cursor.fetchall() == []


async def test_a_server_without_timescaledb_refuses_to_convert_and_says_what_to_do(database: Scratch) -> None:
    database.run(_FIGURES)
    found = await timescale.edition(database.owner)
    if found.version is not None:
        assert (await timescale.convert(database.owner)).made == 0
        return

    with pytest.raises(PolicyWatchError) as told:
        await timescale.convert(database.owner)

    assert "the plain tables stay as they are" in told.value.what
    assert "shared_preload_libraries" in told.value.remedy
    assert found.sentence.startswith("TimescaleDB not used: plain tables")
    assert not found.convertible or found.loaded
    assert database.run("SELECT count(*) AS n FROM app.system_metrics")[0]["n"] == 300
    assert database.run("SELECT value FROM app.system_config WHERE key = 'timescaledb'")[0]["value"] is None
