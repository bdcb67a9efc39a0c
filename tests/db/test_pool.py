"""Connections: what a statement answers, what a refused act raises, and what happens when the server goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, timedelta
from uuid import uuid4

import psycopg
import pytest

from policywatch.db import acts
from policywatch.db.pool import QUERY_TIMES, Broken, Database, Violation
from policywatch.db.queries import Query
from policywatch.db.refusals import place
from policywatch.errors import Conflict, NotAllowed, PolicyWatchError, ServiceAway
from tests.databases import Cluster, Scratch

pytestmark = pytest.mark.needs_db

NOW = Query("test.now", "SELECT now() AS at")
PID = Query("test.pid", "SELECT pg_backend_pid()")
TRIPLE = Query(
    "test.triple",
    "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c')) AS v (number, letter) WHERE number > %(above)s",
)
MAKE = Query("test.make", "CREATE TABLE public.things (n integer PRIMARY KEY, said jsonb)")
PUT = Query("test.put", "INSERT INTO public.things VALUES (%(n)s, %(said)s)")
COPY = Query("test.copy", "COPY public.things (n, said) FROM STDIN")
COUNT = Query("test.count", "SELECT count(*) FROM public.things")
WAIT = Query("test.wait", "SELECT pg_sleep(30)")


@pytest.fixture
async def db(database: Scratch) -> AsyncIterator[Database]:
    """As the superuser, with one connection: a second one held at once would be noticed."""
    async with await Database.open(database.superuser, max_size=1, timeout=2) as made:
        await made.run(MAKE)
        yield made


async def test_a_statement_answers_as_mappings_one_row_or_a_value(db: Database) -> None:
    assert await db.all(TRIPLE, above=1) == [{"number": 2, "letter": "b"}, {"number": 3, "letter": "c"}]
    assert await db.one(TRIPLE, above=2) == {"number": 3, "letter": "c"}
    assert await db.one(TRIPLE, above=9) is None
    assert await db.value(TRIPLE, above=0) == 1
    assert await db.value(TRIPLE, above=9) is None
    assert await db.run(PUT, n=1, said={"quote": "it's"}) == 1


async def test_times_are_aware_and_utc(db: Database) -> None:
    at = await db.value(NOW)
    assert at.utcoffset() == timedelta(0)
    assert at.tzinfo in (UTC, at.tzinfo)
    assert str(at.tzinfo) in {"UTC", "Etc/UTC"}


async def test_a_transaction_is_whole_or_nothing(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.run(PUT, n=1, said={})
        await tx.run(PUT, n=2, said={})
    with pytest.raises(RuntimeError, match="enough"):
        async with db.transaction() as tx:
            await tx.run(PUT, n=3, said={})
            raise RuntimeError("enough")
    assert await db.value(COUNT) == 2


async def test_rows_are_fed_in_one_go_or_not_at_all(db: Database) -> None:
    assert await db.copy_rows(COPY, [(n, {"n": n}) for n in range(500)]) == 500
    with pytest.raises(Violation):
        await db.copy_rows(COPY, [(1000, {}), (1, {})])
    assert await db.value(COUNT) == 500


async def test_a_constraint_is_told_with_its_name(db: Database) -> None:
    await db.run(PUT, n=1, said={})
    with pytest.raises(Violation) as told:
        await db.run(PUT, n=1, said={})
    assert (told.value.code, told.value.constraint) == ("23505", "things_pkey")


async def test_text_that_no_database_can_hold_is_told(db: Database) -> None:
    with pytest.raises(PolicyWatchError, match=r"test.echo was given what the database cannot hold"):
        await db.value(Query("test.echo", "SELECT %(text)s::text"), text="a\0b")


async def test_a_missing_table_sends_to_the_migrations(db: Database) -> None:
    with pytest.raises(PolicyWatchError) as told:
        await db.value(Query("test.gone", "SELECT 1 FROM app.never_made"))
    assert "migrate up" in told.value.remedy


async def test_only_a_developers_fault_keeps_its_own_name(db: Database) -> None:
    with pytest.raises(psycopg.errors.SyntaxError):
        await db.value(Query("test.typo", "SELEC 1"))


async def test_every_statement_is_counted_and_timed(db: Database) -> None:
    before = QUERY_TIMES["test.now"].count if "test.now" in QUERY_TIMES else 0
    await db.value(NOW)
    times = QUERY_TIMES["test.now"]
    assert times.count == before + 1
    assert times.total >= times.longest > 0
    assert db.stats()["pool_max"] == 1


async def test_an_act_gives_its_answer_and_a_refusal_is_raised_after_its_audit_row(database: Scratch) -> None:
    async with await Database.open(database.person("vic", "viewer")) as viewer:
        with pytest.raises(NotAllowed) as refused:
            await acts.request_visit(viewer, "x", None)
    assert refused.value.code == "PW403"
    assert "reviewer" in refused.value.what
    assert refused.value.remedy
    rows = database.run(
        "SELECT actor, action, outcome, code FROM app.audit_log WHERE actor <> %s",
        database.login_name("admin"),
    )
    assert rows == [
        {
            "actor": database.login_name("vic"),
            "action": "request.visit",
            "outcome": "refused",
            "code": "PW403",
        }
    ]
    async with await Database.open(database.person("rae", "reviewer")) as reviewer:
        with pytest.raises(PolicyWatchError) as impossible:
            await acts.request_visit(reviewer, "no-such-platform", None)
    assert impossible.value.code == "PW422"
    assert not isinstance(impossible.value, NotAllowed | Conflict)


async def test_an_act_whose_answer_was_lost_is_done_once(database: Scratch) -> None:
    """The connection breaks after the commit: the retry with the same id gets the first answer."""
    database.run("INSERT INTO app.policy_documents (platform_id, key, name) VALUES (1, 'terms', 'Terms')")
    async with await Database.open(database.person("rae", "reviewer")) as db:
        lost = list[str]()
        honest = db.one

        async def loses_the_first_answer(query: Query, **params: object) -> dict[str, object] | None:
            row = await honest(query, **params)
            if not lost:
                lost.append(query.name)
                raise Broken("gone")
            return row

        db.one = loses_the_first_answer  # type: ignore[method-assign]
        outcome = await acts.request_visit(db, "x", None)
    assert lost == ["acts.request_visit"]
    assert outcome.ok
    assert outcome.id is not None
    assert database.run("SELECT count(*) AS n FROM app.requests") == [{"n": 1}]
    assert database.run("SELECT count(*) AS n FROM app.audit_log WHERE action = 'request.visit'") == [
        {"n": 1}
    ]


async def test_an_audit_row_carries_the_session_of_its_connection(database: Scratch) -> None:
    session = uuid4()
    async with await Database.open(database.person("rae", "reviewer"), session=session) as db:
        await acts.open_session(db, session, "command", "a test")
        with pytest.raises(PolicyWatchError):
            await acts.request_visit(db, "no-such-platform", None)
    rows = database.run("SELECT session_id FROM app.audit_log WHERE action = 'request.visit'")
    assert rows == [{"session_id": session}]


async def test_a_killed_connection_is_told_and_the_next_statement_works(
    db: Database, database: Scratch
) -> None:
    pid = await db.value(PID)
    waiting = asyncio.create_task(db.value(WAIT))
    async with asyncio.timeout(10):
        while not database.run("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND query ~ 'pg_sleep'", pid):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    database.run("SELECT pg_terminate_backend(%s)", pid)
    with pytest.raises(ServiceAway, match=r"broke the connection during test.wait"):
        await waiting
    assert await db.value(PID) != pid


async def test_a_cancelled_statement_ends_on_the_server_too(db: Database, database: Scratch) -> None:
    pid = await db.value(PID)
    waiting = asyncio.create_task(db.value(WAIT))
    async with asyncio.timeout(10):
        while not database.run("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND query ~ 'pg_sleep'", pid):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await db.value(TRIPLE, above=0) == 1
    assert (
        database.run("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query ~ '^SELECT pg_sleep'")
        == []
    )


async def test_when_all_connections_are_in_use_the_database_is_busy(database: Scratch) -> None:
    async with await Database.open(database.superuser, max_size=1, timeout=0.2) as db, db.transaction() as tx:
        await tx.value(NOW)
        with pytest.raises(ServiceAway, match="busy"):
            await db.value(NOW)


async def test_a_server_that_is_not_there_is_told_at_once_with_a_remedy(server: Cluster) -> None:
    with pytest.raises(ServiceAway) as told:
        await Database.open("host=/nonexistent user=x dbname=policywatch")
    assert 'the database "policywatch" at the socket /nonexistent does not answer' in told.value.what
    assert "db start" in told.value.remedy
    with pytest.raises(ServiceAway, match="refused the login"):
        await Database.open(server.login("pwt_never_made", "postgres"))


def test_a_place_never_shows_a_password() -> None:
    assert place("postgresql://ana:secret@db.example:6432/pw") == 'the database "pw" at db.example:6432'
    assert "secret" not in place("host=/run user=ana password=secret dbname=pw")
