"""Each way in which a page of a scenario misbehaves, as a client sees it, and what the web says of its visitors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import httpx
import pytest

from policywatch.reading.extract import extract
from policywatch.reading.rules import Rule
from policywatch.simulated import scenario_file
from policywatch.simulated.scenario import BadKind, NoiseKind
from policywatch.simulated.scenario_script import Page, Script, ScriptedDocument, Span
from policywatch.simulated.scenario_server import figures
from policywatch.simulated.scenario_texts import words_of
from policywatch.simulated.scenario_web import Request, ScenarioWeb

TLS = ssl.create_default_context()  # made once: it costs more than all requests
START = datetime(2026, 11, 27, 12, tzinfo=UTC)
RULE = Rule.from_json(
    {"select": ["main"], "remove": [".feedback", ".related"], "filters": ["drop_relative_times"]}
)
SAYS = {
    BadKind.CAPTCHA: "Just a moment",
    BadKind.LOGIN: "password",
    BadKind.CONSENT: "Accept all",
    BadKind.SOFT_404: "Page not found",
    BadKind.WRONG_LANGUAGE: "Nutzungsbedingungen",
    BadKind.SCRIPT_SHELL: "enable JavaScript",
    BadKind.MOJIBAKE: "â€",
    BadKind.MAINTENANCE: "maintenance",
}
STATUS = {
    BadKind.FORBIDDEN: 403,
    BadKind.TOO_MANY: 429,
    BadKind.TOO_MANY_WAIT: 429,
    BadKind.SERVER_ERROR: 500,
    BadKind.UNAVAILABLE: 503,
}


@asynccontextmanager
async def a_web(**written: Any) -> AsyncIterator[ScenarioWeb]:
    about = {"documents": {"count": 4, "platforms": 2, "hosts": 1, "validators": ["both"]}, "rounds": 6}
    script = Script(scenario_file.parse({**about, "noise": {"share": 0}, **written}))
    async with ScenarioWeb(script, START) as web:
        yield web


async def ask(web: ScenarioWeb, page: Page, path: str = "", **headers: str) -> httpx.Response:
    sent = {"host": page.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with httpx.AsyncClient(trust_env=False, timeout=1.0, verify=TLS) as client:
        return await client.get(f"http://127.0.0.1:{web.ports[0]}{path or page.path}", headers=sent)


def spoilt(web: ScenarioWeb, kind: BadKind, requests: int = 0) -> tuple[ScriptedDocument, Page]:
    """The first document, bad in round 1."""
    document = web.script.documents[0]
    document.spans.append(Span(0, kind, 1, 1, requests))
    return document, document.pages[0]


def text_of(body: bytes) -> str:
    return extract(body, "text/html; charset=utf-8", RULE, "http://h0.test/")


# Good pages ------------------------------------------------------------------------------------------


async def test_the_declared_region_of_a_page_says_exactly_what_the_script_says() -> None:
    async with a_web() as web:
        for document in web.script.documents:
            answer = await ask(web, document.pages[0])
            assert words_of(text_of(answer.content)) == words_of(document.versions[0].blocks)


@pytest.mark.parametrize("kind", list(NoiseKind))
async def test_noise_changes_the_page_and_none_of_its_words(kind: NoiseKind) -> None:
    async with a_web(noise={"share": 1, "kinds": [kind]}) as web:
        page = web.script.documents[0].pages[0]
        before = (await ask(web, page)).content
        web.round = 1
        after = (await ask(web, page)).content
        assert before != after
        assert words_of(text_of(before)) == words_of(text_of(after))


async def test_a_page_that_is_held_already_is_answered_304() -> None:
    async with a_web() as web:
        page = web.script.documents[0].pages[0]
        first = await ask(web, page)
        assert (await ask(web, page, if_none_match=first.headers["etag"])).status_code == 304
        assert (await ask(web, page, if_modified_since=first.headers["last-modified"])).status_code == 304


@pytest.mark.parametrize(("manner", "by_own_clock"), [("old", 304), ("exact", 200), ("lying", 304)])
async def test_an_old_file_time_deceives_who_does_not_echo_it(manner: str, by_own_clock: int) -> None:
    # given a page with nothing but a Last-Modified that changes in round 2
    async with a_web(changes={"count": 1, "rounds": [2, 2], "old_last_modified": 0}) as web:
        document = next(one for one in web.script.documents if one.changes)
        document.pages = (replace(document.pages[0], validators=manner),)
        web = ScenarioWeb(web.script, START)
        async with web:
            page = document.pages[0]
            web.round = 1
            held = (await ask(web, page)).headers["last-modified"]
            assert (await ask(web, page, if_modified_since=held)).status_code == 304
            # when it has changed
            web.round = 2
            fresh = await ask(web, page)
            # then its file time is from long before the last visit, and the visitor's own clock misleads
            assert parsedate_to_datetime(fresh.headers["last-modified"]) < START - timedelta(days=50)
            mine = format_datetime(START + timedelta(hours=12), usegmt=True)
            assert (await ask(web, page, if_modified_since=mine)).status_code == by_own_clock
            # and who echoes the server's date finds it, but where the server lies
            echoed = await ask(web, page, if_modified_since=held)
            assert echoed.status_code == (304 if manner == "lying" else 200)


async def test_a_flapping_page_shows_two_texts_request_by_request() -> None:
    async with a_web(flapping=0.25) as web:
        document = next(one for one in web.script.documents if one.flaps_at is not None)
        web.round = 5
        texts = [words_of(text_of((await ask(web, document.pages[0])).content)) for _ in range(4)]
        assert texts[0] == texts[2] != texts[1] == texts[3]


async def test_a_moved_page_answers_301_and_is_found_at_its_new_place() -> None:
    async with a_web(moved=0.25) as web:
        document = next(one for one in web.script.documents if one.moved_at is not None)
        web.round = 6
        page = document.pages[0]
        answer = await ask(web, page)
        assert (answer.status_code, answer.headers["location"]) == (301, f"/new{page.path}")
        assert (await ask(web, page, answer.headers["location"])).status_code == 200


async def test_robots_txt_names_the_refused_documents() -> None:
    async with a_web(refused=0.25) as web:
        page = next(one for one in web.script.documents if one.refused).pages[0]
        assert f"Disallow: {page.path}\n" in (await ask(web, page, "/robots.txt")).text


# Bad ones --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "words"), SAYS.items())
async def test_a_wall_answers_200_with_its_own_words_and_tempting_validators(
    kind: BadKind, words: str
) -> None:
    async with a_web() as web:
        _document, page = spoilt(web, kind)
        good = await ask(web, page)
        web.round = 1
        bad = await ask(web, page, if_none_match=good.headers["etag"])
        assert bad.status_code == 200
        assert words in bad.text
        assert bad.headers["etag"] != good.headers["etag"]
        # then the policy is back, and a client that kept the wall's date never learns of it
        web.round = 2
        assert (await ask(web, page, if_modified_since=bad.headers["last-modified"])).status_code == 304
        assert (await ask(web, page, if_none_match=bad.headers["etag"])).content == good.content


async def test_empty_half_and_other_pages_answer_200() -> None:
    async with a_web() as web:
        document, page = spoilt(web, BadKind.EMPTY)
        good = (await ask(web, page)).content
        web.round = 1
        assert (await ask(web, page)).content == b""
        document.spans[:] = [Span(0, BadKind.HALF, 1, 1)]
        assert (await ask(web, page)).content == good[: len(good) // 2]
        document.spans[:] = [Span(0, BadKind.OTHER_TEXT, 1, 1)]
        other = words_of(text_of((await ask(web, page)).content))
        assert other in [words_of(one.versions[0].blocks) for one in web.script.documents[1:]]


@pytest.mark.parametrize(("kind", "status"), STATUS.items())
async def test_a_refusal_has_its_status(kind: BadKind, status: int) -> None:
    async with a_web() as web:
        _, page = spoilt(web, kind)
        web.round = 1
        answer = await ask(web, page)
        assert answer.status_code == status
        assert ("retry-after" in answer.headers) == (kind is BadKind.TOO_MANY_WAIT)


async def test_redirects_lead_to_the_login_and_to_a_foreign_domain() -> None:
    async with a_web() as web:
        document, page = spoilt(web, BadKind.LOGIN_REDIRECT)
        web.round = 1
        where = (await ask(web, page)).headers["location"]
        assert "password" in (await ask(web, page, where)).text
        document.spans[:] = [Span(0, BadKind.OTHER_DOMAIN, 1, 1)]
        where = (await ask(web, page)).headers["location"]
        parked = replace(page, host=httpx.URL(where).host)
        assert "for sale" in (await ask(web, parked, "/")).text


async def test_a_page_can_break_off_or_never_answer() -> None:
    async with a_web() as web:
        document, page = spoilt(web, BadKind.CUT)
        web.round = 1
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(web, page)
        document.spans[:] = [Span(0, BadKind.NO_ANSWER, 1, 1)]
        with pytest.raises(httpx.ReadTimeout):
            await ask(web, page)


async def test_a_brief_fault_is_over_after_its_requests() -> None:
    async with a_web() as web:
        _, page = spoilt(web, BadKind.SERVER_ERROR, requests=2)
        web.round = 1
        assert [(await ask(web, page)).status_code for _ in range(3)] == [500, 500, 200]


# Whole webs and their log ----------------------------------------------------------------------------


async def test_two_webs_of_one_seed_serve_the_same_bytes() -> None:
    async def bodies() -> list[bytes]:
        found = list[bytes]()
        async with a_web(noise={"share": 0.5}, changes={"count": 4, "rounds": [1, 5]}) as web:
            for web.round in range(7):
                found += [(await ask(web, one.pages[0])).content for one in web.script.documents]
        return found

    assert await bodies() == await bodies()


async def test_requests_at_the_same_time_and_too_close_ones_are_counted_by_host() -> None:
    async with a_web(delay=0.05) as web:
        pages = [one.pages[0] for one in web.script.documents]
        await asyncio.gather(*(ask(web, page) for page in pages[:2]))
        await ask(web, pages[2])
        found = figures(web.log, 10.0)
    assert (found["requests"], found["max_in_flight_per_host"], found["min_gap_violations"]) == (3, 2, 2)


def test_the_gap_is_kept_over_two_parts_of_a_log() -> None:
    def request(began: float) -> Request:
        return Request("h0.test", "/", 1, began, began + 0.1, False, 200, "")

    before: dict[str, float] = {}
    assert figures([request(1.0)], 0.5, before)["min_gap_violations"] == 0
    assert figures([request(1.5), request(2.5)], 0.5, before)["min_gap_violations"] == 1
