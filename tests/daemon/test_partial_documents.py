"""A document of many pages goes on when one of them is blocked, and says how much of it was judged."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from policywatchd.collect import hosts
from tests.daemon.told_pages import TOLD, Told, page, policy, told_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

PAGES = 31
PATHS = [f"rules/{number}" for number in range(1, PAGES + 1)]


def rule(number: int, words: str = "") -> bytes:
    """One of the pages: each a policy of its own."""
    return policy(TOLD.replace("Terms of Service of X", f"Rule {number} of X") + f"\n\n{words}")


@pytest_asyncio.fixture
async def told(database: Scratch) -> AsyncIterator[Told]:
    async with told_world(database, [page(path) for path in PATHS]) as opened:
        for number, path in enumerate(PATHS, start=1):
            opened.say(rule(number), path=path)
        yield opened


async def test_thirty_one_pages_with_one_blocked_are_still_seen_to_change(told: Told) -> None:
    first = await told.look()
    told.say(b"", path=PATHS[6], status=403)
    quiet = await told.look()
    told.say(rule(20, "You must now register with your full name."), path=PATHS[19])
    visited = await told.look()

    assert (first.outcome, quiet.outcome, visited.outcome) == ("first", "unchanged", "change")
    (row,) = told.world.rows("SELECT pages_seen, summary FROM read.changes WHERE status = 'queued'")
    assert row["pages_seen"] == [30, 31]
    (passages,) = told.world.rows("SELECT passages FROM app.policy_changes")
    assert len(passages["passages"]) == 1 and "full name" in str(passages)
    assert told.world.value("SELECT partial FROM app.policy_snapshots ORDER BY id DESC LIMIT 1")
    document = told.document()
    assert document["health"] == "blocked" and "rules/7" in document["cause"]
    assert [unread.url for unread in visited.unread] == ["http://x.test/rules/7"]


async def test_a_blocked_page_that_comes_back_changed_is_seen_then(told: Told) -> None:
    await told.look()
    told.say(b"", path=PATHS[6], status=403)
    await told.look()
    told.say(rule(7, "This rule was changed while it could not be read."), path=PATHS[6])
    visited = await told.look()

    assert visited.outcome == "change"
    assert told.document()["health"] == "ok"
    assert told.statuses() == ["queued"]


async def test_a_page_that_was_never_good_is_no_part_and_joins_without_a_change(told: Told) -> None:
    told.say(b"", path=PATHS[6], status=403)
    first = await told.look()
    text = told.world.value("SELECT words::text FROM app.document_search")
    told.say(rule(7), path=PATHS[6])
    told.say(rule(9, "Rule 9 was changed on the very day."), path=PATHS[8])
    visited = await told.look()

    assert first.outcome == "first" and "'7'" not in text
    assert visited.outcome == "change"
    kinds = told.world.rows("SELECT kind, partial FROM app.policy_snapshots ORDER BY id")
    assert kinds == [
        {"kind": "first", "partial": True},
        {"kind": "technical", "partial": False},
        {"kind": "change", "partial": False},
    ]
    (passages,) = told.world.rows("SELECT passages FROM app.policy_changes")
    assert len(passages["passages"]) == 1 and "very day" in str(passages)


async def test_a_document_without_one_readable_page_has_failed(told: Told) -> None:
    await told.look()
    for path in PATHS:
        told.say(b"", path=path, status=403)
    visited = await told.look()

    assert visited.outcome == "failed"
    assert told.document()["cause"].endswith("and 30 more of 31 pages")


async def test_pages_of_a_host_that_wants_half_a_minute_between_requests_are_all_read(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        told.later(f"{seconds:.1f} seconds")

    monkeypatch.setattr(hosts, "_sleep", sleep)
    told.set([page(path) for path in PATHS[:2]])
    told.say(b"User-agent: *\nCrawl-delay: 30\n", path="robots.txt")
    visited = await told.look()

    assert (visited.outcome, list(visited.unread)) == ("first", [])
    assert len(slept) == 3 and all(25 < seconds < 40 for seconds in slept)  # two trials of two fetches
