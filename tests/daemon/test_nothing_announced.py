"""R34 by the daemon: bad captures, twice each, and a flapping pair announce nothing; the policy is back unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.daemon.told_pages import Told, page, told_world
from tests.databases import Scratch
from tests.reading.bad_pages import BAD
from tests.reading.own_policies import TERMS, html

pytestmark = pytest.mark.needs_db

GOOD = html(TERMS)
# Those that stand in for these terms and say so by their body alone: status, type, redirects are other tests' matter.
ANSWERS = [one for one in BAD if one.policy == TERMS and one.body and one.status == 200 and one.text is None]


@pytest_asyncio.fixture
async def told(database: Scratch) -> AsyncIterator[Told]:
    async with told_world(
        database, [page("terms-of-service", select=["body"])], second_look="20 min"
    ) as opened:
        opened.say(GOOD.encode())
        yield opened


async def test_bad_captures_are_never_announced_and_never_the_base(told: Told) -> None:
    assert len(ANSWERS) >= 15
    await told.look()
    believed = told.believed()
    taken = []
    for answer in ANSWERS:
        body = answer.body.encode()
        outcomes = await told.looks(body, body)
        if outcomes != ["failed", "failed"]:
            taken.append((answer.name, outcomes))
        if await told.looks(GOOD.encode()) != ["unchanged"]:
            taken.append((answer.name, ["stuck"]))

    assert taken == []
    assert told.statuses() == []
    assert told.believed() == believed


async def test_a_page_that_shows_two_texts_by_turns_announces_nothing(told: Told) -> None:
    await told.look()
    other = GOOD.replace("days", "weeks").encode()
    for _ in range(4):
        await told.looks(other, GOOD.encode())
        told.later("13 hours")

    assert told.world.value("SELECT count(*) FROM read.recent_unreviewed_changes") == 0
    assert told.statuses() == ["undone"]
