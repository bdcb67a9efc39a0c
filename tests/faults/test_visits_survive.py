"""R1, R2, R4: daemons that are killed and stopped, and a server that goes away, cost no visit twice and no document.

R3 and R5 stand in tests/daemon/test_fences.py and tests/packaging/test_gates.py.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from policywatch.db import collecting
from policywatch.db.embedded import Server
from policywatch.db.pool import Database
from policywatchd.upkeep.reconcile import reconcile
from tests.databases import QUICK, Cluster, Scratch, embedded_folder, migrated
from tests.faults.visits_world import DOCUMENTS, Daemons, Web, settings, web
from tests.lengths import LONG

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]

SEED = int(os.environ.get("POLICYWATCH_SEED", random.randrange(10_000)))


async def forty_documents(scratch: Scratch) -> None:
    scratch.run("UPDATE app.system_config SET value = '\"test\"' WHERE key = 'origin'")
    async with await Database.open(scratch.daemon) as db:
        await reconcile(db, settings())


def captures(scratch: Scratch) -> int:
    return int(scratch.run("SELECT count(*) AS n FROM app.captures")[0]["n"])


def assert_nothing_twice_and_nobody_forgotten(scratch: Scratch, pages: Web) -> None:
    """The captures of each page are those of rising fences, one each; every document was read."""
    rows = scratch.run("SELECT document_id, page_id, fence, at FROM app.captures ORDER BY id")
    assert len({(row["page_id"], row["fence"]) for row in rows}) == len(rows)
    newest: dict[int, int] = {}
    for row in rows:
        assert row["fence"] > newest.get(row["page_id"], 0), "out of order"
        newest[row["page_id"]] = row["fence"]
    assert len({row["document_id"] for row in rows}) == DOCUMENTS
    assert len(pages.asked) == DOCUMENTS
    (first,) = scratch.run("SELECT count(*) AS n FROM app.policy_snapshots WHERE kind = 'first'")
    assert first["n"] == DOCUMENTS
    assert scratch.run("SELECT count(*) AS n FROM app.policy_snapshots")[0]["n"] == DOCUMENTS


async def test_killed_and_stopped_daemons_store_nothing_twice_and_forget_nothing(database: Scratch) -> None:
    """R1 (20 kills and 20 stops by `make chaos`). What a stopped daemon brings too late is refused, with an audit row."""
    print(f"seed {SEED}")
    draw = random.Random(SEED)
    await forty_documents(database)
    async with web(SEED) as pages:
        daemons = Daemons(database.daemon, pages.port, draw)
        await daemons.start(4)
        try:
            for _ in range(20 if LONG else 5):
                refused = late(database)
                woken = await daemons.stop_one_for_a_while(lambda: visits(database))
                await until_refused(database, refused)
                await daemons.kill_one(spare=woken)
            await until_all_are_read(database)
        finally:
            await daemons.end()

    assert_nothing_twice_and_nobody_forgotten(database, pages)
    print({"captures": captures(database), "late": late(database), "requests": pages.asked.total()})
    assert late(database) >= (20 if LONG else 5)


def late(scratch: Scratch) -> int:
    """How many results came too late, and were refused with an audit row."""
    statement = (
        "SELECT count(*) AS n FROM app.audit_log WHERE action = 'visit.late_result' AND outcome = 'refused'"
    )
    return int(scratch.run(statement)[0]["n"])


def visits(scratch: Scratch) -> dict[int, set[tuple[int, int]]]:
    """Document and fence of each visit that a process has in hand, by the process; a lease that is over counts too."""
    held: dict[int, set[tuple[int, int]]] = {}
    for row in scratch.run("SELECT id, fence, owner FROM app.policy_documents WHERE owner IS NOT NULL"):
        held.setdefault(int(row["owner"].split("/")[1]), set()).add((row["id"], row["fence"]))
    return held


async def until_refused(scratch: Scratch, before: int) -> None:
    """What the woken daemon had in hand is refused."""
    async with asyncio.timeout(30):
        while await asyncio.to_thread(late, scratch) <= before:  # noqa: ASYNC110 (rows send no event)
            await asyncio.sleep(0.05)


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server of this test's own."""
    with embedded_folder() as folder:
        server = Server(folder, extra=QUICK)
        server.start()
        yield server
        server.stop()


