"""What a sentence and what a change are about."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from policywatch.domain.changes import ChangeType
from policywatch.reading.lexicon import DOCUMENT_TYPES, TOPICS, WEIGHTS

__all__ = ["document_type", "topics_of", "type_of"]

_UNCHANGED = 0.33  # what a hit outside the changed words counts
_PRIOR = 2.0  # what the document's name counts
_TOPIC_CHARACTERS = 40_000


@lru_cache(maxsize=256)
def document_type(document: str) -> ChangeType | None:
    """The type that the name of a document suggests; none for terms, which hold everything."""
    return next((kind for pattern, kind in DOCUMENT_TYPES if pattern.search(document)), None)


@lru_cache(maxsize=4_096)  # texts come and go and come back; so do their sentences
def type_of(sentence: str, changed: str, document: str) -> ChangeType:
    """The type of a changed sentence: its changed words first, then the rest of it, then the document's name."""
    scores: Counter[ChangeType] = Counter()
    for kind, weight, pattern in WEIGHTS:
        all_hits = {match.lower() for match in pattern.findall(sentence)}
        if not all_hits:
            continue
        inside = len({match.lower() for match in pattern.findall(changed)})
        around = max(0, len(all_hits) - inside)
        score = weight * (min(inside, 3) + _UNCHANGED * min(around, 3))
        if score:
            scores[kind] += score  # type: ignore[assignment]
    if (prior := document_type(document)) is not None:
        scores[prior] += _PRIOR  # type: ignore[assignment]
    if not scores:
        return ChangeType.SCOPE_AND_PRODUCT
    order = list(ChangeType)
    return max(scores, key=lambda kind: (scores[kind], -order.index(kind)))


def topics_of(changed: str) -> tuple[str, ...]:
    """Plain topics of the changed words, the most frequent first, at most five."""
    text = changed[:_TOPIC_CHARACTERS]
    counts = [(len(pattern.findall(text)), name) for name, pattern in TOPICS]
    found = sorted((one for one in counts if one[0]), key=lambda one: -one[0])
    return tuple(name for _, name in found[:5])
