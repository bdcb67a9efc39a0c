"""Named filters take what they name, whole lines of it, and leave every sentence alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.reading.extract import Rule, extract
from policywatch.reading.filters import FILTERS

POLICY = [
    "# Rules",
    "You need 1,000 followers and 4,000 hours of views to join.",
    "*   We count 3 likes from one account as one.",
    "Was this content removed? You may appeal within 30 days.",
    "## Related content that we remove",
    "English, German and French texts are reviewed by people.",
    "*   English",
    "*   German",
    "Share this article only with its author's name.",
    "10 members of the board decide.",
]


def through(name: str, text: str) -> str:
    change = FILTERS[name].text
    assert change is not None
    return change(text)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("drop_counters", "12 views"),
        ("drop_counters", "3.4K likes · 1,200 comments"),
        ("drop_counters", "*   Views: 12.345"),
        ("drop_counters", "5 min read"),
        ("drop_counters", "[8 answers](https://x.test/a)"),
        ("drop_counters", "4,311 people found this helpful"),
        ("drop_buttons", "Back to top"),
        ("drop_buttons", "[Return to top](https://x.test/a)"),
        ("drop_buttons", "Was this page helpful? Yes No"),
        ("drop_buttons", "Have a moment? Tell us how we’re doing with a short survey"),
        ("drop_buttons", "*   Copy link"),
        ("drop_buttons", "Show more..."),
    ],
)
def test_a_line_of_the_page_is_dropped_between_lines_of_the_policy(name: str, line: str) -> None:
    assert through(name, f"Be kind.\n\n{line}\n\nDo not spam.") == "Be kind.\n\n\nDo not spam."


@pytest.mark.parametrize("name", [name for name in FILTERS if name.startswith("drop_")])
def test_sentences_that_only_resemble_it_stay(name: str) -> None:
    text = "\n\n".join(POLICY)

    assert FILTERS[name].text is None or through(name, text) == text


def test_a_related_section_goes_up_to_the_next_heading_of_its_level() -> None:
    text = "# Rules\nBe kind.\n## Related articles\n*   [One](https://x.test/1)\n### Popular\n*   Two\n## Appeals\n30 days."

    assert through("drop_related_content", text) == "# Rules\nBe kind.\n## Appeals\n30 days."


def test_a_menu_of_languages_goes_and_a_sentence_about_three_of_them_stays() -> None:
    menu = [
        "*   English (US)",
        "*   [Deutsch](https://x.test/de)",
        "*   Français (France)",
        "",
        "*   日本語",
        "*   Español",
    ]
    few = ["English", "Deutsch", "Français"]

    text = "\n".join(["Rules", "", *menu, "", "Appeals", *few, "End"])

    assert through("drop_language_menus", text) == "Rules\n\n\nAppeals\nEnglish\nDeutsch\nFrançais\nEnd"


def test_quotes_and_spaces_are_written_in_one_form() -> None:
    assert through("normalise_quotes", "“Don’t” – say «it»") == '"Don\'t" - say "it"'
    assert through("normalise_spaces", "30\u00a0days\u200b of\u2009notice") == "30 days of notice"


def test_links_are_unlinked_and_their_words_stay() -> None:
    page = b'<body><p>See <a href="https://x.test/?token=8f3">our rules</a>.</p></body>'

    assert extract(page, "text/html", Rule((), (), ("drop_links",)), "https://x.test/") == "See our rules.\n"


LINES = st.lists(
    st.sampled_from([*POLICY, "", "12 views", "Back to top", "## Related articles", "*   Deutsch", "日本語"])
    | st.text(alphabet="aZ09 #*.[]()|’–\u00a0", max_size=30),
    max_size=12,
)


@pytest.mark.parametrize("name", [name for name, one in FILTERS.items() if one.text is not None])
@given(lines=LINES)
def test_a_filter_that_ran_twice_does_what_it_did_once(name: str, lines: list[str]) -> None:
    once = through(name, "\n".join(lines))

    assert through(name, once) == once


@pytest.mark.parametrize("name", [name for name, one in FILTERS.items() if one.text is not None])
def test_no_filter_is_slow_on_hostile_lines(name: str) -> None:
    for line in (
        "1 " * 400_000,
        "share " * 100_000,
        "[" * 500_000,
        "1" * 390,
        "back to " * 48,
        "#" * 500_000,
    ):
        through(name, line)
