"""A difference that we made (rule, pages) is technical and never queued; the platform's own is found all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from policywatch.settings import Settings
from policywatch.simulated.texts import PLATFORMS
from policywatch.simulated.world import platforms_settings
from policywatchd.once import Report, once
from policywatchd.service import Service
from tests.daemon.collecting_world import World, open_world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


@pytest_asyncio.fixture
async def world(database: Scratch) -> AsyncIterator[World]:
    async with open_world(database, PLATFORMS[:1]) as opened:
        yield opened


def with_pages(pages: list[dict[str, Any]], **fetch: Any) -> Settings:
    """Settings with one document, terms of X, of these pages."""
    platforms = platforms_settings(PLATFORMS[:1], cadence="1 h")
    terms = platforms["x"]["documents"]["terms-of-service"] | {"pages": pages}
    platforms["x"]["documents"] = {"terms-of-service": terms}
    quick = {"min_gap": "1 ms", "timeout": "2 s", "second_look": "off"}
    made = Settings.model_validate({"catalogue": "none", "platforms": platforms, "fetch": {**quick, **fetch}})
    made._sha256 = repr(pages)
    return made


def page(path: str, **more: Any) -> dict[str, Any]:
    return {"url": f"http://x.test/{path}", "select": ["main"], "remove": [".feedback"], **more}


async def look(service: Service, settings: Settings) -> Report:
    service.settings = settings
    return await once(service, ["x/terms-of-service"])


def kinds(world: World) -> list[str]:
    return [row["kind"] for row in world.rows("SELECT kind FROM app.policy_snapshots ORDER BY id")]


async def test_a_changed_rule_gives_a_technical_snapshot_and_no_change(world: World) -> None:
    service = await world.service()
    await look(service, with_pages([page("terms-of-service")]))
    report = await look(service, with_pages([page("terms-of-service", remove=[".feedback", "h2"])]))
    again = await look(service, with_pages([page("terms-of-service", remove=[".feedback", "h2"])]))

    assert (report.outcomes, again.outcomes) == ({"technical": 1}, {"unchanged": 1})
    assert kinds(world) == ["first", "technical"]
    assert world.value("SELECT count(*) FROM app.change_states") == 0


async def test_a_change_of_the_platform_on_the_day_of_our_change_is_found_and_alone(world: World) -> None:
    """The old page is read again by the new rule first, so that only the platform's words differ."""
    service = await world.service()
    changed = {document.page for round_ in (1, 2, 3) for document in world.web.truth.changed(round_)}
    assert "x/terms-of-service" in changed
    await look(service, with_pages([page("terms-of-service")]))
    for _ in range(3):
        world.web.advance()

    report = await look(service, with_pages([page("terms-of-service", remove=[".feedback", "h2"])]))

    assert report.outcomes == {"change": 1}
    assert kinds(world) == ["first", "technical", "change"]
    (row,) = world.rows("SELECT passages FROM app.policy_changes")
    assert not any(
        passage["kind"] == "removed" and len(passage["before"]) < 40 for passage in row["passages"]
    )


async def test_where_the_old_page_is_gone_the_new_text_is_technical(world: World) -> None:
    service = await world.service()
    await look(service, with_pages([page("terms-of-service")]))
    report = await look(service, with_pages([page("terms-of-service"), page("privacy-policy")]))

    assert report.outcomes == {"technical": 1}
    text = world.value("SELECT words::text FROM app.document_search")
    assert "privaci" in text


async def test_a_page_that_left_the_settings_for_a_while_is_held_against_what_it_said_before(
    world: World,
) -> None:
    """As by an edit of its address that was taken back."""
    service = await world.service()
    await look(service, with_pages([page("privacy-policy"), page("terms-of-service")]))
    await look(service, with_pages([page("privacy-policy")]))
    before = {document.page for round_ in (1, 2, 3) for document in world.web.truth.changed(round_)}
    assert "x/terms-of-service" in before and "x/privacy-policy" not in before
    for _ in range(3):
        world.web.advance()

    report = await look(service, with_pages([page("privacy-policy"), page("terms-of-service")]))

    assert report.outcomes == {"change": 1}
    assert kinds(world) == ["first", "technical", "technical", "change"]
    (row,) = world.rows("SELECT passages FROM app.policy_changes")
    assert 0 < len(row["passages"]) < 6


