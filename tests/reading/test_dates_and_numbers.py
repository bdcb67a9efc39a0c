"""Dates, measures and binding words in sentences of our own."""

from __future__ import annotations

from datetime import date

import pytest

from policywatch.reading.dates import dates_in, deadline_in, effective_in
from policywatch.reading.modals import negation_turned, swapped
from policywatch.reading.numbers import changed_measures, measures
from policywatch.reading.statements import sentences

AT = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("on May 1, 2026.", date(2026, 5, 1)),
        ("from 1st of May 2026", date(2026, 5, 1)),
        ("since 1 Sept. 2025", date(2025, 9, 1)),
        ("as of 2026-05-01", date(2026, 5, 1)),
        ("by 31/12/2026", date(2026, 12, 31)),
    ],
)
def test_five_ways_to_write_a_date_are_read(text: str, day: date) -> None:
    assert [one.day for one in dates_in(text)] == [day]


@pytest.mark.parametrize(
    "text", ["You may march in May.", "within 30 days", "31 June 2026", "one (1) year and 30 days"]
)
def test_what_only_looks_like_a_date_is_none(text: str) -> None:
    assert dates_in(text) == []


def test_a_date_that_can_be_read_both_ways_counts_for_nothing() -> None:
    text = "Effective 04/05/2026 the terms change."

    assert dates_in(text)[0].ambiguous
    assert effective_in(text, dates_in(text), AT) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("These terms take effect on 1 May 2026.", date(2026, 5, 1)),
        ("Starting on 1 May 2026 you need to be 18.", date(2026, 5, 1)),
        ("Effective 1 July 2026 for all, 1 June 2026 for new users.", date(2026, 6, 1)),
        ("Last updated: 1 May 2026", None),
        ("Our office opened on 1 May 2026.", None),
        ("It took effect on 1 May 2016.", None),
    ],
)
def test_an_effective_date_needs_a_cue_in_its_sentence(text: str, day: date | None) -> None:
    assert effective_in(text, dates_in(text), AT) == day


def test_a_deadline_is_the_last_day_to_act() -> None:
    text = "You can object until 1 May 2026."
    past = "You could object until 1 May 2025."

    assert deadline_in(text, dates_in(text), AT) == date(2026, 5, 1)
    assert deadline_in(past, dates_in(past), AT) is None


def test_measures_are_read_with_their_units() -> None:
    text = "Within thirty (30) days, at least 1,000 followers, 5% or $3.50; users under 16."

    assert [(one.value, one.unit) for one in measures(text)] == [
        (30, "day"),
        (1000, "follower"),
        (5, "%"),
        (3.5, "$"),
        (16, "age"),
    ]


def test_only_a_measure_of_the_same_unit_counts_as_changed() -> None:
    assert [
        (old.value, new.value)
        for old, new in changed_measures("14 days, 3 strikes", "30 days, 3 strikes, 2 views")
    ] == [(14, 30)]
    assert changed_measures("14 days", "fourteen days") == []


def test_binding_words_swap_only_across_strength() -> None:
    assert swapped("will", "may") == ("will", "may")
    assert swapped("may", "can") is None
    assert swapped("must keep", "must store") is None
    assert negation_turned("", "not")
    assert not negation_turned("not", "never")


def test_sentences_end_at_full_stops_but_not_at_abbreviations() -> None:
    text = "We share it, e.g. With partners. See No. 5 of U.S. law. Done?\nNext line"

    assert [text[start:end] for start, end in sentences(text)] == [
        "We share it, e.g. With partners.",
        "See No. 5 of U.S. law.",
        "Done?",
        "Next line",
    ]
