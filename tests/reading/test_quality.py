"""R34: forty bad and forty good captures are told apart; and what holds for every capture there is.

The pages were written by the author of the signs, after the first weights stood; the first run held 37 of the 40 bad
ones and 2 of the 40 good ones.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policywatch.reading.compare import reader_hash
from policywatch.reading.extract import extract
from policywatch.reading.quality import THRESHOLD, History, Look, Quality, judge, remember
from policywatch.reading.rules import ExtractionError, Rule
from tests.reading.bad_pages import BAD, WALLS, Capture
from tests.reading.good_pages import GOOD
from tests.reading.own_policies import COOKIES, DATENSCHUTZ, RULES, TERMS, html, markdown

WIDEST = Rule(("body",), (), ())


def text_of(body: str, content_type: str, url: str) -> str:
    return extract(body.encode(), content_type, WIDEST, url)


def look_of(capture: Capture) -> Look:
    text, fault = capture.text, capture.fault
    if text is None and fault is None:
        try:
            text = text_of(capture.body, capture.content_type, capture.url)
        except ExtractionError as error:
            fault = str(error)
    return Look(
        capture.status,
        capture.content_type,
        capture.final_url,
        capture.url,
        capture.redirects,
        capture.body[:20_000],
        text,
        fault,
    )


def history_of(capture: Capture) -> History:
    """Five good captures, and the platform's other pages."""
    good = markdown(capture.policy) if capture.policy[1] else capture.policy[0]
    others = (markdown(policy) for policy in (COOKIES, RULES, DATENSCHUTZ, TERMS) if policy != capture.policy)
    return remember([good] * 5, (reader_hash(text) for text in others))


def judged(capture: Capture) -> Quality:
    return judge(look_of(capture), history_of(capture), capture.language)


def shown(captures: list[Capture]) -> str:
    return "\n".join(f"{one.name}: {judged(one)}" for one in captures)


def test_no_bad_capture_passes_for_a_policy() -> None:
    passed = [capture for capture in BAD if not judged(capture).suspect]

    assert len(BAD) == 40
    assert not passed, shown(passed)


def test_hardly_a_good_capture_is_held() -> None:
    held = [capture for capture in GOOD if judged(capture).suspect]

    assert len(GOOD) == 40
    assert len(held) <= 2, shown(held)


def test_the_text_alone_tells_a_wall_from_a_policy() -> None:
    """A version of an archive came without HTTP and without the page's source."""
    textless = [
        judge(Look(text=look_of(capture).text, fault=capture.fault), history_of(capture), capture.language)
        for capture in BAD
    ]
    held = [
        judge(Look(text=look_of(capture).text), history_of(capture), capture.language).suspect
        for capture in GOOD
    ]

    assert all(quality.suspect for quality in textless)
    assert sum(held) <= 2


def test_most_walls_are_known_without_any_history() -> None:
    """The first look at a new document: a person reads the trial, too."""
    walls = [capture for capture in WALLS if judge(look_of(capture), History(), capture.language).suspect]
    policies = [capture for capture in GOOD if judge(look_of(capture), History(), capture.language).suspect]

    assert len(walls) >= 30
    assert len(policies) <= 2


@pytest.mark.parametrize("share", [0.3, 0.15, 0.02])
def test_length_alone_never_makes_a_capture_suspect(share: float) -> None:
    long = markdown(TERMS)
    whole = long * round(1 / share)
    history = History((len(whole),) * 5, frozenset(), "en")

    quality = judge(Look(text=long), history, "en")

    assert [signal.name for signal in quality.signals] == ["short"]
    assert not quality.suspect


def test_a_held_replacement_is_the_new_measure_once_it_was_accepted() -> None:
    stub = "## Moved\n\n" + "This page now lives in our library of answers, under the letter D. " * 4
    before = remember([markdown(TERMS)] * 5)
    after = remember([stub] + [markdown(TERMS)] * 4)

    assert judge(Look(text=stub), before, "en").suspect
    assert not judge(Look(text=stub.replace("letter D", "letter E")), after, "en").suspect


