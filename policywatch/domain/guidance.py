"""Guidance for members: accepted changes, drafts with their revisions, and who is meant to read them.

Frozen values only. Wording and hashes are the business of `policywatch.guidance`; states and rights, of the
database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from policywatch.domain.changes import ChangeType, Severity

__all__ = [
    "AcceptedChange",
    "AudienceRule",
    "Draft",
    "DraftState",
    "EvidenceQuote",
    "Member",
    "Revision",
    "Segment",
]


class DraftState(StrEnum):
    """Where a draft stands."""

    OPEN = "open"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class EvidenceQuote:
    """Words of a policy that guidance quotes, from side `+` (after) or `-` (before) of a passage."""

    change_id: int
    passage: int
    side: str
    quote: str
    section: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.side not in ("+", "-"):
            raise ValueError(f"a quote stands on side + or -, not {self.side!r}")

    def to_json(self) -> dict[str, Any]:
        """Plain types, as they are stored with a draft."""
        return {
            "change_id": self.change_id,
            "passage": self.passage,
            "side": self.side,
            "quote": self.quote,
            "section": list(self.section),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> EvidenceQuote:
        """The quote of `to_json`; the section may be missing."""
        return cls(
            change_id=int(stored["change_id"]),
            passage=int(stored["passage"]),
            side=stored["side"],
            quote=stored["quote"],
            section=tuple(stored.get("section", ())),
        )


@dataclass(frozen=True, slots=True)
class AcceptedChange:
    """A change that a reviewer accepted, with what guidance says of it.

    `platform` and `document` are names as people write them, `url` the page that members can open, `found`
    the day (UTC) on which the new text was seen.
    """

    change_id: int
    platform: str
    document: str
    url: str
    found: date
    change_type: ChangeType
    severity: Severity
    summary: str
    quotes: tuple[EvidenceQuote, ...] = ()
    effective_date: date | None = None
    objection_deadline: date | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One complete wording of a draft: exactly what an approval signs and a mail carries."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Draft:
    """Guidance being written (`G-id`). `version` is what an act must name; `number` counts revisions."""

    id: int
    title: str
    author: str
    state: DraftState
    number: int
    version: int
    revision: Revision | None = None
    segment: str | None = None
    evidence: tuple[EvidenceQuote, ...] = ()


@dataclass(frozen=True, slots=True)
class AudienceRule:
    """One criterion: the member's `column` holds at least one of the `values`."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A group of members: those who meet every rule. No rule means everybody."""

    key: str
    name: str
    rules: tuple[AudienceRule, ...] = ()
    version: int = 1


@dataclass(frozen=True, slots=True)
class Member:
    """One member: a normalised address, and the columns of the members file as (name, values), by name."""

    address: str
    columns: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def values(self, column: str) -> tuple[str, ...]:
        """What stands in that column; nothing if there is no such column."""
        for name, values in self.columns:
            if name == column:
                return values
        return ()

    def __repr__(self) -> str:
        # An address must not slip into a log or a traceback by way of a repr.
        return f"Member(columns={self.columns!r})"
