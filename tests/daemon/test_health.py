"""Sources go blind, come back, are late; alerts are opened, recalled and closed on the transition, by a moved clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from policywatch.db.pool import Database
from policywatch.db.queries import Query, load
from policywatch.simulated.texts import PLATFORMS, Document
from policywatch.simulated.web import Trouble
from policywatchd.upkeep.health import Health
from tests.daemon.collecting_world import open_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

CADENCE = "12 hours"
SEED = Path(__file__).parents[1] / "sql" / "many_changes.sql"


@pytest_asyncio.fixture
async def db(database: Scratch) -> AsyncIterator[Database]:
    database.replace_clock()
    async with await Database.open(database.daemon) as opened:
        yield opened


@pytest.fixture
def source(database: Scratch) -> Scratch:
    """acme/terms with three pages, all of them read well now."""
    database.run("INSERT INTO app.platforms (key, name, position) VALUES ('acme', 'Acme', 99)")
    database.run("INSERT INTO app.extraction_rules (hash, definition) VALUES (sha256('{}'), '{}')")
    database.run(
        "INSERT INTO app.policy_documents (platform_id, key, name, cadence, health, last_visit_at, last_good_at, due_at)"
        " SELECT id, 'terms', 'Terms', %s::interval, 'ok', app.pw_now(), app.pw_now(), app.pw_now() + interval '1 year'"
        " FROM app.platforms WHERE key = 'acme'",
        CADENCE,
    )
    database.run(
        "INSERT INTO app.document_pages (document_id, position, url, rule_id, health, last_visit_at, last_good_at)"
        " SELECT d.id, n, 'https://x.example/' || n || '?token=1', r.id, 'ok', app.pw_now(), app.pw_now()"
        " FROM app.policy_documents d, app.extraction_rules r, generate_series(1, 3) n"
    )
    return database


def visited(source: Scratch, *bad: int, cause: str = "the page answers 403 Forbidden") -> None:
    """A visit now: these pages could not be read, the others were."""
    for table, where in (("document_pages", "position"), ("policy_documents", "0")):
        fails = f"{where} = ANY (%s)" if where != "0" else "cardinality(%s::integer[]) > 0"
        source.run(
            f"UPDATE app.{table} SET last_visit_at = app.pw_now(),"
            f" health = CASE WHEN {fails} THEN 'blocked' ELSE 'ok' END,"
            f" cause = CASE WHEN {fails} THEN %s END,"
            f" failing_since = CASE WHEN {fails} THEN coalesce(failing_since, app.pw_now()) END,"
            f" last_good_at = CASE WHEN {fails} THEN last_good_at ELSE app.pw_now() END",
            list(bad), list(bad), cause, list(bad), list(bad),
        )  # fmt: skip


def alerts(source: Scratch, kind: str = "source_blind") -> list[str]:
    """The sentences of the open alerts of a kind."""
    rows = source.run(
        "SELECT sentence FROM app.alerts WHERE kind = %s AND closed_at IS NULL ORDER BY id", kind
    )
    return [row["sentence"] for row in rows]


async def test_a_page_without_a_good_capture_for_two_cadences_makes_its_document_blind_once(
    db: Database, source: Scratch
) -> None:
    health = Health()
    source.move_clock("12 hours")
    visited(source, 2)
    first = await health.look(db)
    source.move_clock("11 hours 59 minutes")
    visited(source, 2)
    before = await health.look(db)
    source.move_clock("2 minutes")
    then = await health.look(db)
    again = await health.look(db)

    assert first is not None and before is not None and then is not None and again is not None
    assert (first.blind, before.blind, then.blind, again.blind) == (0, 0, 1, 1)
    assert (then.opened, again.opened) == (("acme/terms",), ())
    (sentence,) = alerts(source)
    assert sentence.startswith("acme/terms is blind: 1 of 3 pages, not read since ")
    assert sentence.endswith("UTC: the page answers 403 Forbidden (https://x.example/2).")
    assert source.run("SELECT times FROM app.alerts WHERE kind = 'source_blind'") == [{"times": 1}]
    (row,) = source.run(
        "SELECT blind_since - last_good_at AS after FROM app.document_pages WHERE position = 2"
    )
    assert row["after"].total_seconds() == 24 * 3600


async def test_one_document_has_one_alert_whose_sentence_follows_its_pages(
    db: Database, source: Scratch
) -> None:
    health = Health()
    source.move_clock("25 hours")
    visited(source, 1)
    await health.look(db)
    visited(source, 1, 2, 3, cause="the page answers 500 Internal Server Error")
    source.move_clock("26 hours")
    visited(source, 1, 2, 3, cause="the page answers 500 Internal Server Error")
    await health.look(db)

    (sentence,) = alerts(source)
    assert "3 of 3 pages" in sentence and "500 Internal Server Error" in sentence


async def test_a_source_that_sees_again_closes_its_alert_and_both_are_audited(
    db: Database, source: Scratch
) -> None:
    health = Health()
    source.move_clock("25 hours")
    visited(source, 3)
    await health.look(db)
    visited(source)
    after = await health.look(db)

    assert after is not None and (after.blind, after.closed) == (0, ("acme/terms",))
    assert alerts(source) == []
    rows = source.run(
        "SELECT action FROM app.audit_log WHERE after ->> 'kind' = 'source_blind' AND after ->> 'subject' = 'acme/terms'"
        " ORDER BY id"
    )
    assert [row["action"] for row in rows] == ["alert.open", "alert.close"]


@pytest.mark.parametrize("state", ["paused", "archived"])
async def test_a_document_that_is_watched_no_more_is_not_blind_any_more(
    db: Database, source: Scratch, state: str
) -> None:
    health = Health()
    source.move_clock("25 hours")
    visited(source, 1)
    await health.look(db)
    source.run(
        "INSERT INTO app.alerts (kind, subject, sentence) VALUES ('document_failing', 'acme/terms', 'it could not be read')"
    )
    source.run("UPDATE app.policy_documents SET state = %s", state)
    await health.look(db)

    assert (alerts(source), alerts(source, "document_failing")) == ([], [])


async def test_a_machine_that_slept_is_late_and_not_blind_and_says_so_only_if_it_does_not_catch_up(
    db: Database, source: Scratch
) -> None:
    health = Health()
    await health.look(db)
    source.move_clock("3 days")
    woke = await health.look(db)
    assert woke is not None and (woke.late, woke.blind) == (1, 0)
    assert source.run("SELECT health, cause FROM app.policy_documents") == [
        {"health": "late", "cause": "not visited for 2 cadences"}
    ]
    assert alerts(source, "documents_late") == []

    source.move_clock("31 minutes")
    await health.look(db)
    await health.look(db)
    (sentence,) = alerts(source, "documents_late")
    assert sentence.startswith("1 document was not visited in time, the first since ")
    assert source.run("SELECT times FROM app.alerts WHERE kind = 'documents_late'") == [{"times": 1}]

    visited(source)
    after = await health.look(db)
    assert after is not None and after.late == 0 and alerts(source, "documents_late") == []


async def test_a_document_that_moved_and_is_not_visited_any_more_is_late_too(
    db: Database, source: Scratch
) -> None:
    source.run("UPDATE app.policy_documents SET health = 'moved', cause = 'moved for good to elsewhere'")
    source.move_clock("25 hours")

    looked = await Health().look(db)

    assert looked is not None and (looked.late, looked.blind) == (1, 0)


async def test_an_alert_is_recalled_after_one_two_and_four_days_until_somebody_has_seen_it(
    db: Database, source: Scratch
) -> None:
    health = Health()
    source.move_clock("25 hours")
    visited(source, 1)
    await health.look(db)

    recalled = []
    for day in range(1, 9):
        source.move_clock("1 day")
        visited(source, 1)
        await health.look(db)
        (row,) = source.run("SELECT reminders FROM app.alerts WHERE kind = 'source_blind'")
        recalled.append((day, row["reminders"]))
    assert recalled == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 2), (7, 3), (8, 3)]

    with psycopg.connect(source.person("ada", "admin"), autocommit=True) as admin:
        admin.execute(
            "SELECT * FROM act.ack_alert(gen_random_uuid(), (SELECT id FROM read.alerts WHERE kind = 'source_blind'))"
        )
    source.move_clock("20 days")
    await health.look(db)
    assert source.run(
        "SELECT reminders, acked_by IS NOT NULL AS seen FROM app.alerts WHERE kind = 'source_blind'"
    ) == [{"reminders": 3, "seen": True}]


async def test_the_alert_of_a_change_that_somebody_decided_is_closed(db: Database, database: Scratch) -> None:
    database.run(SEED.read_text(encoding="utf-8"))
    first, second = (row["id"] for row in database.run(
        "SELECT change_id AS id FROM app.change_states WHERE status = 'queued' ORDER BY change_id LIMIT 2"))  # fmt: skip
    for change in (first, second):
        database.run(
            "INSERT INTO app.alerts (kind, subject, audience, sentence) VALUES ('change', %s, 'reviewers', 'it is critical')",
            f"C-{change}",
        )
    with psycopg.connect(database.person("rita"), autocommit=True) as reviewer:
        reviewer.execute(
            "SELECT * FROM act.decide_change(gen_random_uuid(), %s, 1, 'accepted', NULL)", [first]
        )
    await Health().look(db)

    rows = database.run("SELECT subject FROM app.alerts WHERE kind = 'change' AND closed_at IS NULL")
    assert [row["subject"] for row in rows] == [f"C-{second}"]


async def test_a_second_daemon_finds_nothing_left_to_say(db: Database, source: Scratch) -> None:
    source.move_clock("25 hours")
    visited(source, 1)
    async with db.transaction() as tx:
        await tx.value(_lock())
        async with await Database.open(source.daemon) as other:
            assert await Health().look(other) is None
    first, second = await Health().look(db), await Health().look(db)
    assert first is not None and second is not None
    assert (first.opened, second.opened) == (("acme/terms",), ())


async def test_a_page_that_went_away_is_reported_within_two_cadences_and_closed_when_it_answers_again(
    database: Scratch,
) -> None:
    """As a whole: a real collector on loopback, its platforms visited every hour, one page gone for a while."""
    database.replace_clock()
    terms, health = Document("x", "terms-of-service"), Health()
    async with open_world(database, PLATFORMS[:1]) as world:
        service = await world.service()

        async def hours_later(count: int = 1) -> list[str]:
            database.move_clock(f"{count} hour 5 minutes")
            await world.once()
            await health.look(service.db)
            return [row["subject"] for row in world.rows(
                "SELECT subject FROM app.alerts WHERE kind = 'source_blind' AND closed_at IS NULL")]  # fmt: skip

        await world.once()
        assert await hours_later() == []
        world.web.spoil(terms, Trouble.NOT_FOUND)
        told = [await hours_later(), await hours_later()]
        assert told == [
            [],
            ["x/terms-of-service"],
        ]  # an hour after the first fault, two after the last good look
        assert world.value("SELECT blind FROM read.platform_status WHERE platform = 'x'") == 1

        world.web.mend(terms)
        assert await hours_later() == []
        rows = world.rows("SELECT d.blind_since, g.blind_since AS page FROM app.policy_documents d"
                          " JOIN app.document_pages g ON g.document_id = d.id WHERE d.key = 'terms-of-service'")  # fmt: skip
        assert rows == [{"blind_since": None, "page": None}]


def _lock() -> Query:
    return load("health").try_lock
