"""Pages that need a browser climb the ladder, stay there while they must, and what a step gives is not mixed.

Long on purpose: every step up and down of the ladder, against the same page and the same browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from policywatch.db import steps_listing
from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatchd.collect.fetch import Ask, FetchFault, Limits
from policywatchd.collect.render import ADVICE, Renderer
from policywatchd.collect.seen import of_code
from policywatchd.once import Report, once
from policywatchd.render.browser import Browser
from policywatchd.render.server import Server
from policywatchd.render.wire import Answer
from policywatchd.render.wire import Ask as Line
from policywatchd.service import Network, Service
from tests.daemon.collecting_world import TODAY
from tests.daemon.script_web import BUILT, POLICY, ScriptWeb, browser_for_tests, rendering, script_page
from tests.daemon.script_web import web as open_web
from tests.databases import Scratch

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAIN = "<html><body><main>" + "".join(f"<p>{rule}</p>" for rule in POLICY) + "</main></body></html>"


@dataclass
class World:
    """A daemon, a web whose pages scripts may build, and the socket of a render service that may be there."""

    scratch: Scratch
    web: ScriptWeb
    db: Database
    socket: Path
    stack: AsyncExitStack

    def service(self, **page: Any) -> Service:
        """A daemon that watches http://x.test/terms."""
        fetch = {
            "min_gap": "1 ms",
            "timeout": "15 s",
            "second_look": "off",
            "render_socket": str(self.socket),
        }
        fetch |= page.pop("fetch", {})
        declared = {"url": "http://x.test/terms", "select": ["main"], **page}
        settings = Settings.model_validate(
            {
                "catalogue": "none",
                "platforms": {
                    "x": {"name": "X", "documents": {"terms": {"name": "Terms", "pages": [declared]}}}
                },
                "fetch": fetch,
            }
        )
        service = Service(
            self.db,
            settings,
            network=Network(self.web.resolve, self.web.allowed),
            program="test",
            draw=random.Random(1),
            today=lambda: TODAY,
        )
        self.stack.push_async_callback(service.reader.close)
        return service

    async def look(self, service: Service) -> Report:
        """One visit; what the web was asked before is forgotten."""
        self.web.asked.clear()
        return await once(service, ["x/terms"])

    def row(self, statement: str) -> dict[str, Any]:
        """The one row."""
        (row,) = self.scratch.run(statement)
        return row

    def page(self) -> dict[str, Any]:
        """How the page stands."""
        return self.row(
            "SELECT step, step_reason, health, cause FROM app.document_pages WHERE state = 'active'"
        )

    def agents(self) -> list[bool]:
        """Of each request for the page: whether a browser made it."""
        return ["Chrome" in one.headers["user-agent"] for one in self.web.asked if one.path == "/terms"]


@asynccontextmanager
async def opened(scratch: Scratch, folder: Path) -> AsyncIterator[World]:
    scratch.run("UPDATE app.system_config SET value = '\"test\"' WHERE key = 'origin'")
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(open_web())
        web.pages["x.test", "/terms"] = BUILT
        db = await Database.open(scratch.daemon, max_size=4, application="test daemon")
        stack.push_async_callback(db.close)
        yield World(scratch, web, db, folder / "render", stack)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    found = browser_for_tests()
    yield found
    await found.close()


