"""Sealing the audit log: what a seal names, in which order, and what it never passes over."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from policywatch.db import audit, sealing
from policywatch.db.pool import Database
from policywatch.errors import NotAllowed
from policywatchd.upkeep.seals import Sealer
from tests.databases import Scratch
from tests.db.audit_world import checked, sealed, write

pytestmark = pytest.mark.needs_db


async def test_each_row_is_in_one_seal_and_everything_fits(database: Scratch) -> None:
    for count in (3, 1, 250):
        write(database, count)
        assert await sealed(database) is not None
    assert await sealed(database) is None  # nothing new
    write(database, 2)
    report = await checked(database)
    assert report.ok, report.faults
    assert (report.seals, report.epochs) == (3, 1)
    assert report.rows + report.unsealed == database.run("SELECT count(*) AS n FROM app.audit_log")[0]["n"]
    assert report.unsealed >= 2


async def test_a_slow_writer_is_sealed_later_and_never_passed_over(database: Scratch) -> None:
    write(database, 2)
    await sealed(database)
    with psycopg.connect(database.superuser) as slow:
        # given a transaction that has written its row and stays open across two tries to seal
        slow.execute("SELECT app.write_audit('slow.act', 'thing', '1')")
        own = slow.execute("SELECT max(id) FROM app.audit_log WHERE action = 'slow.act'").fetchone()
        assert own is not None
        write(database, 5, "quick.act")
        assert await sealed(database) is None
        write(database, 5, "quick.act")
        assert await sealed(database) is None
        slow.commit()
    # when it has ended
    after = await sealed(database)
    # then one seal names its row and those that came after it
    assert after is not None
    assert any(first <= own[0] <= last for first, last in after.ids)
    report = await checked(database)
    assert report.ok, report.faults
    assert report.unsealed == 0 or report.rows >= 13


async def test_a_reader_that_stays_open_holds_nothing_back(database: Scratch) -> None:
    write(database, 2)
    await sealed(database)
    with psycopg.connect(database.superuser) as reader:
        reader.execute("SELECT count(*) FROM app.audit_log")
        write(database, 3)
        made = await sealed(database)
        assert made is not None
        assert made.row_count >= 3


async def test_several_daemons_make_one_chain(database: Scratch) -> None:
    async def daemon() -> int:
        async with await Database.open(database.daemon) as db:
            made = [await sealing.seal(db) for _ in range(15)]
        return sum(1 for seal in made if seal is not None)

    async def writers() -> None:
        await asyncio.gather(*(asyncio.to_thread(write, database, 40) for _ in range(4)))

    results = await asyncio.gather(daemon(), daemon(), daemon(), writers())
    await sealed(database)
    report = await checked(database)
    assert report.ok, report.faults
    assert sum(r or 0 for r in results[:3]) <= report.seals
    assert report.rows >= 160


async def test_a_seal_is_due_by_rows_or_by_age(database: Scratch) -> None:
    database.replace_clock()
    sealer = Sealer(rows=20, age=timedelta(seconds=60))
    async with await Database.open(database.daemon) as db:
        assert await sealer.look(db) is not None  # the first seal opens the epoch
        write(database, 5)
        assert await sealer.look(db) is None
        database.move_clock("61 seconds")
        by_age = await sealer.look(db)
        assert by_age is not None
        assert by_age.row_count >= 5
        write(database, 20)
        by_rows = await sealer.look(db)
        assert by_rows is not None
        assert by_rows.row_count >= 20


async def test_the_seal_stands_in_the_system_log_and_is_an_anchor_there(
    database: Scratch, caplog: pytest.LogCaptureFixture
) -> None:
    from policywatch.domain.audit import anchor_of_line

    with caplog.at_level("INFO", logger="policywatch.upkeep"):
        async with await Database.open(database.daemon) as db:
            made = await Sealer().look(db)
    assert made is not None
    lines = [r.getMessage() for r in caplog.records if "audit_sealed" in r.getMessage()]
    found = anchor_of_line(f"Nov 27 12:00:00 host policywatchd[7]: {lines[0]}")
    assert found is not None
    assert (found.n, found.chain, found.at) == (made.n, made.chain, made.at)
    assert (await checked(database, [found])).anchors_good == 1


async def test_rows_that_wait_too_long_for_their_seal_raise_an_alert(database: Scratch) -> None:
    def alerts() -> list[object]:
        rows = database.run("SELECT closed_at IS NULL AS open FROM app.alerts WHERE kind = 'audit_unsealed'")
        return [r["open"] for r in rows]

    database.replace_clock()
    sealer = Sealer()
    async with await Database.open(database.daemon) as db:
        await sealer.look(db)
        with psycopg.connect(database.superuser) as slow:
            slow.execute("SELECT app.write_audit('slow.act', 'thing', '1')")
            write(database, 3)
            database.move_clock("4 minutes")
            await sealer.look(db)
            assert alerts() == []
            database.move_clock("2 minutes")
            await sealer.look(db)
            await sealer.look(db)
            assert alerts() == [True]
            slow.commit()
        await sealer.look(db)
        assert alerts() == [False]
    assert (await checked(database)).ok


async def test_an_epoch_begins_when_no_writer_is_at_work(database: Scratch) -> None:
    now = [0.0]
    sealer = Sealer(clock=lambda: now[0])
    async with await Database.open(database.daemon) as db:
        with psycopg.connect(database.superuser) as slow:
            slow.execute("SELECT app.write_audit('slow.act', 'thing', '1')")
            assert await sealer.look(db) is None  # waits half a second at most, and lets the others go on
            slow.commit()
        assert await sealer.look(db) is None  # not at once again: writers would wait each time
        now[0] = 61.0
        assert await sealer.look(db) is not None


async def test_another_cluster_begins_a_new_epoch_with_every_row_that_has_no_seal(database: Scratch) -> None:
    write(database, 5)
    await sealed(database)
    write(database, 4)
    # given a log that came from another cluster, whose transaction numbers were far ahead
    with psycopg.connect(database.superuser) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE app.audit_seals SET system_identifier = 4242")
    from tests.db.audit_world import Attacker

    with Attacker(database) as attacker:
        attacker.seals()
    # when it is sealed here
    opening = await sealed(database)
    assert opening is not None
    assert (opening.epoch, opening.low) == (2, 0)
    write(database, 3)
    following = await sealed(database)
    # then the rows that had no seal are in the first one of the epoch, later ones follow
    assert following is not None
    assert (following.epoch, following.low) == (2, opening.high)
    report = await checked(database)
    assert report.ok, report.faults
    assert report.epochs == 2


async def test_people_who_are_no_auditors_read_neither_rows_nor_seals(database: Scratch) -> None:
    reviewer = database.person("rita", "reviewer")
    await sealed(database)
    async with await Database.open(reviewer) as db:
        with pytest.raises(NotAllowed):
            await audit.check(db)
    with psycopg.connect(reviewer, autocommit=True) as connection:
        for view in ("audit", "audit_seals", "audit_unsealed"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM read.{view}".encode())
    async with await Database.open(database.person("otto", "auditor")) as db:
        assert (await audit.check(db)).ok
