"""A session that somebody ended: it acts no more, its connections are cut, its desk leaves. And limits from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from policywatch.db import acts
from policywatch.db.listen import Listener
from policywatch.db.pool import Database
from policywatch.errors import NotAllowed, ServiceAway
from policywatch.settings import load
from policywatch_tui.source import DatabaseSource
from policywatchd.service import Loop, Service
from policywatchd.upkeep import loop as upkeep
from policywatchd.upkeep.sessions import cut
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

HOUR = timedelta(hours=1)


@asynccontextmanager
async def at_work(conninfo: str) -> AsyncIterator[tuple[Database, UUID]]:
    """A person with an open session."""
    session = uuid4()
    async with await Database.open(conninfo, session=session) as db:
        await acts.open_session(db, session, "desk", "here")
        assert await acts.beat_session(db, session)
        yield db, session


async def cut_by_daemon(database: Scratch, *, idle: timedelta = HOUR, statement: timedelta = HOUR) -> int:
    async with await Database.open(database.daemon) as db:
        return await cut(db, idle=idle, statement=statement)


def connections(database: Scratch, login: str) -> int:
    return int(
        database.run(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE usename = %s AND datname = current_database()",
            database.login_name(login),
        )[0]["n"]
    )


async def until(condition: Callable[[], bool]) -> None:
    """Asked again and again, ten seconds at most."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come true")


def reasons(database: Scratch) -> list[str]:
    rows = database.run("SELECT after ->> 'reason' AS why FROM app.audit_log WHERE action = 'session.cut'")
    return sorted({r["why"] for r in rows})


async def test_an_administrator_ends_a_session_and_it_acts_no_more(database: Scratch) -> None:
    async with at_work(database.person("ben", "reviewer")) as (ben, session):
        async with await Database.open(database.admin) as admin:
            done = await acts.end_session(admin, session=session)
        assert done.sentence == f"The session of {database.login_name('ben')} is ended."
        with pytest.raises(NotAllowed, match="Your session was ended"):
            await acts.request_visit(ben, None, None)
        assert not await acts.beat_session(ben, session)


async def test_one_ends_ones_own_sessions_and_nobody_elses(database: Scratch) -> None:
    async with at_work(database.person("ben", "reviewer")) as (ben, session):
        async with at_work(database.person("eve", "approver")) as (eve, _):
            for wanted in ({"session": session}, {"user": database.login_name("ben")}, {"session": uuid4()}):
                with pytest.raises(NotAllowed, match="Only an administrator"):
                    await acts.end_session(eve, **wanted)
        assert await acts.beat_session(ben, session)
        assert (await acts.end_session(ben, session=session)).ok
    refused = database.run(
        "SELECT count(*) AS n FROM app.audit_log WHERE action = 'session.end' AND outcome = 'refused'"
    )
    assert refused == [{"n": 3}]


async def test_connections_of_an_ended_session_are_cut_and_others_of_the_person_stay(
    database: Scratch,
) -> None:
    login = database.person("ben", "reviewer")
    async with at_work(login) as (_ben, session), at_work(login) as (other, second):
        listener = Listener(login, application=f"policywatch listen {str(session)[:8]}")
        hints = listener.hints()
        async with asyncio.timeout(10):
            assert (await anext(hints)).kind == "reconnected"
        async with await Database.open(database.admin) as admin:
            await acts.end_session(admin, session=session)

        assert await cut_by_daemon(database) >= 2

        async with asyncio.timeout(10):  # the listener comes back by itself, as a new connection
            while (await anext(hints)).kind != "reconnected":
                pass
        assert await acts.beat_session(other, second)
        await hints.aclose()
    assert reasons(database) == ["session ended"]


