"""What another rule would have made of past changes: how many it would have removed, and how many that matter.

Pure: the stored pages are handed in. A filter that removes what people accepted as a change hides policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from policywatch.reading.compare import link_hash, reader_hash
from policywatch.reading.extract import extract
from policywatch.reading.rules import ExtractionError, Rule

__all__ = ["PastChange", "Preview", "preview"]


@dataclass(frozen=True, slots=True)
class PastChange:
    """The page before and after a change, as it came over the wire; `accepted`: a person took it for one."""

    change: int
    before: bytes
    after: bytes
    accepted: bool
    url: str
    before_type: str = "text/html"
    after_type: str = "text/html"


@dataclass(frozen=True, slots=True)
class Preview:
    """Changes by number, in their order.

    `looked_at`: those that today's rule shows. `removed`: those of them that the proposed rule would not have
    shown. `accepted`: those of the removed that people accepted. `unread`: pages that one of the rules cannot
    read, which are counted nowhere else; `faults`: of them, those that only the proposed rule cannot read.
    """

    looked_at: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    accepted: tuple[int, ...] = ()
    unread: tuple[int, ...] = ()
    faults: tuple[int, ...] = ()

    @property
    def sentence(self) -> str:
        """The answer as a person reads it."""
        told = (
            f"would have removed {len(self.removed)} of {len(self.looked_at)} past changes,"
            f" {len(self.accepted)} of them accepted"
        )
        if self.unread:
            told += f"; {len(self.unread)} could not be read again"
        if self.faults:
            told += f" ({len(self.faults)} only by the new rule)"
        return told

    def to_json(self) -> dict[str, Any]:
        """Plain types, with the sentence."""
        return {
            "sentence": self.sentence,
            "looked_at": list(self.looked_at),
            "removed": list(self.removed),
            "accepted": list(self.accepted),
            "unread": list(self.unread),
            "faults": list(self.faults),
        }


def preview(past: Iterable[PastChange], current: Rule, proposed: Rule) -> Preview:
    """Hold each past change against both rules. Raises UsageError for a filter that does not exist."""
    found: dict[str, list[int]] = {name: [] for name in Preview.__dataclass_fields__}
    for one in past:
        shown = _differs(one, current)
        if shown is False:
            continue  # today's rule shows nothing already
        still = _differs(one, proposed)
        if shown is None or still is None:
            found["unread"].append(one.change)
            if shown is not None:
                found["faults"].append(one.change)
            continue
        found["looked_at"].append(one.change)
        if not still:
            found["removed"].append(one.change)
            if one.accepted:
                found["accepted"].append(one.change)
    return Preview(**{name: tuple(numbers) for name, numbers in found.items()})


def _differs(one: PastChange, rule: Rule) -> bool | None:
    """Whether a reader sees a difference by this rule; None where a page cannot be read by it."""
    try:
        before = extract(one.before, one.before_type, rule, one.url)
        after = extract(one.after, one.after_type, rule, one.url)
    except ExtractionError:
        return None
    return (reader_hash(before), link_hash(before)) != (reader_hash(after), link_hash(after))
