"""What a change is made of: passages, their comparison, and what the machine thinks of them.

Frozen values only. How they are found is the business of `policywatch.reading`; where they are kept, of
`policywatch.db`. The values of the enums are those of the labelling rubric and stand in the database as they
are written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

__all__ = [
    "Analysis",
    "ChangeType",
    "Comparison",
    "Evidence",
    "NoiseKind",
    "Passage",
    "PassageKind",
    "Severity",
    "Span",
]


class Severity(StrEnum):
    """How much a change weighs for members; compare by `rank`, never by the letters."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for none to 4 for critical."""
        return _RANKS[self]

    @classmethod
    def of_rank(cls, rank: int) -> Severity:
        """The level of that rank; a rank outside 0..4 is drawn to the nearest end."""
        return _LEVELS[max(0, min(rank, len(_LEVELS) - 1))]


_LEVELS: tuple[Severity, ...] = tuple(Severity)
_RANKS: dict[Severity, int] = {level: rank for rank, level in enumerate(_LEVELS)}


class ChangeType(StrEnum):
    """What a change is about. Of two types of equal severity the one that stands first here is taken."""

    RIGHTS_AND_LICENCE = "rights_and_licence"
    DATA_USE_AND_PRIVACY = "data_use_and_privacy"
    CONTENT_RULES = "content_rules"
    ENFORCEMENT_AND_APPEALS = "enforcement_and_appeals"
    MONETISATION_AND_PAYMENTS = "monetisation_and_payments"
    ADS_AND_COMMERCE = "ads_and_commerce"
    AI_AND_TRAINING = "ai_and_training"
    DISPUTE_AND_LIABILITY = "dispute_and_liability"
    AGE_AND_MINORS = "age_and_minors"
    SECURITY_AND_ACCESS = "security_and_access"
    GOVERNMENT_AND_LEGAL_REQUESTS = "government_and_legal_requests"
    SCOPE_AND_PRODUCT = "scope_and_product"
    EDITORIAL_ONLY = "editorial_only"
    CAPTURE_ARTEFACT = "capture_artefact"


class NoiseKind(StrEnum):
    """Why a difference is none that a reader reads; `none` says that it is a real one."""

    NONE = "none"
    LINK_TARGETS = "link_targets"
    MARKUP = "markup"
    RELATIVE_TIME = "relative_time"
    REORDERED = "reordered"
    NAVIGATION = "navigation"
    PAGE_SET = "page_set"
    CAPTURE_FAILURE = "capture_failure"
    LANGUAGE = "language"
    DUPLICATE = "duplicate"