async def test_a_desk_whose_session_is_ended_hears_of_it_and_is_told_so(database: Scratch) -> None:
    """Through the hint, without a daemon and without waiting for a poll."""
    login = database.person("ben", "reviewer")
    session = uuid4()
    async with await Database.open(login, session=session) as db:
        source = DatabaseSource(db, Listener(login), session=session)
        await source.begin()
        hints = source.hints()
        async with asyncio.timeout(10):
            assert (await anext(hints)).kind == "reconnected"
            async with await Database.open(database.admin) as admin:
                await acts.end_session(admin, user=database.login_name("ben"))
            while (await anext(hints)).kind != "session":
                pass
        with pytest.raises(NotAllowed) as told:
            await source.status()
        assert told.value.code == "session_ended"
        await hints.aclose()


async def test_a_running_daemon_cuts_an_ended_session_within_seconds(
    database: Scratch, tmp_path: Path
) -> None:
    settings = load(
        env={
            "HOME": "/nonexistent",
            "POLICYWATCH_DATABASE__STATE_FOLDER": str(tmp_path),
            "POLICYWATCH_METRICS__ENABLED": "false",
        }
    )
    async with await Database.open(database.daemon) as db:
        service = Service(db, settings, program="test")
        running = asyncio.create_task(service.run([Loop("upkeep", upkeep.run)]))
        async with at_work(database.person("ben", "reviewer")) as (_ben, _session):
            await until(lambda: bool(database.run("SELECT 1 FROM app.workers")))
            assert connections(database, "ben")
            async with await Database.open(database.admin) as admin:
                await acts.end_session(admin, user=database.login_name("ben"))
            await until(lambda: not connections(database, "ben"))
        service.stop()
        await asyncio.wait_for(running, 20)


async def test_a_disabled_person_is_cut_off(database: Scratch) -> None:
    async with at_work(database.person("ben", "reviewer")) as (ben, _session):
        async with await Database.open(database.admin) as admin:
            await acts.user_disable(admin, database.login_name("ben"))
        assert await cut_by_daemon(database) >= 1
        await until(lambda: not connections(database, "ben"))
        with pytest.raises((NotAllowed, ServiceAway)):
            await acts.request_visit(ben, None, None)
    assert reasons(database) == ["disabled"]
    assert database.run("SELECT ended_how FROM app.user_sessions") == [{"ended_how": "disabled"}]


async def test_a_transaction_that_stands_still_and_a_statement_that_runs_on_are_ended(
    database: Scratch,
) -> None:
    """A login may lift both limits for itself."""
    login = database.person("ben", "reviewer")
    idle = psycopg.connect(login)
    busy = psycopg.connect(login, autocommit=True)
    try:
        for connection in (idle, busy):
            connection.execute("SET statement_timeout = 0")
            connection.execute("SET idle_in_transaction_session_timeout = 0")
        idle.execute("SELECT 1")
        running = asyncio.create_task(asyncio.to_thread(lambda: busy.execute("SELECT pg_sleep(30)")))
        sleeping = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'"
        await until(lambda: bool(database.run(sleeping)))
        assert await cut_by_daemon(database) == 0

        assert await cut_by_daemon(database, idle=timedelta(0)) == 1
        assert await cut_by_daemon(database, statement=timedelta(0)) == 1

        with pytest.raises(psycopg.OperationalError):
            await running
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
    finally:
        idle.close()
        busy.close()
    assert reasons(database) == ["idle in transaction", "statement"]


async def test_nobody_but_people_is_ever_cut(database: Scratch) -> None:
    with psycopg.connect(database.superuser) as owner, psycopg.connect(database.daemon) as daemon:
        for connection in (owner, daemon):
            connection.execute("SELECT 1")
        assert await cut_by_daemon(database, idle=timedelta(0), statement=timedelta(0)) == 0
        assert owner.execute("SELECT 1").fetchone() == (1,)
        assert daemon.execute("SELECT 1").fetchone() == (1,)


async def test_a_session_that_was_only_silent_goes_on_when_it_wakes(database: Scratch) -> None:
    async with at_work(database.person("ben", "reviewer")) as (ben, session):
        database.run(
            "UPDATE app.user_sessions SET ended_at = app.pw_now(), ended_by = 'daemon', ended_how = 'silent'"
        )
        assert await acts.beat_session(ben, session)
        assert database.run("SELECT ended_at FROM app.user_sessions") == [{"ended_at": None}]
