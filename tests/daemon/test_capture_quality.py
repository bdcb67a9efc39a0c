"""A capture that shows a wall is kept and never compared; after two of them a person may take one for the policy."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from policywatch.db import acts
from policywatch.db.pool import Database
from policywatch.errors import NotAllowed, PolicyWatchError
from policywatch.simulated.texts import Document, original
from tests.daemon.told_pages import LOGIN, TOLD, Told, changed, page, policy, told_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

WALL = f"<html><title>Log in</title><main>{LOGIN}</main></html>".encode()
STUB = policy(
    "# Terms of Service of X\n\nX is closed. These terms no longer apply, and no agreement is made by reading them. "
    "Write to us if you have a question."
)


@pytest_asyncio.fixture
async def told(database: Scratch) -> AsyncIterator[Told]:
    async with told_world(database, second_look="20 min") as opened:
        yield opened


async def test_a_wall_is_kept_with_its_signs_and_is_never_compared(told: Told) -> None:
    await told.look()
    before, good = told.believed(), told.first_page()["good_capture"]
    told.say(WALL)
    visited = await told.look()

    page, document = told.first_page(), told.document()
    (capture,) = told.world.rows("SELECT * FROM app.captures ORDER BY id DESC LIMIT 1")
    assert visited.outcome == "failed"
    assert (capture["state"], page["health"], document["health"]) == ("suspect", "blocked", "blocked")
    assert capture["quality"] >= 0.5 and capture["raw_sha256"] and capture["text_sha256"]
    assert capture["signals"]["found"] and "hardly the policy" in capture["cause"]
    assert (told.believed(), page["good_capture"]) == (before, good)
    assert (page["failures"], page["suspects"], page["suspect_capture"]) == (1, 1, capture["id"])
    assert told.statuses() == []


async def test_the_page_that_comes_back_is_as_it_was(told: Told) -> None:
    await told.look()
    outcomes = await told.looks(WALL, WALL, TOLD)

    page = told.first_page()
    assert outcomes == ["failed", "failed", "unchanged"]
    assert (page["failures"], page["suspects"], page["suspect_capture"], page["health"]) == (0, 0, None, "ok")
    assert told.statuses() == []


async def test_a_text_in_another_language_is_held(told: Told) -> None:
    await told.look()
    german = "# Nutzungsbedingungen\n\n" + "\n\n".join(
        f"Absatz {n}: Sie dürfen den Dienst nur nutzen, wenn Sie die Bedingungen und die Regeln der Gemeinschaft"
        " einhalten und das Gesetz Ihres Landes es nicht verbietet. Wir werden das Konto sonst sperren."
        for n in range(20)
    )
    assert await told.looks(german) == ["failed"]
    assert "text is in de" in told.first_page()["cause"]


async def test_a_suspect_capture_is_accepted_by_an_editor_after_two_and_becomes_a_change(
    told: Told, database: Scratch
) -> None:
    await told.look()
    before = told.believed()
    await told.looks(WALL)
    once = told.first_page()["suspect_capture"]
    async with await Database.open(database.person("edna", "editor"), application="test") as edna:
        with pytest.raises(PolicyWatchError, match="two suspect ones"):
            await acts.accept_capture(edna, once)
        await told.looks(STUB)
        assert told.first_page()["suspects"] == 2, told.first_page()["cause"]
        capture = told.first_page()["suspect_capture"]
        async with await Database.open(database.person("rita"), application="test") as rita:
            with pytest.raises(NotAllowed):
                await acts.accept_capture(rita, capture)
        await acts.accept_capture(edna, capture)

    outcomes = await told.looks(STUB, STUB)

    assert outcomes == ["change", "unchanged"]
    assert told.statuses() == ["queued"]  # no second look: a person looked
    assert told.believed() != before
    assert told.first_page()["health"] == "ok"


async def test_an_accepted_capture_counts_though_the_page_cannot_be_read(
    told: Told, database: Scratch
) -> None:
    capture = await accepted_stub(told, database)
    told.say(b"", status=503)

    visited = await told.look()

    assert (visited.outcome, told.statuses()) == ("change", ["queued"])
    page = told.first_page()
    assert (page["good_capture"], page["etag"]) == (capture, None)
    told.later("2 hours")  # the host asked for time
    assert await told.looks(STUB) == ["unchanged"]


async def accepted_stub(told: Told, database: Scratch) -> int:
    """A policy, two looks at a stub, and an editor who took the newest for the policy; its capture."""
    await told.look()
    await told.looks(STUB, STUB)
    capture = told.first_page()["suspect_capture"]
    async with await Database.open(database.person("edna", "editor"), application="test") as edna:
        await acts.accept_capture(edna, capture)
    return int(capture)


async def test_an_accepted_capture_stands_though_the_page_shows_yet_another_wall(
    told: Told, database: Scratch
) -> None:
    capture = await accepted_stub(told, database)

    assert await told.looks(WALL) == ["change"]
    rows = told.world.rows(
        "SELECT encode(reader_hash, 'hex') AS reader FROM app.policy_snapshots ORDER BY id DESC LIMIT 1"
    )
    stored = told.world.value("SELECT signals ->> 'reader' FROM app.captures WHERE id = %s", capture)
    assert rows == [{"reader": stored}]
    assert await told.looks(STUB, WALL) == ["unchanged", "failed"]


async def test_what_was_accepted_is_void_when_the_page_says_the_old_text_again(
    told: Told, database: Scratch
) -> None:
    capture = await accepted_stub(told, database)
    assert await told.looks(TOLD) == ["unchanged"]
    told.say(b"", status=403)

    visited = await told.look()

    assert (visited.outcome, told.statuses()) == ("failed", [])
    assert told.first_page()["good_capture"] < capture


async def test_lengths_and_neighbours_of_a_page_are_its_past(told: Told) -> None:
    await told.look()
    await told.looks(changed("You may appeal at any time."), changed("You may appeal at any time."))

    rows = told.world.rows(
        "SELECT signals FROM app.captures WHERE state = 'good' AND text_sha256 IS NOT NULL"
    )
    assert all(row["signals"]["length"] > 1000 for row in rows)
    assert all(len(row["signals"]["reader"]) == 64 for row in rows if "reader" in row["signals"])


async def test_a_page_that_shows_another_page_in_a_wording_of_today_is_held(told: Told) -> None:
    told.set([page("terms-of-service"), page("privacy")], second_look="20 min")
    privacy = original(Document("x", "privacy-policy"))
    told.say(privacy, path="privacy")
    await told.look()
    told.say(privacy + "\n\nA paragraph that is new today, and that we have read nowhere so far.\n")
    visited = await told.look()

    assert visited.outcome == "unchanged"  # the last good text stands in
    assert told.first_page()["health"] == "moved"
    assert "another page of the platform" in told.first_page()["cause"]
