"""Texts that a page shows by turns: known ones are no change, one that stays is, and a return says what it takes back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.daemon.told_pages import TOLD, Told, changed, page, told_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

B = changed("You may appeal against a suspension within 7 days, in writing only.")
C = changed("You may appeal against a suspension within 60 days.")


@pytest_asyncio.fixture
async def told(database: Scratch) -> AsyncIterator[Told]:
    async with told_world(database, second_look="20 min") as opened:
        yield opened


async def test_a_variant_that_stays_for_a_cadence_and_three_looks_is_the_policy(told: Told) -> None:
    await told.look()
    await told.looks(B, TOLD)
    before = told.believed()

    quick = await told.looks(B, B, B, apart="1 min")
    told.later("61 min")
    settled = await told.looks(B)

    assert (quick, settled) == (["variant"] * 3, ["change"])
    assert told.statuses() == ["undone", "queued"]
    assert told.believed() != before
    assert told.world.value("SELECT count(*) FROM app.document_variants") == 0


async def test_a_variant_that_comes_and_goes_is_never_a_change(told: Told) -> None:
    await told.look()
    await told.looks(B, TOLD)

    for _ in range(3):
        assert await told.looks(B, B, TOLD) == ["variant", "variant", "unchanged"]
        told.later("2 hours")
    assert told.statuses() == ["undone"]


async def test_five_variants_are_remembered(told: Told) -> None:
    await told.look()
    for number in range(7):
        await told.looks(changed(f"You may appeal within {number + 2} weeks."), TOLD)

    assert told.world.value("SELECT count(*) FROM app.document_variants") == 5
    assert told.statuses() == ["undone"] * 7


async def test_a_new_rule_forgets_variants(told: Told) -> None:
    await told.look()
    await told.looks(B, TOLD)
    told.set([page("terms-of-service", remove=["h2"])], second_look="20 min")
    await told.look()

    assert told.world.value("SELECT count(*) FROM app.document_variants") == 0


async def test_a_return_says_which_change_it_takes_back(told: Told) -> None:
    await told.look()
    await told.looks(B, B)
    told.later("10 days")
    await told.looks(TOLD, TOLD)

    there, back = told.changes()
    assert (there["status"], back["status"]) == ("queued", "queued")
    assert back["reverts"] == there["id"]
    (row,) = told.world.rows("SELECT reverts, alternates FROM read.changes WHERE change_id = %s", back["id"])
    assert row["reverts"] == there["id"]


async def test_three_alternations_within_a_week_are_one_item_that_counts_them(told: Told) -> None:
    await told.look()
    await told.looks(B, B, TOLD, TOLD)
    outcomes = await told.looks(B, TOLD)

    first, back, again, once_more = told.changes()
    assert outcomes == ["noise", "noise"]
    assert (first["status"], back["status"]) == ("queued", "queued")
    assert [(one["status"], one["noise"], one["same_as"]) for one in (again, once_more)] == [
        ("noise", "duplicate", first["id"])
    ] * 2
    told_first = told.changes()[0]
    assert told_first["alternates"] == 3
    assert again["reverts"] == back["id"]


async def test_a_third_text_is_a_change_of_its_own_in_the_middle_of_alternations(told: Told) -> None:
    await told.look()
    await told.looks(B, B, TOLD, TOLD, B)
    await told.looks(C, C)

    assert told.statuses() == ["queued", "queued", "noise", "queued"]
