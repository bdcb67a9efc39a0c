"""A change is believed when it was seen twice: confirmed, undone, doubted, or shown early because it is urgent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from policywatch.db import acts
from policywatch.db.pool import Database
from policywatchd.upkeep.health import Health
from tests.daemon.told_pages import TOLD, Told, changed, page, policy, told_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

NEW = changed("You may appeal against a suspension within 7 days, in writing only.")
OTHER = changed("You may appeal against a suspension within 60 days.")
THIRD = changed("There is no appeal against a suspension.")
URGENT = changed("There is no appeal against a suspension. This takes effect on December 1, 2026.")


@pytest_asyncio.fixture
async def told(database: Scratch) -> AsyncIterator[Told]:
    async with told_world(database, second_look="20 min") as opened:
        yield opened


async def test_a_change_is_queued_and_believed_when_a_second_look_sees_it_again(told: Told) -> None:
    await told.look()
    before = told.believed()

    first = await told.looks(NEW)
    waiting, held = told.statuses(), told.believed()
    due = told.world.value(
        "SELECT due_at - app.pw_now() BETWEEN interval '10 min' AND interval '30 min' FROM app.policy_documents"
        " WHERE key = 'terms-of-service'"
    )
    asked = told.requests()
    second = await told.looks(NEW)

    assert (first, waiting, held, due) == (["change"], ["second_look"], before, True)
    assert (second, told.statuses()) == (["confirmed"], ["queued"])
    assert told.believed() != before
    assert told.requests() == asked + 1
    assert told.changes()[0]["looks"] == 2 and not told.changes()[0]["waits"]
    assert told.audited("change.") == ["change.detected", "change.confirmed"]
    assert "7 days" not in before and told.world.value(
        "SELECT words @@ to_tsquery('english', 'writing') FROM app.document_search"
    )


async def test_a_visit_that_somebody_asks_for_too_soon_confirms_nothing(told: Told) -> None:
    await told.look()
    await told.looks(NEW)
    early = await told.looks(NEW, apart="2 min")
    due = told.world.value(
        "SELECT due_at < app.pw_now() + interval '31 min' FROM app.policy_documents WHERE key = 'terms-of-service'"
    )

    assert (early, told.statuses(), due) == (["open"], ["second_look"], True)
    assert await told.looks(NEW) == ["confirmed"]


async def test_a_text_that_goes_back_was_no_change_and_is_known_from_then_on(told: Told) -> None:
    await told.look()
    before = told.believed()

    outcomes = await told.looks(NEW, TOLD, NEW, TOLD)

    assert outcomes == ["change", "undone", "variant", "unchanged"]
    assert told.statuses() == ["undone"]
    assert told.believed() == before
    assert told.audited("change.") == ["change.detected", "change.undone"]
    assert told.world.rows("SELECT kind, in_a_row FROM app.document_variants") == [
        {"kind": "flapping", "in_a_row": 0}
    ]


async def test_a_third_text_gets_a_third_look_and_then_a_person_decides(told: Told) -> None:
    await told.look()
    before = told.believed()

    outcomes = await told.looks(NEW, OTHER, THIRD)

    assert outcomes == ["change", "change", "change"]
    assert told.statuses() == ["undone", "undone", "unconfirmed"]
    assert told.believed() == before
    more = await told.looks(NEW)  # one item is enough for a person
    assert (more, told.statuses()) == (["open"], ["undone", "undone", "unconfirmed"])
    settled = await told.looks(THIRD)
    assert (settled, told.statuses()) == (["confirmed"], ["undone", "undone", "queued"])


async def test_an_urgent_change_is_shown_at_once_as_unconfirmed_and_confirmed_later(told: Told) -> None:
    await told.look()

    await told.looks(URGENT)
    shown = told.world.rows("SELECT status FROM read.recent_unreviewed_changes")
    await told.looks(URGENT)

    assert shown == [{"status": "unconfirmed"}]
    assert told.statuses() == ["queued"]


async def test_an_urgent_change_that_goes_back_leaves_the_queue(told: Told) -> None:
    await told.look()
    await told.looks(URGENT, TOLD)

    assert told.statuses() == ["undone"]
    assert told.world.value("SELECT count(*) FROM read.recent_unreviewed_changes") == 0


@pytest.mark.parametrize(("verdict", "believed"), [("accepted", True), ("bad_capture", False)])
async def test_a_person_who_is_faster_than_the_second_look_has_the_last_word(
    told: Told, database: Scratch, verdict: str, believed: bool
) -> None:
    await told.look()
    before = told.believed()
    await told.looks(URGENT)
    async with await Database.open(database.person("rita"), application="test") as rita:
        (change,) = told.changes()
        await acts.decide_change(rita, change["id"], 1, verdict)

    outcomes = await told.looks(URGENT, URGENT)

    assert outcomes == (["taken", "unchanged"] if believed else ["dropped", "variant"])
    assert told.statuses() == ["decided"]
    assert (told.believed() != before) is believed


async def test_a_candidate_is_not_confirmed_by_a_page_that_could_not_be_read(told: Told) -> None:
    await told.look()
    await told.looks(NEW)
    told.say(b"", status=503)
    visited = await told.look()

    assert visited.outcome == "failed"
    assert told.statuses() == ["second_look"]


async def test_with_the_second_look_off_a_change_is_queued_at_once(told: Told) -> None:
    await told.look()
    told.set([page("terms-of-service")])
    await told.looks(NEW)

    assert told.statuses() == ["queued"]


async def test_noise_needs_no_second_look(told: Told) -> None:
    pages = [
        policy(TOLD).replace(b"appeal", b'<a href="/%s">appeal</a>' % target, 1)
        for target in (b"here", b"there")
    ]
    told.say(pages[0])
    await told.look()

    assert await told.looks(pages[1]) == ["noise"]
    assert told.statuses() == ["noise"]


async def test_a_change_whose_page_stays_shut_is_shown_unconfirmed_when_its_source_counts_as_blind(
    told: Told,
) -> None:
    health = Health()
    await told.look()
    await told.looks(NEW)
    told.say(b"", status=403)
    told.later("1 hour")
    await told.look()
    await health.look(told.service.db)
    early = told.statuses()

    told.later("61 minutes")
    await told.look()
    await health.look(told.service.db)
    await health.look(told.service.db)

    assert (early, told.statuses()) == (["second_look"], ["unconfirmed"])
    assert told.audited("change.") == ["change.detected", "change.unconfirmed"]
    assert told.world.rows("SELECT status FROM read.recent_unreviewed_changes") == [{"status": "unconfirmed"}]
    assert await told.looks(NEW) == ["confirmed"]
    assert told.statuses() == ["queued"]