class PassageKind(StrEnum):
    """What happened to the text at one place."""

    ADDED = "added"
    REMOVED = "removed"
    REWORDED = "reworded"
    MOVED = "moved"
    MOVED_CHANGED = "moved_changed"
    RENUMBERED = "renumbered"
    SPLIT = "split"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` (included) to `end` (not included) of a passage's text."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"a span from {self.start} to {self.end} is none")


@dataclass(frozen=True, slots=True)
class Passage:
    """One place in a change: the text a reader saw before, and the text a reader sees after.

    `section` is the chain of headings above it (of the new text where it stands there). `before` is empty
    for added text, `after` for removed text; parts that were split or merged are joined by a line break.
    The spans mark the words that differ; where there are none, the side differs as a whole or (moved,
    renumbered) not in its words.
    """

    kind: PassageKind
    section: tuple[str, ...]
    before: str
    after: str
    before_spans: tuple[Span, ...] = ()
    after_spans: tuple[Span, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types, as they are stored."""
        return {
            "kind": self.kind.value,
            "section": list(self.section),
            "before": self.before,
            "after": self.after,
            "before_spans": [[span.start, span.end] for span in self.before_spans],
            "after_spans": [[span.start, span.end] for span in self.after_spans],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Passage:
        """The passage of `to_json`; raises KeyError or ValueError on anything else."""
        return cls(
            kind=PassageKind(stored["kind"]),
            section=tuple(stored["section"]),
            before=stored["before"],
            after=stored["after"],
            before_spans=tuple(Span(*pair) for pair in stored["before_spans"]),
            after_spans=tuple(Span(*pair) for pair in stored["after_spans"]),
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two texts of one document held against each other.

    `reader_equal`: a visitor reads the same words (typography aside). `links_equal`: the canonical link
    targets are the same. `noise_kind` other than none says why nobody needs to read the difference; the
    passages of noise are kept all the same, so that it can be listed.
    """

    noise_kind: NoiseKind
    passages: tuple[Passage, ...]
    words_added: int
    words_removed: int
    reader_equal: bool
    links_equal: bool

    def to_json(self) -> dict[str, Any]:
        """Plain types, as they are stored."""
        return {
            "noise_kind": self.noise_kind.value,
            "passages": [passage.to_json() for passage in self.passages],
            "words_added": self.words_added,
            "words_removed": self.words_removed,
            "reader_equal": self.reader_equal,
            "links_equal": self.links_equal,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Comparison:
        """The comparison of `to_json`; raises KeyError or ValueError on anything else."""
        return cls(
            noise_kind=NoiseKind(stored["noise_kind"]),
            passages=tuple(Passage.from_json(passage) for passage in stored["passages"]),
            words_added=int(stored["words_added"]),
            words_removed=int(stored["words_removed"]),
            reader_equal=bool(stored["reader_equal"]),
            links_equal=bool(stored["links_equal"]),
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote that stands verbatim on side `+` (after) or `-` (before) of passage `passage`, from 0."""

    side: str
    passage: int
    quote: str

    def __post_init__(self) -> None:
        if self.side not in ("+", "-"):
            raise ValueError(f"evidence stands on side + or -, not {self.side!r}")

    def stands_in(self, passages: tuple[Passage, ...]) -> bool:
        """Whether the quote is really there."""
        if not self.quote or not 0 <= self.passage < len(passages):
            return False
        passage = passages[self.passage]
        return self.quote in (passage.after if self.side == "+" else passage.before)

    def to_json(self) -> dict[str, Any]:
        """Plain types, as they are stored."""
        return {"side": self.side, "passage": self.passage, "quote": self.quote}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Evidence:
        """The evidence of `to_json`."""
        return cls(side=stored["side"], passage=int(stored["passage"]), quote=stored["quote"])


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the machine thinks of a change. A proposal for a person, never a verdict.

    `engine` names rules and version, so that an analysis can be told from that of a later engine.
    `confidence` runs from 0 to 1 and is not calibrated while `engine` says so. `effective_date` and
    `objection_deadline` are there only where the new text states them.
    """

    engine: str
    change_type: ChangeType
    other_types: tuple[ChangeType, ...]
    severity: Severity
    confidence: float
    notify: bool
    topics: tuple[str, ...]
    effective_date: date | None
    objection_deadline: date | None
    summary: str
    sections: tuple[str, ...]
    evidence: tuple[Evidence, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain types, as they are stored; dates as YYYY-MM-DD."""
        return {
            "engine": self.engine,
            "change_type": self.change_type.value,
            "other_types": [kind.value for kind in self.other_types],
            "severity": self.severity.value,
            "confidence": self.confidence,
            "notify": self.notify,
            "topics": list(self.topics),
            "effective_date": self.effective_date.isoformat() if self.effective_date else None,
            "objection_deadline": self.objection_deadline.isoformat() if self.objection_deadline else None,
            "summary": self.summary,
            "sections": list(self.sections),
            "evidence": [evidence.to_json() for evidence in self.evidence],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Analysis:
        """The analysis of `to_json`; raises KeyError or ValueError on anything else."""
        effective, deadline = stored["effective_date"], stored["objection_deadline"]
        return cls(
            engine=stored["engine"],
            change_type=ChangeType(stored["change_type"]),
            other_types=tuple(ChangeType(kind) for kind in stored["other_types"]),
            severity=Severity(stored["severity"]),
            confidence=float(stored["confidence"]),
            notify=bool(stored["notify"]),
            topics=tuple(stored["topics"]),
            effective_date=date.fromisoformat(effective) if effective else None,
            objection_deadline=date.fromisoformat(deadline) if deadline else None,
            summary=stored["summary"],
            sections=tuple(stored["sections"]),
            evidence=tuple(Evidence.from_json(evidence) for evidence in stored["evidence"]),
        )
