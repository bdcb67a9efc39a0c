"""The values of a change survive their storage form."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.domain.changes import (
    Analysis,
    ChangeType,
    Comparison,
    Evidence,
    NoiseKind,
    Passage,
    PassageKind,
    Severity,
    Span,
)

spans = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda two: Span(min(two), max(two)))
passages = st.builds(
    Passage,
    kind=st.sampled_from(PassageKind),
    section=st.lists(st.text(max_size=10), max_size=3).map(tuple),
    before=st.text(max_size=60),
    after=st.text(max_size=60),
    before_spans=st.lists(spans, max_size=3).map(tuple),
    after_spans=st.lists(spans, max_size=3).map(tuple),
)
comparisons = st.builds(
    Comparison,
    noise_kind=st.sampled_from(NoiseKind),
    passages=st.lists(passages, max_size=3).map(tuple),
    words_added=st.integers(0, 9),
    words_removed=st.integers(0, 9),
    reader_equal=st.booleans(),
    links_equal=st.booleans(),
)
analyses = st.builds(
    Analysis,
    engine=st.text(max_size=10),
    change_type=st.sampled_from(ChangeType),
    other_types=st.lists(st.sampled_from(ChangeType), max_size=3).map(tuple),
    severity=st.sampled_from(Severity),
    confidence=st.floats(0, 1),
    notify=st.booleans(),
    topics=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    effective_date=st.none() | st.dates(),
    objection_deadline=st.none() | st.dates(),
    summary=st.text(max_size=40),
    sections=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    evidence=st.lists(
        st.builds(Evidence, side=st.sampled_from("+-"), passage=st.integers(0, 5), quote=st.text(max_size=9)),
        max_size=3,
    ).map(tuple),
)


@given(passages)
def test_a_passage_comes_back_from_its_stored_form(passage: Passage) -> None:
    assert Passage.from_json(passage.to_json()) == passage


@given(comparisons)
def test_a_comparison_comes_back_from_its_stored_form(comparison: Comparison) -> None:
    assert Comparison.from_json(comparison.to_json()) == comparison


@given(analyses)
def test_an_analysis_comes_back_from_its_stored_form(analysis: Analysis) -> None:
    assert Analysis.from_json(analysis.to_json()) == analysis


def test_severities_order_by_rank() -> None:
    assert [level.rank for level in Severity] == [0, 1, 2, 3, 4]
    assert Severity.of_rank(9) is Severity.CRITICAL
    assert Severity.of_rank(-1) is Severity.NONE


def test_there_are_fourteen_types_of_change() -> None:
    assert len(ChangeType) == 14


def test_a_span_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="none"):
        Span(5, 3)


def test_evidence_stands_only_where_its_words_stand() -> None:
    passage = Passage(PassageKind.REWORDED, (), "We keep it 30 days.", "We keep it 90 days.")

    assert Evidence("+", 0, "90 days").stands_in((passage,))
    assert not Evidence("-", 0, "90 days").stands_in((passage,))
    assert not Evidence("+", 1, "90 days").stands_in((passage,))
    assert not Evidence("+", 0, "").stands_in((passage,))


def test_a_date_is_stored_as_year_month_day() -> None:
    analysis = Analysis(
        "e", ChangeType.EDITORIAL_ONLY, (), Severity.LOW, 0.5, False, (), date(2026, 2, 3), None, "s", (), ()
    )

    assert analysis.to_json()["effective_date"] == "2026-02-03"
