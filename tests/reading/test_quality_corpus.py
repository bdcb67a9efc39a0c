"""The recorded history of the seven platforms as captures: walls are held, rewritten policies are not.

The history is no part of this repository; `POLICYWATCH_CORPUS` names its folder.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from benchmarks.quality import CORPUS, Outcome, figures, histories, replay
from policywatch.reading.compare import reader_hash
from policywatch.reading.quality import History, Look, judge
from tests.reading.bad_pages import WALLS
from tests.reading.test_quality import look_of

pytestmark = [
    pytest.mark.needs_corpus,
    pytest.mark.skipif(not (CORPUS / "pga.bundle").is_file(), reason="the policy history is not at hand"),
]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return replay(CORPUS)


@pytest.fixture(scope="module")
def found(outcomes: list[Outcome]) -> dict[str, Any]:
    return figures(outcomes)


@pytest.fixture(scope="module")
def known() -> dict[str, tuple[History, str]]:
    return histories(CORPUS)


def test_every_version_of_the_record_is_judged(found: dict[str, Any]) -> None:
    assert found["versions"] == 3673


def test_every_collapse_that_the_next_version_undoes_is_held(found: dict[str, Any]) -> None:
    assert found["collapse_undone"] == 12
    assert found["collapse_undone_held"] == 12


def test_a_real_replacement_is_queued_or_can_be_accepted(outcomes: list[Outcome]) -> None:
    (brand,) = (
        one
        for one in outcomes
        if one.row["path"] == "LinkedIn/Brand Guidelines.md" and one.row["time"].startswith("2025-02-14")
    )

    assert not brand.quality.suspect or brand.accepted


def test_hardly_a_change_of_wording_that_stays_is_held(found: dict[str, Any]) -> None:
    assert found["text_medium_large_kept"] == 700
    assert found["text_medium_large_kept_held_share"] <= 0.01, found["held_cases"]


def test_changes_that_are_undone_are_counted_with_each_case(found: dict[str, Any]) -> None:
    """Survey boxes and menus that come and go are no bad captures: the second look is what finds them."""
    assert found["text_undone"] == 135
    assert found["text_undone_held"] == len(found["text_undone_held_cases"])


def test_a_held_version_never_becomes_the_measure(outcomes: list[Outcome]) -> None:
    """After the walls of May to August 2025 the very same policy came back, and was good each time."""
    privacy = [one for one in outcomes if one.row["path"] == "Instagram/Privacy Policy.md"]
    back = [after for before, after in pairwise(privacy) if before.quality.suspect and before.undone]

    assert len(back) == 9
    assert not any(one.quality.suspect for one in back)


def test_no_wall_passes_for_any_of_the_recorded_documents(known: dict[str, tuple[History, str]]) -> None:
    """Our own walls in the place of each document as it stands today, as a page and as bare text."""
    pages = [(wall.name, look_of(wall)) for wall in WALLS]
    passed = [
        f"{name} for {path}"
        for path, (history, _) in known.items()
        for name, page in pages
        for look in (page, Look(text=page.text, fault=page.fault))
        if not judge(look, history, "en").suspect
    ]

    assert not passed


def test_another_page_of_the_platform_is_known_by_its_text(known: dict[str, tuple[History, str]]) -> None:
    tried = held = 0
    for path, (history, _) in known.items():
        for other, (_, text) in known.items():
            if other == path or other.partition("/")[0] != path.partition("/")[0]:
                continue
            past: History = replace(history, known_texts=frozenset((reader_hash(text),)))
            tried += 1
            held += judge(Look(text=text), past, "en").suspect

    # A few documents hold another one as a part, or share their headings with it.
    assert held >= 0.98 * tried
