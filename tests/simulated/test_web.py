"""The pretend web says what its script says, and counts what it was asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import httpx
import pytest
import pytest_asyncio

from policywatch.simulated.pages import Noise, noise_of
from policywatch.simulated.story import expected, judge_found
from policywatch.simulated.texts import Document, documents, original
from policywatch.simulated.truth import scripted
from policywatch.simulated.web import SimulatedWeb, Trouble
from policywatch.simulated.world import allowed, simulated_resolver

TODAY = date(2026, 11, 27)
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
TERMS_OF_X = Document("x", "terms-of-service")


@pytest_asyncio.fixture
async def web() -> AsyncIterator[SimulatedWeb]:
    async with SimulatedWeb(seed=7, today=TODAY) as running:
        yield running


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as open_client:
        yield open_client


async def read(
    client: httpx.AsyncClient, web: SimulatedWeb, document: Document, **headers: str
) -> httpx.Response:
    address = f"http://127.0.0.1:{web.port}{document.path}"
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.get(address, headers={"Host": document.host, **names})


def held(response: httpx.Response) -> dict[str, str]:
    """Validators as a good client sends them back."""
    pairs = (("If_None_Match", "etag"), ("If_Modified_Since", "last-modified"))
    return {ours: response.headers[theirs] for ours, theirs in pairs if theirs in response.headers}


def region(page: str) -> str:
    """The words a reader sees in `main`, without the box that the rule takes out."""
    inner = page.partition("<main")[2].partition(">")[2].partition("</main>")[0]
    inner = re.sub(r'<div class="feedback">.*?</div>|<!--.*?-->', "", inner, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", inner).split())


async def test_every_platform_serves_three_policies_on_full_pages(
    web: SimulatedWeb, client: httpx.AsyncClient
) -> None:
    pages = {document: await read(client, web, document) for document in web.documents}

    assert len(pages) == 21
    assert len({page.text for page in pages.values()}) == 21
    for document, page in pages.items():
        assert page.status_code == 200
        assert len(page.content) > 4_000
        assert all(mark in page.text for mark in ("<nav>", "<footer>", "<script>", "cookies", "<main"))
        opening = original(document).split("\n\n")[1].partition(" [")[0]
        assert opening in region(page.text)


async def test_a_page_that_is_held_already_is_answered_304(
    web: SimulatedWeb, client: httpx.AsyncClient
) -> None:
    first = {document: await read(client, web, document) for document in web.documents}
    second = {
        document: await read(client, web, document, **held(first[document])) for document in web.documents
    }

    assert {page.status_code for page in second.values()} == {304}
    assert all(page.content == b"" for page in second.values())
    assert web.second_pass() == (21, 21)
    manners = {
        ("etag" in page.headers, page.headers.get("etag", "").startswith("W/")) for page in first.values()
    }
    assert manners == {(True, False), (True, True), (False, False)}


async def test_a_changed_page_is_served_to_a_client_that_holds_the_old_one(
    web: SimulatedWeb, client: httpx.AsyncClient
) -> None:
    old = {document: await read(client, web, document) for document in web.documents}
    web.advance()

    new = {document: await read(client, web, document, **held(old[document])) for document in web.documents}

    for edit in web.truth.edits_of(1):
        assert new[edit.document].status_code == 200
        plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", edit.put).replace("## ", "")
        assert " ".join(plain.split()) in region(new[edit.document].text)
    still = [d for d in web.documents if not noise_of(7, d, 1) and d not in web.truth.changed(1)]
    assert still and all(new[document].status_code == 304 for document in still)


async def test_noise_changes_pages_and_no_policy(web: SimulatedWeb, client: httpx.AsyncClient) -> None:
    before = {document: (await read(client, web, document)).text for document in web.documents}
    web.advance()
    after = {document: (await read(client, web, document)).text for document in web.documents}

    noisy = [d for d in web.documents if noise_of(7, d, 1) and d not in web.truth.changed(1)]
    assert len(noisy) >= 7
    without_time = re.compile(r"Last reviewed \d+ days ago")
    for document in noisy:
        assert before[document] != after[document]
        old, new = (without_time.sub("", region(page)) for page in (before[document], after[document]))
        assert old.replace(" ", "") == new.replace(" ", "")
        assert web.truth.text(document, 0) == web.truth.text(document, 1)


def test_every_kind_of_noise_strikes_within_the_story() -> None:
    struck = {kind for d in documents() for round_ in range(1, 4) for kind in noise_of(1, d, round_)}

    assert struck == set(Noise)


@pytest.mark.parametrize(
    "today", [date(2026, 1, 31), date(2026, 11, 27), date(2028, 2, 29), date(2030, 12, 1)]
)
def test_the_script_fits_the_texts_on_every_day(today: date) -> None:
    truth = scripted(today)
    figures = expected(truth)

    assert figures.changes == sum(figures.changes_by_round) == len(figures.changed_pages) == 15
    assert (figures.platforms, figures.documents) == (7, 21)
    assert {edit.effective for edit in truth.edits if edit.effective} > set()
    assert all(28 <= (edit.effective - today).days <= 62 for edit in truth.edits if edit.effective)


def test_findings_are_held_against_the_script() -> None:
    truth = scripted(TODAY)
    found = [(d.platform, d.key) for d in sorted(truth.changed(1))]

    assert judge_found(truth, 1, found) == (6, 0, ())
    assert judge_found(truth, 1, [*found[1:], found[1], ("bluesky", "terms-of-service")]) == (
        5,
        2,
        ("facebook/community-guidelines",),
    )


async def test_two_webs_of_one_seed_serve_the_same_bytes() -> None:
    one, two = (SimulatedWeb(seed=3, today=TODAY, clock=lambda: NOON) for _ in range(2))
    one.advance()
    two.advance()

    assert one._pages == two._pages


@pytest.mark.parametrize(
    ("trouble", "status", "kind"),
    [
        (Trouble.NOT_FOUND, 404, "text/html"),
        (Trouble.SERVER_ERROR, 500, "text/html"),
        (Trouble.EMPTY, 200, "text/html"),
        (Trouble.BINARY, 200, "application/octet-stream"),
    ],
)
async def test_a_page_can_be_spoilt_and_mended(
    web: SimulatedWeb, client: httpx.AsyncClient, trouble: Trouble, status: int, kind: str
) -> None:
    web.spoil(TERMS_OF_X, trouble)
    bad = await read(client, web, TERMS_OF_X)
    web.mend(TERMS_OF_X)
    good = await read(client, web, TERMS_OF_X)

    assert bad.status_code == status
    assert bad.headers["content-type"].startswith(kind)
    assert good.status_code == 200


async def test_a_page_can_never_answer_or_break_off(web: SimulatedWeb, client: httpx.AsyncClient) -> None:
    web.spoil(TERMS_OF_X, Trouble.NO_ANSWER)
    with pytest.raises(httpx.ReadTimeout):
        await client.get(
            f"http://127.0.0.1:{web.port}{TERMS_OF_X.path}", headers={"Host": "x.test"}, timeout=0.2
        )
    web.spoil(TERMS_OF_X, Trouble.CUT)
    with pytest.raises(httpx.RemoteProtocolError):
        await read(client, web, TERMS_OF_X)

    assert not web.reads(TERMS_OF_X)
    assert [request.status for request in web.log] == [0, 0]


async def test_an_unknown_host_or_path_is_not_found(web: SimulatedWeb, client: httpx.AsyncClient) -> None:
    assert (await read(client, web, Document("elsewhere", "terms-of-service"))).status_code == 404
    assert (await read(client, web, Document("x", "imprint"))).status_code == 404
    assert (await read(client, web, Document("x", "robots.txt"))).text.startswith("User-agent")


async def test_requests_at_the_same_time_are_counted_by_host(client: httpx.AsyncClient) -> None:
    async with SimulatedWeb(today=TODAY, delay=0.05) as web:
        await asyncio.gather(*(read(client, web, document) for document in web.documents[:4]))

        assert web.most_in_flight == {"x.test": 3, "facebook.test": 1}


async def test_waiting_for_readers_ends_or_names_the_missing(
    web: SimulatedWeb, client: httpx.AsyncClient
) -> None:
    waiting = asyncio.create_task(web.wait_until_read(timeout=5))
    for document in web.documents[:-1]:
        await read(client, web, document)
    assert not waiting.done()
    await read(client, web, web.documents[-1])
    await waiting

    with pytest.raises(TimeoutError, match="bluesky/privacy-policy"):
        await web.wait_until_read(2, timeout=0.01)


async def test_only_test_names_resolve_and_only_to_the_web(web: SimulatedWeb) -> None:
    resolve = simulated_resolver(web.port)

    assert await resolve("x.test", 80) == [("127.0.0.1", web.port)]
    assert set(await resolve("x.test", 80)) == allowed(web.port)
    with pytest.raises(OSError, match="does not exist"):
        await resolve("example.org", 80)