@pytest_asyncio.fixture(loop_scope="module")
async def world(database: Scratch, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(database, tmp_path) as world:
        yield world


@pytest.mark.needs_db
@pytest.mark.needs_browser
async def test_a_page_that_scripts_build_is_read_remembered_and_left_when_it_needs_no_browser(
    world: World, browser: Browser
) -> None:
    world.scratch.replace_clock()
    service = world.service()
    async with rendering(world.socket, world.web, browser):
        first = await world.look(service)
        assert first.outcomes == {"first": 1}, first.lines()
        assert world.agents() == [False, True, True]  # the trial of the rule fetches twice, by the same step
        told = world.page()
        assert (told["step"], told["health"]) == ("browser", "ok")
        assert "1 script" in told["step_reason"]
        capture = world.row("SELECT step, state, headers, signals FROM app.captures")
        assert (capture["step"], capture["state"]) == ("browser", "good")
        assert "etag" not in capture["headers"] and "plain" in capture["signals"]
        assert "sell" in world.row("SELECT words::text FROM app.document_search")["words"]

        same = await world.look(service)
        assert (same.outcomes, world.agents()) == ({"unchanged": 1}, [True])

        world.web.pages["x.test", "/terms"] = BUILT.replace("end your account", "delete your account at once")
        changed = await world.look(service)
        assert (changed.outcomes, world.agents()) == ({"change": 1}, [True])

        world.web.pages["x.test", "/terms"] = PLAIN
        world.scratch.move_clock("8 days")
        week = await world.look(service)
        assert (week.outcomes, world.agents()) == ({"technical": 1}, [False])
        assert world.page() == {"step": "http", "step_reason": None, "health": "ok", "cause": None}
    assert len(world.scratch.run("SELECT change_id FROM app.change_states")) == 1


@pytest.mark.needs_db
@pytest.mark.needs_browser
async def test_a_moved_page_is_built_at_its_new_host_in_that_hosts_lane(
    world: World, browser: Browser
) -> None:
    world.web.pages["x.test", "/terms"] = (301, {"Location": "http://www.x.test/terms"}, "")
    world.web.pages["www.x.test", "/terms"] = BUILT
    async with rendering(world.socket, world.web, browser):
        report = await world.look(world.service(render="always", headers={"X-Mark": "1"}))

    assert report.outcomes == {"first": 1}, report.lines()
    assert world.web.paths("www.x.test")[:2] == ["/robots.txt", "/terms"]
    capture = world.row("SELECT redirects, final_url FROM app.captures")
    assert [(hop["status"], hop["to"]) for hop in capture["redirects"]] == [(301, "http://www.x.test/terms")]
    assert capture["final_url"] == "http://www.x.test/terms"
    hosts = world.scratch.run("SELECT host FROM app.hosts WHERE owner IS NULL ORDER BY host")
    assert [row["host"] for row in hosts] == ["www.x.test", "x.test"]


WORDS = (
    "<p>You need to enable JavaScript to run this app.</p>"
    + "<p>Terms Privacy Cookies About Help Careers</p>" * 4
)


@pytest.mark.needs_db
@pytest.mark.needs_browser
async def test_the_few_words_around_a_shell_are_not_taken_for_the_policy(
    world: World, browser: Browser
) -> None:
    gone = BUILT.replace("setTimeout(() => {", "setTimeout(() => { document.getElementById('wait').remove();")
    world.web.pages["x.test", "/terms"] = gone.replace("<body>", f"<body><div id=wait>{WORDS}</div>")
    async with rendering(world.socket, world.web, browser):
        report = await world.look(world.service(select=["body"]))

    assert report.outcomes == {"first": 1}, report.lines()
    assert world.page()["step"] == "browser"
    assert "sell" in world.row("SELECT words::text FROM app.document_search")["words"]


@pytest.mark.needs_db
@pytest.mark.needs_browser
async def test_a_short_page_that_a_browser_shows_no_other_stays_at_plain_http(
    world: World, browser: Browser
) -> None:
    world.web.pages["x.test", "/terms"] = script_page("true", before=PLAIN)
    async with rendering(world.socket, world.web, browser):
        report = await world.look(world.service())

    assert report.outcomes == {"first": 1}, report.lines()
    assert world.page() == {"step": "http", "step_reason": None, "health": "ok", "cause": None}


@pytest.mark.needs_db
@pytest.mark.needs_browser
async def test_what_robots_refuses_no_browser_asks_for(world: World, browser: Browser) -> None:
    world.web.pages["x.test", "/robots.txt"] = (
        200,
        {"Content-Type": "text/plain"},
        "User-agent: *\nDisallow: /terms",
    )
    before = browser.started
    async with rendering(world.socket, world.web, browser):
        report = await world.look(world.service(render="always"))
    assert browser.started == before

    assert report.outcomes == {"failed": 1}
    assert world.web.paths() == ["/robots.txt"]
    assert world.page()["health"] == "blocked"


@pytest.mark.needs_db
async def test_without_a_render_service_the_page_says_what_it_needs(world: World) -> None:
    service = world.service()
    report = await world.look(service)

    assert report.outcomes == {"failed": 1}
    assert ADVICE in report.lines()[0]
    told = world.page()
    assert (told["step"], told["health"], told["cause"]) == ("none", "degraded", ADVICE)
    assert world.row("SELECT step, state FROM app.captures") == {"step": "http", "state": "failed"}
    assert len(world.scratch.run("SELECT id FROM app.policy_snapshots")) == 0


@pytest.mark.needs_db
async def test_where_the_browser_step_is_off_nothing_is_asked_of_it(world: World) -> None:
    report = await world.look(world.service(fetch={"render": "off"}))

    assert "fetch.render is off" in report.lines()[0]
    assert world.page()["health"] == "degraded"


@pytest.mark.needs_db
async def test_a_page_that_is_only_missing_its_part_does_not_climb(world: World) -> None:
    world.web.pages["x.test", "/terms"] = PLAIN.replace("<main>", "<main class=old>").replace(
        "</main>", "</main>" + "<p>More words of the page.</p>" * 100
    )
    report = await world.look(world.service(select=["article"]))

    assert report.outcomes == {"failed": 1}
    assert world.page()["health"] == "needs-rules"


@pytest.mark.needs_db
async def test_a_page_that_is_never_rendered_stays_at_plain_http(world: World) -> None:
    report = await world.look(world.service(render="never"))

    assert report.outcomes == {"failed": 1}
    assert (world.page()["health"], world.agents()) == ("needs-rules", [False])


async def test_whoever_asks_whether_a_service_is_there_gets_nothing_where_none_is(tmp_path: Path) -> None:
    assert await Renderer(tmp_path / "render").ping() is None


@pytest.mark.needs_browser
async def test_pages_wait_for_their_turn_no_longer_than_they_may_take_and_who_hangs_up_is_forgotten(
    tmp_path: Path, browser: Browser
) -> None:
    async with open_web() as web, rendering(tmp_path / "render", web, browser, pages=1):
        web.pages["x.test", "/held"] = BUILT
        web.pages["x.test", "/terms"] = BUILT
        _, hanging = await asyncio.open_unix_connection(tmp_path / "render")
        hanging.write(Line("http://x.test/held", "tests", timeout=30.0).line())
        async with asyncio.timeout(20):
            await web.reached.wait()
        ask, lane = Ask("http://x.test/terms", "tests"), _Lane()
        with pytest.raises(FetchFault, match="too many pages") as busy:
            await Renderer(tmp_path / "render").fetch(ask, Limits(0.5), lane)
        hanging.close()
        got = await Renderer(tmp_path / "render").fetch(ask, Limits(15.0), lane)

    assert busy.value.code == "busy" and of_code("busy", "").passing
    assert POLICY[0].encode() in got.body
    assert (got.content_type, got.conditional) == ("text/html; charset=utf-8", False)


class _Lane:
    """A lane that lets everything pass."""

    def __call__(self, url: httpx.URL) -> Any:
        @asynccontextmanager
        async def turn() -> AsyncIterator[_Lane]:
            yield self

        return turn()

    async def again(self, url: httpx.URL) -> None:
        pass

    def answered(self, status: int, wait: float | None) -> None:
        pass

    def gave_none(self, why: str) -> None:
        pass


class _Ruled(_Lane):
    """A lane whose robots.txt refuses /closed."""

    async def again(self, url: httpx.URL) -> None:
        if url.path == "/closed":
            raise FetchFault("robots.txt of x.test refuses /closed", code="robots")


async def test_where_the_browser_was_led_within_the_host_robots_txt_is_asked_too(tmp_path: Path) -> None:
    hops: tuple[dict[str, str | int], ...] = (
        {"status": 302, "from": "http://x.test/terms", "to": "http://x.test/closed"},
    )
    told = Answer(200, "http://x.test/closed", hops, html="<p>closed</p>").line()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            writer.write(told)
        writer.close()

    async with await asyncio.start_unix_server(answer, tmp_path / "render"):
        with pytest.raises(FetchFault) as fault:
            await Renderer(tmp_path / "render").fetch(
                Ask("http://x.test/terms", "tests"), Limits(5.0), _Ruled()
            )

    assert fault.value.code == "robots" and fault.value.redirects == hops


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (b"", "hung up"),
        (b'{"status": 200', "hung up"),
        (b"<html>\n", "nonsense"),
        (b'{"status": 200, "html": "x"}\n', "nonsense"),
        (b"x" * 3_000_000, "larger than"),
        (b'{"status": 302, "final_url": "http://x.test/", "redirects": [], "headers": {}, "html": "", "cause": null,'
         b' "code": null, "location": "ftp://x.test/", "elapsed": 0}\n', "not point to the web"),
    ],
)  # fmt: skip
async def test_a_service_that_is_not_what_it_should_be_costs_the_look_and_no_more(
    tmp_path: Path, told: bytes, words: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            writer.write(told)
            with contextlib.suppress(OSError):
                await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, tmp_path / "render"):
        with pytest.raises(FetchFault, match=words) as fault:
            limits = Limits(5.0, decoded=100_000)
            await Renderer(tmp_path / "render").fetch(Ask("http://x.test/terms", "tests"), limits, _Lane())

    assert of_code(fault.value.code or "", "").health in ("degraded", "moved")


