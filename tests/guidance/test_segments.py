"""A segment means the members that its criteria describe, and says so when it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.domain.guidance import Member, Segment
from policywatch.errors import UsageError
from policywatch.guidance.members import parse_members
from policywatch.guidance.segments import (
    audience,
    count,
    criteria_of,
    matches,
    parse_segment,
    require_columns,
)
from policywatch.simulated.members import csv_text, expected_count, pretend_members

ADA = Member(
    "ada@members.test", (("country", ("DE",)), ("kind", ("journalist",)), ("platforms", ("x", "tiktok")))
)
BEN = Member("ben@members.test", (("country", ("US",)), ("kind", ("creator",)), ("platforms", ())))

values = st.sampled_from(["a", "b", "c", "A", "é", "e\u0301", "ß", "SS"])
columns = st.sampled_from(["kind", "country", "platforms"])
criteria = st.dictionaries(columns, st.lists(values, min_size=1, max_size=3), max_size=3)
members = st.builds(
    lambda held: Member("m@members.test", tuple(sorted((name, tuple(kept)) for name, kept in held.items()))),
    st.dictionaries(columns, st.lists(values, max_size=3), max_size=3),
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({}, [ADA, BEN]),
        ({"kind": "journalist"}, [ADA]),
        ({"kind": ["Journalist", "creator"]}, [ADA, BEN]),
        ({"platforms": ["tiktok"], "country": ["DE", "FR"]}, [ADA]),
        ({"platforms": ["tiktok"], "country": ["US"]}, []),
        ({"platforms": ["youtube"]}, []),
    ],
)
def test_every_column_must_hold_one_of_its_values(written: dict[str, object], meant: list[Member]) -> None:
    segment = parse_segment("some", "Some", written)

    assert list(audience(segment, [ADA, BEN])) == meant
    assert count(segment, [ADA, BEN]) == len(meant)


@given(criteria, st.lists(members, max_size=8))
def test_an_audience_is_exactly_the_members_that_match(
    written: dict[str, list[str]], people: list[Member]
) -> None:
    segment = parse_segment("some", "Some", written)

    assert list(audience(segment, people)) == [member for member in people if matches(segment, member)]


@given(criteria, members)
def test_a_further_criterion_never_adds_a_member(written: dict[str, list[str]], member: Member) -> None:
    whole = parse_segment("some", "Some", written)

    for column in written:
        fewer = parse_segment("some", "Some", {key: held for key, held in written.items() if key != column})
        assert matches(fewer, member) or not matches(whole, member)


@given(criteria)
def test_criteria_survive_being_parsed_and_written(written: dict[str, list[str]]) -> None:
    segment = parse_segment("some", "Some", written)

    assert parse_segment("some", "Some", criteria_of(segment)) == segment


def test_an_unquoted_norway_is_recognised() -> None:
    with pytest.raises(UsageError, match="holds false") as fault:
        parse_segment("north", "North", {"country": ["SE", False]})

    assert '"NO"' in fault.value.remedy


@pytest.mark.parametrize("written", [{"kind": []}, {"kind": ""}, {"kind": None}, {"kind": [{}]}])
def test_criteria_that_mean_nothing_are_refused(written: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="segment some"):
        parse_segment("some", "Some", written)


def test_a_column_that_the_file_has_not_is_named() -> None:
    segment: Segment = parse_segment("some", "Some", {"kind": "a", "region": "b"})

    with pytest.raises(UsageError, match="column region, which"):
        require_columns(segment, ["kind", "country"])
    require_columns(segment, ["kind", "region"])


@pytest.mark.parametrize(
    "written",
    [{}, {"kind": ["journalist"]}, {"platforms": ["x", "tiktok"]}, {"country": ["DE"], "kind": ["creator"]}],
)
def test_the_pretend_members_are_counted_as_the_story_expects(written: dict[str, list[str]]) -> None:
    people = pretend_members(60)

    parsed = parse_members(csv_text(people))

    assert not parsed.faults
    assert count(parse_segment("some", "Some", written), parsed.members) == expected_count(people, written)