@pytest.mark.parametrize(
    ("look", "name"),
    [
        (Look(status=403, text=markdown(TERMS)), "status"),
        (Look(status=206, text=markdown(TERMS)), "status"),
        (Look(status=200, content_type="image/png", text=markdown(TERMS)), "content_type"),
        (Look(status=200, text=markdown(TERMS), fault="the answer came short"), "fault"),
        (Look(status=200), "no_text"),
    ],
)
def test_an_answer_that_is_no_page_is_suspect_whatever_it_says(look: Look, name: str) -> None:
    quality = judge(look, remember([markdown(TERMS)]), "en")

    assert quality.suspect
    assert [signal.name for signal in quality.signals] == [name]


def test_two_pages_may_come_to_share_a_text() -> None:
    """One policy for two names: the second page follows the first, and keeps its headings."""
    changed = markdown(TERMS).replace("Ireland", "Malta")
    history = remember([markdown(TERMS)] * 5, [reader_hash(changed)])

    assert not judge(Look(text=changed), history, "en").suspect


def test_a_language_we_cannot_tell_is_no_sign() -> None:
    quality = judge(Look(text=markdown(DATENSCHUTZ)), History(), "eu")

    assert "language" not in {signal.name for signal in quality.signals}


PIECES = st.sampled_from(
    (
        *(
            "# Terms\n",
            "* ",
            "[",
            "](",
            ")",
            "<",
            "<script",
            "<input ",
            "page not found",
            "Accept all\n",
            "Ã¼",
            "\ufffd",
        ),
        *(
            "\ud800",
            "\x00",
            "\u202e",
            "ページ",
            "page ",
            "you must log in ",
            "|",
            "\n",
            "==\n",
            "**",
            "law ",
            "https://",
        ),
    )
)
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=80).map("".join))


@given(
    status=st.one_of(st.none(), st.integers(0, 999)),
    url=TEXTS,
    final=TEXTS,
    head=TEXTS,
    text=st.one_of(st.none(), TEXTS),
    fault=st.one_of(st.none(), TEXTS),
    past=st.lists(TEXTS, max_size=6),
    language=st.text(max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_nothing_that_a_server_sends_breaks_the_judge(
    status: int | None,
    url: str,
    final: str,
    head: str,
    text: str | None,
    fault: str | None,
    past: list[str],
    language: str,
) -> None:
    look = Look(status, head[:40], final, url, (), head, text, fault)

    quality = judge(look, remember(past, [reader_hash(one) for one in past[1:]]), language)

    assert 0.0 <= quality.score <= 1.0
    assert quality.suspect == (quality.score >= THRESHOLD)
    assert all(0.0 < signal.weight <= 1.0 and signal.detail.isprintable() for signal in quality.signals)
    json.dumps(quality.to_json()).encode()


@given(text=TEXTS, others=st.lists(TEXTS, max_size=4))
@settings(max_examples=300, deadline=None)
def test_what_always_looked_so_is_never_suspect(text: str, others: list[str]) -> None:
    history = remember([text, *others], [reader_hash(one) for one in (text, *others)])

    quality = judge(
        Look(200, "text/html", "https://a.test/", "https://a.test/", (), text, text), history, "en"
    )

    assert not quality.suspect


@pytest.mark.parametrize(
    "piece", ["<", "<input ", "<script", "](", "[", "page ", "# a\n", "a\n==\n", "Ã¼", "ページ", "**", "|\n"]
)
def test_a_hostile_page_costs_no_time(piece: str) -> None:
    text = piece * (500_000 // len(piece))
    started = time.process_time()

    judge(Look(200, "text/html", head=text[:20_000], text=text), remember([markdown(TERMS)]), "en")

    assert time.process_time() - started < 1.0


def test_a_long_policy_is_judged_in_three_milliseconds() -> None:
    """60 KB; whoever judges has hashed the text already, so its lines are known."""
    text = "".join(markdown(policy) for policy in (TERMS, COOKIES, RULES)) * 14
    texts = [text[:60_000].replace("Harbour", f"Harbour {number}")[:60_000] for number in range(40)]
    look = Look(200, "text/html", head=html(TERMS)[:20_000])
    history = remember([text[:60_000]] * 5, [reader_hash(markdown(COOKIES))])
    spent = []
    for one in texts:
        reader_hash(one)
        started = time.process_time()
        judge(replace(look, text=one), history, "en")
        spent.append(time.process_time() - started)

    assert len(texts[0]) == 60_000
    assert sorted(spent)[len(spent) // 4] <= 0.003  # the machine does other things, too