@pytest.mark.needs_browser
async def test_a_service_answers_who_it_is_refuses_nonsense_and_leaves_no_socket(
    tmp_path: Path, browser: Browser
) -> None:
    async with open_web() as web:
        server = Server(tmp_path / "render", browser, web.gate())
        await server.start()
        facts = await Renderer(tmp_path / "render").ping()
        mode = (tmp_path / "render").stat().st_mode & 0o777
        await server.close()

    assert facts is not None and facts["rendered"] == 0
    assert mode == 0o600
    assert not (tmp_path / "render").exists()


@pytest.mark.needs_db
async def test_people_see_how_many_pages_are_readable_by_which_step_and_why_the_others_are_not(
    world: World,
) -> None:
    world.web.pages["x.test", "/terms"] = PLAIN
    await world.look(world.service())
    world.scratch.run(
        """INSERT INTO app.document_pages (document_id, position, url, rule_id, step, step_reason, health, cause, last_visit_at)
           SELECT d.id, n, 'http://x.test/' || n, g.rule_id, s, 'shell', h, c, app.pw_now()
           FROM app.policy_documents d JOIN app.document_pages g ON g.document_id = d.id,
             (VALUES (1, 'browser', 'ok', NULL), (2, 'browser', 'blocked', 'the page answers 403 Forbidden'),
                     (3, 'none', 'degraded', 'needs a browser'), (4, 'none', 'degraded', 'needs a browser')) v(n, s, h, c)"""
    )
    people = await Database.open(world.scratch.person("reader", "viewer"), max_size=1, application="test")
    world.stack.push_async_callback(people.close)
    found = await steps_listing.readable(people)
    each = await steps_listing.pages(people, "x")

    assert found.sentence == "2 of 5 pages are readable: 1 by plain HTTP, 1 by a browser"
    assert dict(found.why_not) == {
        ("degraded", "needs a browser"): 2,
        ("blocked", "the page answers 403 Forbidden"): 1,
    }
    assert [row["step"] for row in each] == ["http", "browser", "none", "none", "none"]
    world.scratch.run("UPDATE app.policy_documents SET archive_seen_at = app.pw_now()")
    followed = await steps_listing.readable(people)
    assert dict(followed.by_step) == {"http": 1, "browser": 1, "archive": 3}
