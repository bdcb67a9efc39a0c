"""What of a page is the policy: the extraction rule, as it stands in the YAML and in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from policywatch.errors import PolicyWatchError, UsageError

__all__ = ["ExtractionError", "Range", "Rule"]


class ExtractionError(PolicyWatchError):
    """A page from which the declared text cannot be read.

    `code` says why: `selector` (it cannot be parsed), `no_match`, `range` (an end is missing or stands before
    its start), `empty`, `binary`, `content_type`, `encrypted`, `broken` (cut or damaged), `too_large`.
    """


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of the page between two elements, each named by the first match of a CSS selector.

    Exactly one start and one end are given; `before` leaves the element behind the mark, `after` before it.
    """

    start_before: str = ""
    start_after: str = ""
    end_before: str = ""
    end_after: str = ""

    def __post_init__(self) -> None:
        if bool(self.start_before) == bool(self.start_after) or bool(self.end_before) == bool(self.end_after):
            raise UsageError(
                "A range needs one start and one end.",
                remedy="Give start_before or start_after, and end_before or end_after.",
            )

    @classmethod
    def from_json(cls, stored: Mapping[str, str]) -> Range:
        """From a mapping with the keys above, also as startBefore and so on. Raises UsageError for others."""
        known = {_camel(one.name): one.name for one in fields(cls)} | {
            one.name: one.name for one in fields(cls)
        }
        unknown = [key for key in stored if key not in known]
        if unknown:
            raise UsageError(
                f'A range has no "{unknown[0]}".',
                remedy="Its keys are start_before, start_after, end_before, end_after.",
            )
        return cls(**{known[key]: selector for key, selector in stored.items()})

    def to_json(self) -> dict[str, str]:
        """The keys that are given."""
        return {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)}


def _camel(name: str) -> str:
    head, _, tail = name.partition("_")
    return head + tail.capitalize()


@dataclass(frozen=True, slots=True)
class Rule:
    """Which parts of a page are read (`select`), which of them are not (`remove`), and the filters by name.

    Parts are CSS selectors, of which every match counts, or ranges; of a JSON answer paths (`json_text`). Without
    `select` the whole body is read.
    """

    select: tuple[str | Range, ...] = ()
    remove: tuple[str | Range, ...] = ()
    filters: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Rule:
        """The rule of `to_json`; one part may stand without its list."""
        return cls(
            select=_parts(stored.get("select")),
            remove=_parts(stored.get("remove")),
            filters=tuple(stored.get("filters") or ()),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain types, as they are stored and hashed."""
        return {
            "select": [part if isinstance(part, str) else part.to_json() for part in self.select],
            "remove": [part if isinstance(part, str) else part.to_json() for part in self.remove],
            "filters": list(self.filters),
        }


def _parts(stored: Any) -> tuple[str | Range, ...]:
    if not stored:
        return ()
    parts = [stored] if isinstance(stored, str | Mapping) else stored
    return tuple(part if isinstance(part, str) else Range.from_json(part) for part in parts)
