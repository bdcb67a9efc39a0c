"""What people ask about rules: a trial now, a filter held against the past, a history read again by today's rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from policywatch.db import acts, listing
from policywatch.db.pool import Database
from policywatchd.upkeep.requests import serve_waiting
from tests.daemon.told_pages import TOLD, Told, changed, page, policy, told_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

NAME = ("x", "terms-of-service")


@pytest_asyncio.fixture
async def told(database: Scratch) -> AsyncIterator[Told]:
    async with told_world(database) as opened:
        yield opened


@pytest_asyncio.fixture
async def edna(database: Scratch) -> AsyncIterator[Database]:
    async with await Database.open(database.person("edna", "editor"), application="test") as db:
        yield db


async def answer(told: Told, edna: Database, outcome: Any) -> dict[str, Any]:
    """What the daemon answers."""
    await serve_waiting(told.service)
    row = await listing.request(edna, outcome.id)
    assert row is not None and row["state"] == "done", row
    return dict(row["result"])


async def test_a_trial_shows_what_is_read_what_is_cut_and_what_moves(told: Told, edna: Database) -> None:
    told.set([page("terms-of-service", remove=["h2"])])
    await told.look()
    result = await answer(told, edna, await acts.request_trial(edna, *NAME))

    (tried,) = result["pages"]
    assert (tried["trial"], tried["warnings"], tried["volatile"]) == ("good", [], [])
    assert tried["characters"] > 1000 and tried["removed"] > 50
    assert tried["preview"].startswith("# Terms of Service")

    told.say(
        changed("Seen by 10 people since Monday, all of whom agree."),
        changed("Seen by 11 people since Monday, all of whom agree."),
    )
    result = await answer(told, edna, await acts.request_trial(edna, *NAME))
    (tried,) = result["pages"]
    assert tried["trial"] == "failed" and "different texts" in tried["cause"]
    assert tried["volatile"]
    assert told.first_page()["trial"] == "good"  # only a visit changes what is valid


async def test_a_filter_is_held_against_past_changes_before_it_is_taken(
    told: Told, edna: Database, database: Scratch
) -> None:
    box = '<aside class="box"><p>Readers like these texts: {}</p></aside>'
    pages = [
        policy().replace(b"</main>", box.format(words).encode() + b"</main>")
        for words in ("the privacy policy", "the rules of the community", "the copyright notice")
    ]
    told.say(pages[0])
    await told.look()
    await told.looks(*pages[1:])
    real = pages[2].replace(b"within 14 days", b"within 7 days")
    await told.looks(real)
    async with await Database.open(database.person("rita"), application="test") as rita:
        await acts.decide_change(rita, told.changes()[0]["id"], 1, "accepted")

    rule = {"add_filters": [], "add_remove": [".box"]}
    result = await answer(told, edna, await acts.request_preview(edna, *NAME, rule))

    assert (result["changes"], result["removed"], result["accepted"]) == (3, 2, 1)
    assert result["sentence"] == "would have removed 2 of 3 past changes, 1 of them accepted"
    assert told.statuses() == ["decided", "queued", "queued"]


async def test_a_history_is_read_again_and_what_is_ours_is_technical(told: Told, edna: Database) -> None:
    await told.look()
    await told.looks(changed("You may appeal against a suspension within 7 days."))
    before = told.believed()
    rule = told.world.value(
        "INSERT INTO app.extraction_rules (hash, definition)"
        ' VALUES (sha256(\'other\'), \'{"select": ["main"], "remove": ["h2"], "filters": []}\') RETURNING id'
    )
    told.world.rows("UPDATE app.document_pages SET rule_id = %s", rule)

    result = await answer(told, edna, await acts.request_reextract(edna, *NAME))
    again = await answer(told, edna, await acts.request_reextract(edna, *NAME))

    assert result == {"captures": 2, "read": 2, "different": 2, "unreadable": 0, "technical": True}
    assert again["technical"] is False
    assert told.believed() != before
    kinds = told.world.rows("SELECT kind FROM app.policy_snapshots ORDER BY id")
    assert [row["kind"] for row in kinds] == ["first", "change", "technical"]
    assert told.statuses() == ["queued"]
    assert await told.looks(changed("You may appeal against a suspension within 7 days.")) == ["unchanged"]


async def test_a_history_that_reads_the_same_adds_nothing(told: Told, edna: Database) -> None:
    await told.look()
    await told.looks(TOLD)
    result = await answer(told, edna, await acts.request_reextract(edna, *NAME))

    assert (result["different"], result["technical"]) == (0, False)
    assert told.world.value("SELECT count(*) FROM app.policy_snapshots") == 1


async def test_a_page_that_a_browser_built_stays_one_when_it_is_read_again(
    told: Told, edna: Database
) -> None:
    await told.look()
    told.world.rows("UPDATE app.captures SET step = 'browser' RETURNING id")
    rule = told.world.value(
        "INSERT INTO app.extraction_rules (hash, definition)"
        ' VALUES (sha256(\'other\'), \'{"select": ["main"], "remove": ["h2"], "filters": []}\') RETURNING id'
    )
    told.world.rows("UPDATE app.document_pages SET rule_id = %s", rule)

    result = await answer(told, edna, await acts.request_reextract(edna, *NAME))

    assert result["technical"] is True
    origin = told.world.value("SELECT origin FROM app.policy_snapshots ORDER BY id DESC LIMIT 1")
    assert [part[3:] for part in origin["parts"]] == [["browser"]]
