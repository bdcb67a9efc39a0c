"""What is told to a person who writes a rule: fragile selectors, volatile passages, a filter's past effect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.errors import UsageError
from policywatch.reading.preview import PastChange, preview
from policywatch.reading.rules import Range, Rule
from policywatch.reading.selectors import fragile, is_generated
from policywatch.reading.volatile import volatile

URL = "https://platform.test/terms"


@pytest.mark.parametrize(
    "name",
    ["css-1x2y3z", "sc-bdVaJa", "sc-1a2b3c-0", "jsx-3141592", "svelte-1tky8bj", "Terms_body__x1Y2z", "_4-u2", "_2yq", "x1lliihq", "bh", "d3adb33f", "u11__", "Mui4711"],
)  # fmt: skip
def test_a_name_from_a_build_tool_is_seen(name: str) -> None:
    assert is_generated(name)
    assert [one.kind for one in fragile(Rule((f"main .{name}",), (f'[class*="{name}"]',)))] == [
        "generated"
    ] * 2


@pytest.mark.parametrize(
    "name",
    ["main", "content", "article-body", "policy-title", "twtr-main", "b24__wrapper", "heroImage", "devsite-article", "MuiPaper-root", "container-2", "section-12", "terms2024", "rich-text", "hljs", "js", "en", "h2", "footer_links", "yt-main"],
)  # fmt: skip
def test_a_name_that_a_person_gave_is_none(name: str) -> None:
    assert not is_generated(name)


@pytest.mark.parametrize(
    ("selector", "kinds"),
    [
        ("main", []),
        ("article h1", []),
        ("body > main", []),
        ("main > p:nth-child(2)", ["position"]),
        ("div > div > div", ["position"]),
        ("#root > div:nth-child(2)", []),
        ('[data-testid="policy"] div', []),
        ("ul li:last-child", ["position"]),
        ("$.data.sections[*].body", []),
    ],
)
def test_a_selector_that_says_only_where_an_element_stands_is_seen(selector: str, kinds: list[str]) -> None:
    found = fragile(Rule((selector,)))

    assert [one.kind for one in found] == kinds
    assert all(one.why and one.remedy for one in found)


def test_the_ends_of_a_range_are_looked_at_and_each_selector_is_told_once() -> None:
    rule = Rule((Range(start_before="h1", end_before=".css-1x2y3z"),), (".css-1x2y3z",))

    assert [one.selector for one in fragile(rule)] == [".css-1x2y3z"]


@given(st.text(max_size=60))
def test_any_selector_is_looked_at(selector: str) -> None:
    fragile(Rule((selector,), (selector,)))


TEXT = """# Terms

Be kind.

{counter}

## Appeals

You have [30 days](https://x.test/a?utm_id={token}).

{box}
"""


def fetched(counter: str, token: str, box: str) -> str:
    return TEXT.format(counter=counter, token=token, box=box)


def test_two_fetches_that_agree_have_nothing_volatile() -> None:
    assert volatile([fetched("12 views", "a", "x")] * 3) == ()
    assert volatile([]) == ()


def test_each_passage_that_differs_comes_with_its_filter_or_a_hint() -> None:
    found = volatile([fetched("12 views", "a", "Read: Coal"), fetched("15 views", "b", "Read: Iron")])

    assert [(one.filter, one.forms, one.section) for one in found] == [
        ("drop_relative_times", ("12 views", "15 views"), ("Terms",)),
        (
            "strip_tracking_parameters",
            (
                "You have [30 days](https://x.test/a?utm_id=a).",
                "You have [30 days](https://x.test/a?utm_id=b).",
            ),
            ("Terms", "Appeals"),
        ),
        ("", ("Read: Coal", "Read: Iron"), ("Terms", "Appeals")),
    ]
    assert "Read: Coal" in found[2].remove and '"Appeals"' in found[2].remove
    assert found[0].remove == ""


def test_a_passage_that_goes_on_differing_is_one_with_all_its_forms() -> None:
    texts = [fetched("", "a", box) for box in ("Read: Coal", "Read: Iron", "Read: Coal", "Read: Zinc")]

    (one,) = volatile(texts)

    assert (one.forms, one.times) == (("Read: Coal", "Read: Iron", "Read: Zinc"), 3)


def test_a_real_edit_is_shown_and_no_filter_is_claimed_to_remove_it() -> None:
    before = fetched("", "a", "x")
    (one,) = volatile([before, before.replace("30 days", "14 days")])

    assert one.filter == ""


@given(st.lists(st.text(alphabet="ab #[]()\n1", max_size=40), max_size=4))
def test_any_texts_are_held_against_each_other(texts: list[str]) -> None:
    for one in volatile(texts):
        assert len(one.forms) >= 1 and (one.filter == "") == (one.remove != "")


def page(counter: int, days: int) -> bytes:
    return f"<main><p>{counter} views</p><p>You have {days} days to appeal.</p></main>".encode()


def past(change: int, before: bytes, after: bytes, *, accepted: bool) -> PastChange:
    return PastChange(change, before, after, accepted, URL)


def test_a_filter_is_held_against_what_people_decided() -> None:
    changes = [
        past(1, page(1, 30), page(2, 30), accepted=False),
        past(2, page(2, 30), page(3, 14), accepted=True),
        past(3, page(3, 14), page(4, 14), accepted=True),
        past(4, page(4, 14), page(4, 14), accepted=False),
        past(5, page(4, 14), b"<p>Log in</p>", accepted=False),
    ]

    found = preview(changes, Rule(("main",)), Rule(("main",), (), ("drop_counters",)))

    assert (found.looked_at, found.removed, found.accepted, found.unread) == ((1, 2, 3), (1, 3), (3,), (5,))
    assert (
        found.sentence
        == "would have removed 2 of 3 past changes, 1 of them accepted; 1 could not be read again"
    )
    assert found.to_json()["removed"] == [1, 3]


def test_a_rule_that_cannot_read_the_past_pages_is_told_apart() -> None:
    found = preview([past(1, page(1, 30), page(2, 14), accepted=True)], Rule(("main",)), Rule(("article",)))

    assert (found.looked_at, found.unread, found.faults) == ((), (1,), (1,))
    assert "1 only by the new rule" in found.sentence


def test_a_filter_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        preview(
            [past(1, page(1, 1), page(2, 2), accepted=False)], Rule(("main",)), Rule(("main",), (), ("no",))
        )
