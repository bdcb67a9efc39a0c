"""How a page is looked at: validators, the weekly whole fetch, credentials, moved addresses, the short way to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from policywatch.db import collecting, credentials, unchanged
from policywatch.db.pool import Database
from policywatch.db.unchanged import Look, Quiet
from policywatch.settings import Settings
from policywatch.simulated.world import simulated_resolver
from policywatchd.once import Report, once
from policywatchd.service import Network, Service
from tests.databases import Scratch
from tests.faults.polite_world import Host, answer, host

pytestmark = pytest.mark.needs_db

TERMS = (
    "You agree that these terms and our privacy policy govern your use of the service and of your account.",
    "We may suspend or terminate your account if you breach these terms, and we are not liable for lost content.",
    "You keep the rights to the content that you post, and you grant us a license to use, copy and display it.",
    "Disputes under these terms are governed by the law of the country in which you live, before its courts.",
)
BODY = (
    "<html><main><h1>Terms of service</h1>"
    + "".join(f"<h2>Section {at}</h2><p>{text}</p>" for at, text in enumerate(TERMS * 3))
    + "</main></html>"
).encode()


@dataclass
class World:
    """One document with one page, a host that serves it, and the daemon's one look after another."""

    web: Host
    heads: list[str]
    service: Service
    database: Scratch

    async def look(self) -> Report:
        """One look at the document, due or not."""
        return await once(self.service, ("x/terms",))

    def page(self) -> dict[str, Any]:
        """What stands of the page, and of its document and newest capture."""
        (row,) = self.database.run(
            "SELECT g.*, d.health AS document_health, d.cause AS document_cause, d.failures AS document_failures,"
            " c.state AS capture_state, c.conditional, c.robots AS capture_robots, c.egress, c.redirects"
            " FROM app.document_pages g JOIN app.policy_documents d ON d.id = g.document_id"
            " LEFT JOIN LATERAL (SELECT * FROM app.captures x WHERE x.page_id = g.id ORDER BY x.id DESC LIMIT 1) c ON true"
        )
        return row