async def test_visits_go_on_after_the_server_was_away(mortal: Server) -> None:
    """R2. Stopped cleanly, and crashed; fetching again within 10 s after it accepts."""
    print(f"seed {SEED}")
    cluster = Cluster(mortal.conninfo("postgres", "postgres"), f"{int(time.time()):x}{os.getpid():x}", mortal)
    scratch = Scratch(cluster, await asyncio.to_thread(migrated, cluster))
    scratch.run("SELECT app.secure_database()")
    await forty_documents(scratch)
    waits = []
    async with web(SEED) as pages:
        daemons = Daemons(scratch.daemon, pages.port, random.Random(SEED))
        await daemons.start(3)
        try:
            await until_more(scratch, DOCUMENTS)
            for how in (signal.SIGINT, signal.SIGQUIT):  # fast, and at once
                await asyncio.to_thread(gone, mortal, how)
                before = await asyncio.to_thread(captures, scratch)
                waits.append(await until_more(scratch, before))
            await until_all_are_read(scratch)
        finally:
            await daemons.end()

    print({"waits": waits, "captures": captures(scratch)})
    assert max(waits) <= 10
    assert_nothing_twice_and_nobody_forgotten(scratch, pages)


def gone(server: Server, how: signal.Signals) -> None:
    """The server ends by that signal and is started again."""
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, how)
    deadline = time.monotonic() + 30
    while server.status().state == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    server.start()


async def until_all_are_read(scratch: Scratch) -> None:
    """Nobody is forgotten: those that were never read are due first."""
    statement = "SELECT count(*) AS n FROM app.policy_documents WHERE newest_snapshot IS NOT NULL"
    async with asyncio.timeout(60):
        while (await asyncio.to_thread(scratch.run, statement))[0]["n"] < DOCUMENTS:  # noqa: ASYNC110 (rows send no event)
            await asyncio.sleep(0.2)


async def until_more(scratch: Scratch, than: int) -> float:
    """Seconds until there are more captures than so many."""
    began = time.monotonic()
    while time.monotonic() - began < 40:
        try:
            if await asyncio.to_thread(captures, scratch) > than:
                return time.monotonic() - began
        except psycopg.OperationalError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("nothing was fetched")


async def test_two_daemons_share_what_is_due(database: Scratch) -> None:
    """R4. 2,000 documents on as many platforms: each is claimed once, and both get a good part."""
    database.run(
        "INSERT INTO app.platforms (key, name) SELECT 'n' || n, 'N' || n FROM generate_series(1, 2000) n"
    )
    database.run("INSERT INTO app.extraction_rules (hash, definition) VALUES (sha256('r'), '{}')")
    database.run(
        "INSERT INTO app.policy_documents (platform_id, key, name)"
        " SELECT id, 'terms', 'Terms' FROM app.platforms WHERE key ~ '^n[0-9]+$'"
    )
    database.run(
        "INSERT INTO app.document_pages (document_id, position, url, rule_id)"
        " SELECT d.id, 0, 'https://n.test/' || d.id, r.id FROM app.policy_documents d, app.extraction_rules r"
    )

    async def claim_all(worker: str) -> list[int]:
        found = []
        async with await Database.open(database.daemon) as db:
            while claims := await collecting.claim_due(db, worker, 8):
                found += [claim.document_id for claim in claims]
        return found

    first, second = await asyncio.gather(claim_all("one"), claim_all("two"))

    print({"one": len(first), "two": len(second)})
    assert set(Counter(first + second).values()) == {1}
    assert len(first) + len(second) == 2000
    assert min(len(first), len(second)) > 200