async def test_a_page_that_was_never_read_well_is_no_part_of_the_text(world: World) -> None:
    service = await world.service()
    both = with_pages([page("terms-of-service"), page("privacy-policy")])
    first = await look(service, both)
    broken = with_pages([page("terms-of-service"), page("nothing-here")])
    report = await look(service, broken)

    assert first.outcomes == {"first": 1}
    assert report.outcomes == {"technical": 1}  # one page less is our doing
    assert [unread.url for visited in report.visits for unread in visited.unread] == [
        "http://x.test/nothing-here"
    ]
    assert kinds(world) == ["first", "technical"]
    assert world.value("SELECT partial FROM app.policy_snapshots ORDER BY id DESC LIMIT 1")
    (row,) = world.rows("SELECT health, cause FROM app.policy_documents WHERE key = 'terms-of-service'")
    assert row["health"] == "gone"
    assert "404" in row["cause"] and "http://x.test/nothing-here" in row["cause"]


async def test_a_page_that_needs_a_browser_is_said_so_without_a_request(world: World) -> None:
    service = await world.service()
    report = await look(service, with_pages([page("terms-of-service", render="always")]))

    assert "needs a browser" in report.lines()[0]
    assert world.web.log == []
    assert world.value("SELECT count(*) FROM app.captures") == 0


async def test_a_declared_region_that_is_not_there_is_a_suspect_capture_with_its_evidence(
    world: World,
) -> None:
    service = await world.service()
    report = await look(service, with_pages([page("terms-of-service", select=["article.policy"])]))

    assert report.outcomes == {"failed": 1}
    (row,) = world.rows("SELECT state, cause, raw_sha256 IS NOT NULL AS kept, text_sha256 FROM app.captures")
    assert row["state"] == "suspect" and row["kept"] and row["text_sha256"] is None
    assert "article.policy" in row["cause"]


async def test_with_a_second_look_a_change_waits_until_it_is_seen_again(world: World) -> None:
    service = await world.service()
    settings = with_pages([page("terms-of-service")], second_look="1 ms")
    await look(service, settings)
    for _ in range(3):
        world.web.advance()
    await look(service, settings)
    waiting = world.value("SELECT status FROM app.change_states")
    await look(service, settings)

    assert (waiting, world.value("SELECT status FROM app.change_states")) == ("second_look", "queued")
    first, second = [request for request in world.web.log if request.path == "/terms-of-service"][-2:]
    assert first.has_validators and not second.has_validators


async def test_a_host_that_asks_to_wait_is_left_alone(world: World) -> None:
    service = await world.service()
    settings = with_pages([page("terms-of-service")])
    await look(service, settings)
    world.rows("UPDATE app.hosts SET next_allowed_at = app.pw_now() + interval '1 hour'")
    seen = len(world.web.log)

    report = await look(service, settings)

    assert report.held == ["x/terms-of-service"]
    assert len(world.web.log) == seen
    assert world.value(
        "SELECT due_at > app.pw_now() + interval '50 min' FROM app.policy_documents WHERE key = 'terms-of-service'"
    )


async def test_a_new_address_whose_words_are_others_is_told_since_it_may_hide_a_change(world: World) -> None:
    service = await world.service()
    moved = dict(page("terms-of-service"), url="http://x.test/terms-of-service?moved=1")
    await look(service, with_pages([page("terms-of-service")]))
    await look(service, with_pages([moved]))
    same = world.rows("SELECT sentence FROM app.alerts WHERE kind = 'not_compared'")
    await look(service, with_pages([page("privacy-policy")]))

    assert kinds(world) == ["first", "technical", "technical"]
    assert same == []
    (alert,) = world.rows("SELECT sentence FROM app.alerts WHERE kind = 'not_compared'")
    assert "http://x.test/privacy-policy reads otherwise" in alert["sentence"]


async def test_a_new_rule_that_the_old_page_does_not_know_is_told_since_it_may_hide_a_change(
    world: World,
) -> None:
    """As after a rebuilt site, whose words may have changed with its marks."""
    service = await world.service()
    own = world.web._answer
    marks = ["main"]

    def answer(method: str, host: str, path: str, headers: dict[str, str]) -> Any:
        status, said, body = own(method, host, path, headers)
        old, new = b"<main", f"<{marks[0]}".encode()
        return status, said, body.replace(old, new).replace(b"</main", new.replace(b"<", b"</"))

    world.web._answer = answer  # type: ignore[method-assign]
    await look(service, with_pages([page("terms-of-service")]))
    marks[0] = "article"
    for _ in range(3):
        world.web.advance()

    report = await look(service, with_pages([page("terms-of-service", select=["article"])]))

    assert report.outcomes == {"technical": 1}
    (alert,) = world.rows("SELECT kind, subject, sentence, audience FROM app.alerts WHERE closed_at IS NULL")
    assert (alert["kind"], alert["subject"], alert["audience"]) == (
        "not_compared", "x/terms-of-service", "reviewers",
    )  # fmt: skip
    assert "http://x.test/terms-of-service reads otherwise" in alert["sentence"]
    assert world.value("SELECT count(*) FROM app.audit_log WHERE action = 'document.not_compared'") == 1
