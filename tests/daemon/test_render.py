"""The browser builds what scripts write, and its wall holds: counted by listeners on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from policywatchd.render.browser import Browser, Limits
from policywatchd.render.page import render
from policywatchd.render.wire import Answer, Ask
from tests.daemon.script_web import BUILT, POLICY, ScriptWeb, browser_for_tests, neighbour, script_page
from tests.daemon.script_web import web as open_web

pytestmark = [pytest.mark.needs_browser, pytest.mark.asyncio(loop_scope="module")]

AGENT = "PolicyWatch/0 (policy change monitor; tests)"
URL = "http://x.test/terms"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    found = browser_for_tests()
    yield found
    await found.close()


@pytest_asyncio.fixture(loop_scope="module")
async def web() -> AsyncIterator[ScriptWeb]:
    async with open_web() as opened:
        opened.pages["x.test", "/terms"] = BUILT
        yield opened


async def built(browser: Browser, web: ScriptWeb, url: str = URL, **more: object) -> Answer:
    return await render(browser, web.gate(), Ask(url, AGENT, timeout=15.0, **more))  # type: ignore[arg-type]


async def test_text_that_a_script_writes_is_in_the_html(browser: Browser, web: ScriptWeb) -> None:
    answer = await built(browser, web)

    assert (answer.status, answer.cause) == (200, None)
    assert all(rule in answer.html for rule in POLICY)


async def test_the_browser_says_truthfully_what_and_whose_it_is(browser: Browser, web: ScriptWeb) -> None:
    await built(browser, web, accept_language="de", headers={"X-Key": "k"})

    said = web.asked[0].headers
    assert AGENT in said["user-agent"] and "HeadlessChrome/" in said["user-agent"]
    assert (said["accept-language"], said["x-key"]) == ("de", "k")


async def test_pictures_fonts_and_frames_are_not_loaded(browser: Browser, web: ScriptWeb) -> None:
    web.pages["x.test", "/terms"] = BUILT.replace(
        "<body>",
        "<body><img src=/a.png><iframe src=/frame></iframe><video src=/v.mp4></video>"
        "<style>@font-face{font-family:f;src:url(/f.woff)} body{font-family:f}</style>",
    )
    answer = await built(browser, web)

    assert POLICY[0] in answer.html
    assert set(web.paths()) <= {"/terms", "/favicon.ico"}


async def test_no_script_reaches_this_machine_or_a_private_network(browser: Browser, web: ScriptWeb) -> None:
    async with neighbour() as beside, neighbour("::1") as beside6:
        aims = [
            f"http://127.0.0.1:{beside.port}/", f"http://localhost:{beside.port}/", f"http://[::1]:{beside6.port}/",
            f"https://127.0.0.1:{beside.port}/", f"http://2130706433:{beside.port}/", "http://169.254.169.254/latest/",
            "http://10.0.0.1/", f"ws://127.0.0.1:{beside.port}/", "file:///etc/passwd",
        ]  # fmt: skip
        script = f"""
          const aims = {aims!r};
          const tries = aims.map(a => a.startsWith('ws') ? new Promise(r => {{ const s = new WebSocket(a);
              s.onopen = () => r('open'); s.onerror = () => r('refused'); }})
            : fetch(a, {{mode: 'no-cors'}}).then(() => 'open', () => 'refused'));
          for (const a of aims.slice(0, 3)) {{ const s = document.createElement('script'); s.src = a; document.head.append(s); }}
          navigator.sendBeacon && navigator.sendBeacon(aims[0], 'x');
          new RTCPeerConnection({{iceServers: [{{urls: 'stun:127.0.0.1:{beside.port}'}}]}}).createDataChannel('c');
          Promise.all(tries).then(all => document.getElementById('root').textContent = all.join(' '));
        """
        web.pages["x.test", "/terms"] = script_page(script)
        answer = await built(browser, web)

        assert (beside.connects, beside6.connects) == (0, 0)
    assert " ".join(["refused"] * 9) in answer.html, answer


async def test_a_page_on_a_private_address_is_refused_in_words(browser: Browser, web: ScriptWeb) -> None:
    async with neighbour() as beside:
        answer = await built(browser, web, f"http://127.0.0.1:{beside.port}/")

        assert beside.connects == 0
    assert answer.code == "wall" and answer.html == ""
    assert "not public" in (answer.cause or "")


async def test_a_name_that_is_not_known_is_said_so(browser: Browser, web: ScriptWeb) -> None:
    answer = await built(browser, web, "http://nowhere.example/")

    assert (answer.code, answer.cause) == ("connect", "the name nowhere.example is not known")


async def test_a_redirect_to_another_host_is_handed_back_unfollowed(browser: Browser, web: ScriptWeb) -> None:
    web.pages["x.test", "/terms"] = (302, {"Location": "http://other.test/landed"}, "")
    answer = await built(browser, web, headers={"X-Key": "secret"})

    assert (answer.status, answer.location) == (302, "http://other.test/landed")
    assert web.paths("other.test") == []


async def test_a_script_that_leads_to_another_host_is_handed_back_too(
    browser: Browser, web: ScriptWeb
) -> None:
    web.pages["x.test", "/terms"] = script_page("location.href = 'http://login.test/enter'")
    answer = await built(browser, web)

    assert answer.location == "http://login.test/enter"
    assert web.paths("login.test") == []


async def test_a_script_that_keeps_asking_opens_no_way_for_a_redirect_with_the_secret_header(
    browser: Browser, web: ScriptWeb
) -> None:
    web.pages["x.test", "/terms"] = script_page(
        "setInterval(() => fetch('/beat'), 10); setTimeout(() => location.href = '/held-go', 200)"
    )
    web.pages["x.test", "/held-go"] = (302, {"Location": "http://other.test/landed"}, "")

    async def open_the_gate() -> None:
        await web.reached.wait()
        beats = len(web.asked)
        while len(web.asked) < beats + 3:  # noqa: ASYNC110 (the web knows no event for it)
            await asyncio.sleep(0.01)
        web.hold.set()

    gate = asyncio.create_task(open_the_gate())
    answer = await built(browser, web, headers={"X-Key": "secret"})
    await gate

    assert web.paths("other.test") == []
    assert answer.location == "http://other.test/landed"


async def test_a_redirect_within_the_host_is_followed_and_noted(browser: Browser, web: ScriptWeb) -> None:
    web.pages["x.test", "/old"] = (301, {"Location": "/terms"}, "")
    answer = await built(browser, web, "http://x.test/old")

    assert POLICY[0] in answer.html
    assert answer.redirects == ({"status": 301, "from": "http://x.test/old", "to": URL},)
    assert answer.final_url == URL


async def test_an_answer_that_is_no_page_is_told_by_its_status(browser: Browser, web: ScriptWeb) -> None:
    web.pages["x.test", "/terms"] = (403, {}, "go away")
    answer = await built(browser, web)

    assert (answer.status, answer.html) == (403, "")


async def test_a_file_is_not_taken_for_a_page(browser: Browser, web: ScriptWeb) -> None:
    web.pages["x.test", "/terms"] = (200, {"Content-Type": "application/pdf"}, "%PDF-1.4")
    answer = await built(browser, web)

    assert answer.code == "kind"


async def test_what_comes_late_is_waited_for(browser: Browser, web: ScriptWeb) -> None:
    web.pages["x.test", "/terms"] = script_page(
        "document.getElementById('root').textContent = 'Loading';"
        "fetch('/held/text').then(r => r.text()).then(t => document.getElementById('root').textContent = t)"
    )
    web.pages["x.test", "/held/text"] = " ".join(POLICY)
    work = asyncio.create_task(built(browser, web))
    async with asyncio.timeout(10):
        await web.reached.wait()
    asyncio.get_running_loop().call_later(1.2, web.hold.set)
    answer = await work

    assert POLICY[-1] in answer.html


async def test_a_page_that_never_settles_ends_with_its_deadline(browser: Browser, web: ScriptWeb) -> None:
    web.pages["x.test", "/terms"] = script_page("setInterval(() => document.body.append(Math.random()), 50)")
    answer = await render(browser, web.gate(), Ask(URL, AGENT, timeout=2.5))

    assert (answer.code, answer.html) == ("unsettled", "")
    assert answer.elapsed < 4.0


async def test_a_clock_beside_the_watched_part_does_not_matter(browser: Browser, web: ScriptWeb) -> None:
    clock = "<p id=clock></p><script>setInterval(() => clock.textContent = Math.random(), 50)</script>"
    web.pages["x.test", "/terms"] = BUILT.replace("<body>", f"<body>{clock}")
    answer = await built(browser, web, watch=("main",))

    assert POLICY[0] in answer.html, answer


async def test_a_script_that_never_ends_costs_its_page_and_no_other(browser: Browser, web: ScriptWeb) -> None:
    web.pages["x.test", "/endless"] = script_page("setTimeout(() => { while (true) {} }, 50)")
    stuck = await render(browser, web.gate(), Ask("http://x.test/endless", AGENT, timeout=2.5))
    answer = await built(browser, web)

    assert stuck.code == "unsettled"
    assert POLICY[0] in answer.html


async def test_a_page_larger_than_its_limit_is_an_error_and_no_part_of_it_is_kept(
    browser: Browser, web: ScriptWeb
) -> None:
    web.pages["x.test", "/terms"] = BUILT
    answer = await built(browser, web, max_bytes=300)

    assert (answer.code, answer.html) == ("size", "")


async def test_nothing_of_one_page_is_known_to_the_next(browser: Browser, web: ScriptWeb) -> None:
    web.pages["x.test", "/terms"] = (200, {"Set-Cookie": "seen=yes"}, BUILT)
    await built(browser, web)
    await built(browser, web)

    assert [one.headers.get("cookie") for one in web.asked if one.path == "/terms"] == [None, None]


async def test_a_browser_killed_amid_a_page_fails_that_page_in_words_and_comes_back(web: ScriptWeb) -> None:
    browser = browser_for_tests()
    web.pages["x.test", "/dies"] = script_page("fetch('/held/on')")
    work = asyncio.create_task(built(browser, web, "http://x.test/dies"))
    async with asyncio.timeout(20):
        await web.reached.wait()
    assert browser.pid is not None
    os.kill(browser.pid, signal.SIGKILL)
    died = await work
    again = await built(browser, web)
    await browser.close()

    assert (died.code, died.cause) == ("browser", "the browser was ended while it built the page")
    assert POLICY[0] in again.html
    assert browser.started == 2


async def test_a_page_that_eats_memory_is_ended_and_the_next_one_is_built(web: ScriptWeb) -> None:
    browser = browser_for_tests(Limits(memory=700 * 1024 * 1024))
    web.pages["x.test", "/eats"] = script_page(
        "const kept = []; setInterval(() => kept.push(new Uint8Array(32 << 20).fill(7)), 20)"
    )
    died = await built(browser, web, "http://x.test/eats")
    again = await built(browser, web)
    await browser.close()

    assert died.code == "memory", died
    assert POLICY[0] in again.html


async def test_a_browser_is_replaced_after_its_pages(web: ScriptWeb) -> None:
    browser = browser_for_tests(Limits(pages=1))
    first = await built(browser, web)
    second = await built(browser, web)
    await browser.close()

    assert POLICY[0] in first.html and POLICY[0] in second.html
    assert browser.started == 2