@asynccontextmanager
async def open_world(database: Scratch, **page: Any) -> AsyncIterator[World]:
    """The page of x.test answers 304 to its validator, until a test says otherwise."""
    database.replace_clock()
    heads: list[str] = []
    async with host() as web:
        serve = web.serve

        async def noting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            read = reader.readuntil

            async def readuntil(mark: bytes) -> bytes:
                head = await read(mark)
                heads.append(head.decode("latin-1"))
                return head

            reader.readuntil = readuntil  # type: ignore[method-assign, assignment]
            await serve(reader, writer)

        async def script(path: str) -> bytes:
            if path in web.answers and path != "/terms":
                return web.answers[path]
            if 'If-None-Match: "1"' in heads[-1]:
                return b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
            return answer("200 OK", BODY, "Content-Type: text/html", 'ETag: "1"')

        web.script = script
        server = await asyncio.start_server(noting, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = Settings.model_validate(
            {
                "catalogue": "none",
                "platforms": {
                    "x": {
                        "name": "X",
                        "documents": {
                            "terms": {
                                "name": "Terms",
                                "cadence": "12 h",
                                "pages": [{"url": "http://x.test/terms", "select": "main", **page}],
                            }
                        },
                    }
                },
                "fetch": {"min_gap": "1 ms", "timeout": "5 s"},
            }
        )
        async with await Database.open(database.daemon, max_size=3, application="test") as db:
            network = Network(simulated_resolver(port), frozenset({("127.0.0.1", port)}))
            service = Service(db, settings, network=network, program="test")
            try:
                yield World(web, heads, service, database)
            finally:
                await service.reader.close()
                server.close()


async def ready(world: World) -> None:
    """The page was read, and its rule is in force."""
    while (await world.look()).outcomes.get("unchanged") != 1:
        world.database.move_clock("1 hour")


async def test_a_page_is_fetched_whole_at_least_every_seven_days(database: Scratch) -> None:
    async with open_world(database) as world:
        await ready(world)
        assert world.page()["conditional"]
        looks = 0
        for _ in range(14):  # seven days of looks, twelve hours apart
            database.move_clock("12 hours")
            report = await world.look()
            assert report.outcomes == {"unchanged": 1}
            looks += not world.page()["conditional"]

        assert looks == 1
        age = database.run("SELECT app.pw_now() - full_fetch_at < '7 days' AS young FROM app.document_pages")
        assert age == [{"young": True}]


async def test_a_look_notes_the_verdict_of_robots_txt_and_our_own_address(database: Scratch) -> None:
    async with open_world(database) as world:
        await ready(world)
        row = world.page()

    assert (row["robots"], row["capture_robots"], row["egress"]) == ("allowed", "allowed", "127.0.0.1")


async def test_a_page_that_robots_txt_refuses_is_blocked_and_never_fetched(database: Scratch) -> None:
    async with open_world(database) as world:
        world.web.answers["/robots.txt"] = answer("200 OK", b"User-agent: *\nDisallow: /terms\n")
        report = await world.look()
        row = world.page()

    assert report.outcomes == {"failed": 1}
    assert (row["health"], row["robots"], row["capture_state"]) == ("blocked", "refused", None)
    assert row["cause"] == "robots.txt of x.test refuses /terms to PolicyWatch"
    assert "/terms" not in world.web.asked


async def test_a_page_that_moved_for_good_is_read_and_said_to_have_moved(database: Scratch) -> None:
    async with open_world(database) as world:
        await ready(world)
        world.web.answers["/robots.txt"] = answer("404 Not Found")
        elsewhere = answer("301 Moved Permanently", b"", "Location: http://x.test/legal/terms")
        script = world.web.script
        assert script is not None

        async def moved(path: str) -> bytes:
            return elsewhere if path == "/terms" else await script(path)

        world.web.script = moved
        await world.look()
        row = world.page()
        assert (row["health"], row["document_health"]) == ("moved", "moved")
        assert row["cause"] == "moved for good to http://x.test/legal/terms"
        assert row["document_cause"] == "http://x.test/terms moved for good to http://x.test/legal/terms"
        assert row["document_failures"] == 0 and row["capture_state"] in ("good", "unchanged")

        world.web.script = script
        await world.look()
        row = world.page()
        assert (row["health"], row["document_health"], row["document_cause"]) == ("ok", "ok", None)


async def test_validators_that_come_anew_with_the_same_bytes_are_the_ones_that_are_sent(
    database: Scratch,
) -> None:
    async with open_world(database) as world:
        await ready(world)
        script = world.web.script
        assert script is not None

        async def renewed(path: str) -> bytes:
            if path == "/terms":
                return answer("200 OK", BODY, "Content-Type: text/html", 'ETag: "2"')
            return await script(path)

        world.web.script = renewed
        assert (await world.look()).outcomes == {"unchanged": 1}
        await world.look()

    assert 'If-None-Match: "1"' in world.heads[-2] and 'If-None-Match: "2"' in world.heads[-1]


async def test_a_page_is_asked_for_whole_while_a_change_waits_and_for_no_variant(database: Scratch) -> None:
    async with open_world(database) as world:
        await ready(world)
        database.run(
            "INSERT INTO app.document_variants (document_id, reader_hash, text_sha256, kind)"
            " SELECT c.document_id, sha256('v'), c.text_sha256, 'flapping' FROM app.captures c WHERE state = 'good' LIMIT 1"
        )
        await world.look()
        conditional = world.page()["conditional"]
        database.run(
            "INSERT INTO app.change_states (document_id, detected_at, status, machine_severity, severity, second_look_at)"
            " SELECT id, app.pw_now(), 'unconfirmed', 'low', 'low', app.pw_now() FROM app.policy_documents WHERE key = 'terms'"
        )
        await world.look()

    assert conditional and not world.page()["conditional"]


async def test_other_headers_are_other_questions_and_take_no_validator_along(database: Scratch) -> None:
    async with open_world(database) as world:
        await ready(world)
        made = world.service.settings.model_dump(mode="json", exclude_unset=True)
        made["platforms"]["x"]["documents"]["terms"]["pages"][0]["headers"] = {"Accept-Language": "de"}
        world.service.settings = Settings.model_validate(made)
        world.service.settings._sha256 = "edited"
        await world.look()

    assert "Accept-Language: de" in world.heads[-1] or "accept-language: de" in world.heads[-1]
    assert not world.page()["conditional"]


async def test_a_document_whose_host_asks_to_wait_says_until_when(database: Scratch) -> None:
    async with open_world(database) as world:
        await ready(world)
        script = world.web.script

        async def busy(path: str) -> bytes:
            return answer("429 Too Many Requests", b"", "Retry-After: 3600")

        world.web.script = busy
        assert (await world.look()).outcomes == {"failed": 1}
        assert world.page()["document_cause"] == "the page answers 429 Too Many Requests"

        report = await world.look()
        assert list(report.held) == ["x/terms"]
        cause = world.page()["document_cause"]
        assert cause.startswith("x.test asks to wait until ") and cause.endswith("Requests, Retry-After)")
        due = database.run(
            "SELECT due_at > app.pw_now() + interval '59 minutes' AS later FROM app.policy_documents"
        )
        assert due == [{"later": True}]

        world.web.script = script
        database.move_clock("61 minutes")
        await world.look()
        assert world.page()["document_cause"] is None


async def test_a_credential_goes_with_the_request_to_its_own_host_alone(
    database: Scratch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(db: Database, keys: object, platform: str, name: str, purpose: str) -> str:
        assert (platform, name, purpose) == ("x", "token", "fetch")
        return "s3cret-value"

    monkeypatch.setattr(credentials, "use", use)
    async with open_world(database, credential={"name": "token"}, headers={"X-Plain": "1"}) as world:
        away = answer("302 Found", b"", "Location: http://other.test/terms-2")
        world.web.answers["/terms-2"] = answer("200 OK", BODY, "Content-Type: text/html")
        script = world.web.script
        assert script is not None

        async def turned(path: str) -> bytes:
            return away if path == "/terms" else await script(path)

        world.web.script = turned
        await world.look()

    asked = {head.split()[1]: head for head in world.heads}
    assert "Authorization: Bearer s3cret-value\r\n" in asked["/terms"]
    assert "Host: other.test\r\n" in asked["/terms-2"] and "X-Plain: 1\r\n" in asked["/terms-2"]
    assert "s3cret" not in asked["/terms-2"] and "s3cret" not in asked["/robots.txt"]
    assert "s3cret" not in caplog.text
    assert not database.run("SELECT FROM app.captures c WHERE c::text LIKE '%%s3cret%%'")


async def test_a_credential_with_a_blank_at_its_end_is_never_quoted_in_a_cause(
    database: Scratch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(db: Database, keys: object, platform: str, name: str, purpose: str) -> str:
        return "s3cret-value "

    monkeypatch.setattr(credentials, "use", use)
    async with open_world(database, credential={"name": "token"}) as world:
        await world.look()
        row = world.page()

    assert row["health"] == "blocked" and "x/token" in row["cause"]
    assert "s3cret" not in f"{row}{caplog.text}"


async def test_a_credential_that_is_not_there_blocks_its_page_and_says_so(database: Scratch) -> None:
    async with open_world(database, credential={"name": "token"}) as world:
        await world.look()
        row = world.page()

    assert row["health"] == "blocked" and "x/token" in row["cause"]
    assert "/terms" not in world.web.asked


async def test_the_short_way_writes_nothing_for_a_fence_that_is_gone_or_a_document_with_something_open(
    database: Scratch,
) -> None:
    async with open_world(database) as world:
        await ready(world)
        db, worker = world.service.db, world.service.worker_id
        await collecting.make_due(db, "x", "terms")
        (claim,) = await collecting.claim_due(db, worker, 1)
        (page,) = (await collecting.pages_of(db, [claim.document_id]))[claim.document_id]
        assert page.good_capture is not None and claim.newest_snapshot is not None
        look = Look(page.id, page.good_capture, 304, {}, (), page.url, True, 0.1, None, "allowed")

        def quiet(fence: int = claim.fence, base: int = claim.newest_snapshot) -> Quiet:
            return Quiet(claim.document_id, fence, base, claim.cadence, [look])

        before = database.run("SELECT count(*) FROM app.captures")
        assert await unchanged.finish_unchanged(db, worker, [quiet(claim.fence - 1)]) == set()
        assert await unchanged.finish_unchanged(db, "another", [quiet()]) == set()
        assert await unchanged.finish_unchanged(db, worker, [quiet(base=claim.newest_snapshot + 1)]) == set()
        for open_ in (
            "UPDATE app.document_pages SET health = 'degraded'",
            "UPDATE app.document_pages SET health = 'ok', suspects = 1",
            "UPDATE app.document_pages SET suspects = 0, trial = 'waiting'",
            "UPDATE app.document_pages SET trial = 'good', good_capture = good_capture - 1",
        ):
            database.run(open_)
            assert await unchanged.finish_unchanged(db, worker, [quiet()]) == set()
        assert database.run("SELECT count(*) FROM app.captures") == before

        database.run("UPDATE app.document_pages SET good_capture = good_capture + 1")
        assert await unchanged.finish_unchanged(db, worker, [quiet()]) == {claim.document_id}
        assert await unchanged.finish_unchanged(db, worker, [quiet()]) == set(), "the fence was used"
