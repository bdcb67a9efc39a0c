"""What a visit leaves behind: captures, snapshots, changes, and the named causes of what could not be read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from policywatch.simulated.pages import noise_of
from policywatch.simulated.texts import PLATFORMS, Document
from policywatch.simulated.web import Trouble
from tests.daemon.collecting_world import World, open_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


@pytest_asyncio.fixture
async def world(database: Scratch) -> AsyncIterator[World]:
    async with open_world(database, PLATFORMS) as opened:
        yield opened


async def test_the_first_look_stores_each_document_once_and_no_change(world: World) -> None:
    report = await world.once()

    assert report.outcomes == {"first": 21}, report.lines()
    assert world.value("SELECT count(*) FROM app.policy_snapshots WHERE kind = 'first'") == 21
    assert world.value("SELECT count(*) FROM app.change_states") == 0
    assert world.value("SELECT count(*) FROM app.document_search") == 21
    assert (
        world.value("SELECT count(*) FROM app.policy_documents WHERE health = 'ok' AND owner IS NULL") == 21
    )


async def test_a_second_look_sends_the_servers_own_validators_and_gets_304(world: World) -> None:
    await world.once()
    report = await world.all_once()

    assert report.outcomes == {"unchanged": 21}
    assert world.web.second_pass() == (21, 21)
    states = "SELECT state, conditional, count(*) AS n FROM app.captures GROUP BY 1, 2 ORDER BY 1"
    assert world.rows(states) == [
        {"state": "good", "conditional": False, "n": 21},
        {"state": "unchanged", "conditional": True, "n": 21},
    ]
    assert world.value("SELECT count(*) FROM app.policy_snapshots") == 21


async def test_a_changed_page_becomes_one_unreviewed_change_with_all_that_belongs_to_it(world: World) -> None:
    await world.once()
    world.web.advance()
    report = await world.all_once()

    wanted = sorted(document.page for document in world.web.truth.changed(1))
    found = world.rows("SELECT platform, document, summary FROM read.recent_unreviewed_changes")
    assert sorted(f"{row['platform']}/{row['document']}" for row in found) == wanted
    assert len([change for visited in report.visits for change in visited.changes]) == len(wanted)
    assert all(row["summary"] for row in found)
    assert world.value("SELECT count(*) FROM app.audit_log WHERE action = 'change.detected'") == world.value(
        "SELECT count(*) FROM app.policy_changes"
    )
    passages = world.rows(
        "SELECT c.passages FROM app.policy_changes c JOIN app.change_states s ON s.change_id = c.id"
        " WHERE s.status = 'queued'"
    )
    assert all(row["passages"] for row in passages)


async def test_noise_is_never_queued_and_can_be_listed(world: World) -> None:
    await world.once()
    for round_ in range(1, 4):
        world.web.advance()
        await world.all_once()
        noisy = [d for d in world.web.documents if noise_of(7, d, round_)]
        assert noisy

    expected = sum(len(world.web.truth.changed(round_)) for round_ in range(1, 4))
    assert world.value("SELECT count(*) FROM app.change_states WHERE status = 'queued'") == expected
    kinds = world.rows(
        "SELECT DISTINCT c.noise_kind FROM app.policy_changes c JOIN app.change_states s ON s.change_id = c.id"
        " WHERE s.status = 'noise'"
    )
    assert "none" not in {row["noise_kind"] for row in kinds}


async def test_what_cannot_be_read_is_named_with_its_cause_and_the_rest_goes_on(world: World) -> None:
    await world.once()
    troubles = {
        Document("x", "terms-of-service"): (Trouble.NOT_FOUND, "failed", "gone", "404 Not Found"),
        Document("facebook", "terms-of-service"): (
            Trouble.SERVER_ERROR,
            "failed",
            "degraded",
            "500 Internal",
        ),
        Document("instagram", "terms-of-service"): (Trouble.EMPTY, "suspect", "needs-rules", "empty"),
        Document("linkedin", "terms-of-service"): (Trouble.BINARY, "suspect", "needs-rules", "binary"),
        Document("tiktok", "terms-of-service"): (Trouble.NO_ANSWER, "failed", "degraded", "within 2 s"),
        Document("youtube", "terms-of-service"): (Trouble.CUT, "failed", "degraded", "broke off"),
    }
    for document, (trouble, *_) in troubles.items():
        world.web.spoil(document, trouble)
    world.web.advance()
    report = await world.all_once()

    assert not report.is_whole
    assert report.outcomes["failed"] == len(troubles)
    assert len(report.visits) == 21
    told = "\n".join(report.lines())
    for document, (_, state, health, words) in troubles.items():
        (row,) = world.rows(
            "SELECT d.health, d.cause, d.failing_since, d.failures, d.owner, g.health AS page_health, c.state"
            " FROM app.policy_documents d JOIN app.platforms p ON p.id = d.platform_id"
            " JOIN app.document_pages g ON g.document_id = d.id JOIN app.captures c ON c.page_id = g.id AND c.fence = d.fence"
            " WHERE p.key = %s AND d.key = %s",
            document.platform,
            document.key,
        )
        assert (row["health"], row["page_health"], row["state"]) == (health, health, state), (document, row)
        assert words in row["cause"], (document, row)
        assert row["failing_since"] is not None and row["failures"] == 1 and row["owner"] is None
        assert f"{document.page}: not read: {row['cause']}" in told
    changed = {document.page for document in world.web.truth.changed(1)} - {d.page for d in troubles}
    found = world.rows("SELECT platform, document FROM read.recent_unreviewed_changes")
    assert {f"{row['platform']}/{row['document']}" for row in found} == changed


async def test_a_page_that_comes_back_is_compared_with_its_last_good_text(world: World) -> None:
    await world.once()
    spoilt = next(iter(sorted(world.web.truth.changed(1))))
    world.web.spoil(spoilt, Trouble.EMPTY)
    world.web.advance()
    await world.all_once()
    world.web.mend(spoilt)
    report = await world.once(spoilt.page)

    assert report.outcomes == {"change": 1}
    (row,) = world.rows(
        "SELECT d.health, d.cause, d.failing_since FROM app.policy_documents d"
        " JOIN app.platforms p ON p.id = d.platform_id WHERE p.key = %s AND d.key = %s",
        spoilt.platform,
        spoilt.key,
    )
    assert row == {"health": "ok", "cause": None, "failing_since": None}


async def test_a_host_sees_one_request_at_a_time(world: World) -> None:
    await world.once()

    assert set(world.web.most_in_flight.values()) == {1}
    assert world.value("SELECT count(*) FROM app.hosts WHERE owner IS NULL") == 7
