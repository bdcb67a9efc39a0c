"""Words that bind: must, may, will, and the "not" that turns them over."""

from __future__ import annotations

import re

__all__ = ["bound", "negation_turned", "swapped"]

_STRONG = r"must\s+not|must|shall\s+not|shall|will\s+not|won['’]t|will|may\s+not|can\s*not|can['’]t|required|prohibited"
_WEAK = r"should\s+not|shouldn['’]t|should|may|might|can|could"
_MODAL = re.compile(rf"\b(?:(?P<strong>{_STRONG})|(?P<weak>{_WEAK}))\b", re.IGNORECASE)
_NEGATION = re.compile(r"\b(?:not|never|no\s+longer|none|cannot|without)\b|n['’]t\b", re.IGNORECASE)
_BOUND = re.compile(
    rf"\b(?:{_STRONG}|{_WEAK}|need\s+to|have\s+to|has\s+to|agree\s+(?:to|that)|do\s+not|don['’]t|are\s+not|aren['’]t|"
    r"is\s+not|isn['’]t|(?:not|no\s+longer)\s+(?:allowed|permitted|eligible)|are\s+allowed|allowed\s+to|entitled|"
    r"prohibit(?:s|ed)?|forbid(?:s|den)?|ban(?:s|ned)?|remove(?:s|d)?|suspend(?:s|ed)?|terminate(?:s|d)?|waive|grant|"
    r"right\s+to|responsible\s+for|(?:we|meta|google|x|tiktok|linkedin|youtube|twitter|instagram|bluesky)\s+(?:also\s+|now\s+)?"
    r"(?:collect|use|share|process|store|disclose|sell|transfer|keep|retain|receive|combine|reserve|require|allow|"
    r"restrict|limit|rely|relies|shares|collects|uses|processes)s?)\b",
    re.IGNORECASE,
)


def bound(sentence: str) -> bool:
    """Whether the sentence says what somebody must, may or can expect."""
    return _BOUND.search(sentence) is not None


def swapped(gone: str, come: str) -> tuple[str, str] | None:
    """The binding word that went and the one of other strength that came, among changed words; or None."""
    old = [(match.group(), match.lastgroup) for match in _MODAL.finditer(gone)]
    new = [(match.group(), match.lastgroup) for match in _MODAL.finditer(come)]
    if not old or not new:
        return None
    kept = {word.lower() for word, _ in old} & {word.lower() for word, _ in new}
    old = [one for one in old if one[0].lower() not in kept]
    new = [one for one in new if one[0].lower() not in kept]
    for (left, left_strength), (right, right_strength) in zip(old, new, strict=False):
        if left_strength != right_strength:
            return left, right
    return None


def negation_turned(gone: str, come: str) -> bool:
    """Whether a "not" came or went among changed words that are otherwise few."""
    old, new = len(_NEGATION.findall(gone)), len(_NEGATION.findall(come))
    return bool(old) != bool(new) and len(gone.split()) + len(come.split()) <= 8
