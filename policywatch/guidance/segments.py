"""Segments: what their criteria say, and which members they mean."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from policywatch.domain.guidance import AudienceRule, Member, Segment
from policywatch.errors import UsageError

__all__ = ["audience", "count", "criteria_of", "matches", "parse_segment", "require_columns"]


def parse_segment(key: str, name: str, criteria: Mapping[str, Any], *, version: int = 1) -> Segment:
    """The segment of a definition: column -> value or list of values. UsageError names what is wrong."""
    rules = []
    for column in sorted(criteria):
        written = criteria[column]
        values = written if isinstance(written, list | tuple) else [written]
        if not values:
            raise UsageError(
                f"segment {key}: no value is given for {column}, so nobody could be meant",
                remedy=f"Name at least one value, or leave {column} out to mean every value.",
            )
        rules.append(
            AudienceRule(column, tuple(dict.fromkeys(_value(key, column, value) for value in values)))
        )
    return Segment(key=key, name=name, rules=tuple(rules), version=version)


def _value(key: str, column: str, value: Any) -> str:
    if isinstance(value, bool):
        # YAML reads a bare NO, the country, as false.
        raise UsageError(
            f"segment {key}: {column} holds {str(value).lower()}, which is not text",
            remedy='Put the value in quotes, for example "NO" for Norway.',
        )
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(
            f"segment {key}: a value of {column} is not a text",
            remedy=f"Write a value, or a list of values, for {column}.",
        )
    return value.strip()


def criteria_of(segment: Segment) -> dict[str, list[str]]:
    """The criteria in one form: every column with a list, as they are stored and hashed."""
    return {rule.column: list(rule.values) for rule in segment.rules}


def _folded(value: str) -> str:
    return unicodedata.normalize("NFC", value).casefold()


def matches(segment: Segment, member: Member) -> bool:
    """Whether the member meets every rule; letter case does not count."""
    return all(
        not {_folded(value) for value in rule.values}.isdisjoint(map(_folded, member.values(rule.column)))
        for rule in segment.rules
    )


def audience(segment: Segment, members: Iterable[Member]) -> tuple[Member, ...]:
    """The members that the segment means, in the order given."""
    wanted = [(rule.column, frozenset(map(_folded, rule.values))) for rule in segment.rules]
    return tuple(
        member
        for member in members
        if all(not values.isdisjoint(map(_folded, member.values(column))) for column, values in wanted)
    )


def count(segment: Segment, members: Iterable[Member]) -> int:
    """How many members the segment means."""
    return len(audience(segment, members))


def require_columns(segment: Segment, columns: Sequence[str]) -> None:
    """UsageError if the segment asks for a column that the file has not: it would mean nobody, silently."""
    missing = [rule.column for rule in segment.rules if rule.column not in columns]
    if missing:
        raise UsageError(
            f"segment {segment.key} asks for the column {', '.join(missing)}, which the members file has not",
            remedy=f"Mend the segment or members.columns. The file has: {', '.join(columns) or 'no column'}.",
        )
