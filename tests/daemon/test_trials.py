"""A rule is valid when two fetches, one after the other, give the same text."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.daemon.told_pages import TOLD, Told, changed, page, policy, told_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

TERMS = page("terms-of-service")
STRICTER = page("terms-of-service", remove=["h2"])


@pytest_asyncio.fixture
async def told(database: Scratch) -> AsyncIterator[Told]:
    async with told_world(database, [TERMS]) as opened:
        yield opened


def counter(number: int) -> str:
    """The policy with a passage that differs at every fetch."""
    return changed(f"{number} people have read this page since Monday, and all of them agree.")


async def test_a_new_page_is_fetched_twice_and_then_valid(told: Told) -> None:
    visited = await told.look()

    row = told.first_page()
    assert (visited.outcome, told.requests(), row["trial"]) == ("first", 2, "good")
    assert row["trial_result"]["lengths"][0] == row["trial_result"]["lengths"][1] > 100
    assert told.audited("rule.") == ["rule.tried"]
    await told.look()
    assert told.requests() == 3


async def test_a_page_whose_text_never_stands_still_is_no_document_and_says_which_passages(
    told: Told,
) -> None:
    told.say(counter(1), counter(2))
    visited = await told.look()

    row = told.first_page()
    assert (visited.outcome, row["trial"], row["health"]) == ("failed", "failed", "needs-rules")
    assert "different texts" in row["cause"]
    assert "people have read" in str(row["trial_result"]["volatile"])
    assert told.world.value("SELECT count(*) FROM app.policy_snapshots") == 0
    (capture,) = told.world.rows("SELECT state, raw_sha256 FROM app.captures")
    assert capture["state"] == "suspect" and capture["raw_sha256"]
    told.say(TOLD)
    assert (await told.look()).outcome == "first"  # tried again at its next visit


async def test_an_edited_rule_waits_for_its_trial_and_then_holds(told: Told) -> None:
    await told.look()
    old = told.first_page()["rule_id"]
    told.set([STRICTER])
    visited = await told.look()

    row = told.first_page()
    assert (visited.outcome, row["trial"], row["trial_rule_id"]) == ("technical", "good", None)
    assert row["rule_id"] != old
    assert told.statuses() == []


async def test_an_edited_rule_that_fails_leaves_the_old_one_in_force_and_the_page_watched(told: Told) -> None:
    await told.look()
    old = told.first_page()["rule_id"]
    told.set([page("terms-of-service", select=["article.policy"])])
    told.say(changed("You may appeal against a suspension within 7 days."))
    visited = await told.look()

    row = told.first_page()
    assert (row["trial"], row["rule_id"]) == ("failed", old)
    assert row["trial_rule_id"] not in (None, old)
    assert "article.policy" in row["trial_result"]["cause"]
    assert (visited.outcome, told.statuses(), row["health"]) == ("change", ["queued"], "ok")


async def test_a_page_that_cannot_be_reached_is_not_said_to_have_a_bad_rule(told: Told) -> None:
    told.say(b"", status=404)
    await told.look()

    assert (told.first_page()["trial"], told.first_page()["health"]) == ("waiting", "gone")


async def test_a_wall_at_the_first_look_is_no_policy(told: Told) -> None:
    told.say(
        policy(
            "# Just a moment\n\nChecking your browser before you proceed. Please enable JavaScript and cookies to continue to X."
        )
    )
    visited = await told.look()

    assert (visited.outcome, told.first_page()["trial"]) == ("failed", "failed")
    assert told.world.value("SELECT count(*) FROM app.policy_snapshots") == 0
