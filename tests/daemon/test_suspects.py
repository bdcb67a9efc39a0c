"""Hindsight over a recorded history: a wall is held, a stub that stays is the platform's word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from policywatchd.collect.archives.suspects import Chain, Link, screen
from tests.daemon.archives import text

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
WALL = "# Log in\n\nYou must log in to continue. Please sign in to see this page.\n"
TEXTS = {
    "a": text(),
    "b": text(Appeals="You may appeal a decision within 7 days. A person looks at every appeal."),
    "wall": WALL,
    "wall, later": WALL.replace("/", "/later/").replace("Please", "  Please"),
    "cookies": "# Cookies\n\nAccept all cookies to continue.\n",
    "error": "# Error\n\nSomething went wrong. Please try again later.\n",
}


def held(*versions: tuple[str, float], states: str = "", looked: float = 0.0) -> list[int]:
    """The places held of versions (text, days since the first); `states` by letter: good, held, new."""
    letters = {"g": "good", "h": "held", "n": "new"}
    links = [
        Link(name, BEGIN + timedelta(days=days), place > 0, letters[states[place]] if states else "new")
        for place, (name, days) in enumerate(versions)
    ]
    end = max(link.at for link in links) + timedelta(days=looked)
    found = screen(
        Chain(links, end, "en"), TEXTS.__getitem__, lambda blob: " ".join(TEXTS[blob].split()).encode()
    )
    return [one.place for one in found]


def test_a_wall_that_the_next_version_takes_back_is_held_however_long_it_stood() -> None:
    assert held(("a", 0), ("wall", 1), ("a", 1.5), ("b", 2)) == [1]
    assert held(("a", 0), ("wall", 1), ("a", 30)) == [1]


def test_a_wall_after_a_wall_that_was_taken_back_is_held_too() -> None:
    assert held(("a", 0), ("wall", 1), ("a", 2), ("wall", 3), ("a", 4), ("b", 5)) == [1, 3]


@pytest.mark.parametrize(
    ("versions", "looked"),
    [
        ((("a", 0.0), ("wall", 1.0), ("b", 4.0)), 0.0),  # it stood, and what came next was not the old text
        ((("a", 0.0), ("wall", 1.0), ("wall, later", 1.1), ("b", 9.0)), 0.0),  # seen twice
        ((("a", 0.0), ("wall", 1.0)), 14.0),  # the newest, for two weeks
    ],
)
def test_a_stub_that_stays_is_taken(versions: tuple[tuple[str, float], ...], looked: float) -> None:
    assert held(*versions, looked=looked) == []


def test_the_newest_version_is_held_until_it_has_stood() -> None:
    assert held(("a", 0), ("wall", 1), looked=13) == [1]


def test_the_third_suspect_text_in_a_row_is_the_new_state_of_things() -> None:
    assert held(("a", 0), ("wall", 1), ("cookies", 1.1), ("error", 1.2), ("b", 1.3)) == [1, 2]


def test_what_an_earlier_run_held_or_stored_stays_so_when_more_is_stored_after_it() -> None:
    assert held(("a", 0), ("wall", 1), ("b", 30), states="ghg") == [1]
    assert held(("a", 0), ("wall", 1), ("a", 2), states="ggg") == []
    assert held(("a", 0), ("wall", 1), ("b", 30), states="ghn") == []


def test_a_first_version_is_never_held() -> None:
    assert held(("wall", 0), ("a", 1)) == []
