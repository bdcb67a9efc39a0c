"""Edits that leave rights and duties alone: spelling, names, dates of revision, addresses.

Each test here proves its point on the two texts of a passage; what cannot be proven goes on to the rules of
`findings`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rapidfuzz.distance import Levenshtein

from policywatch.domain.changes import Passage
from policywatch.reading.dates import dates_in, without_dates
from policywatch.reading.modals import bound
from policywatch.reading.numbers import measures
from policywatch.reading.signs import SIGNS
from policywatch.reading.typography import squeeze, unify

__all__ = ["editorial_reason"]

_LETTERS = re.compile(r"[\W_]+")
_CONTACT = re.compile(
    r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}|https?://\S+|\b(?:www\.)?[\w-]{1,64}(?:\.[\w-]{1,64}){0,4}\.(?:com|org|net|io|co|eu|xyz)(?:/\S*)?"
    r"|\+?\d[\d\s()-]{6,20}\d"
)
_POSTAL = re.compile(
    r"\b(?:street|road|avenue|suite|floor|way|square|boulevard|bldg|building|dublin|san\s+francisco|bastrop|london|"
    r"singapore|p\.?o\.?\s+box|d0\d|ca\s+9\d{4}|tx\s+7\d{4})\b",
    re.IGNORECASE,
)
_LONGEST = 8_000  # characters of a passage that is looked at
_ADDRESS_LENGTH = 400  # characters; in a longer block "way" and "floor" are words like others
# Old names of products and brands, each with the name that took its place. A rename is no change of a rule.
_RENAMED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bretweet(ed|ing|s)?\b", re.IGNORECASE), r"repost\1"),
    (re.compile(r"\btweet(ed|ing|s)?\b", re.IGNORECASE), r"post\1"),
    (re.compile(r"\btwitter\b|\bx\b", re.IGNORECASE), "x"),
    (re.compile(r"\bbard\b|\bgemini(?:\s+apps)?\b", re.IGNORECASE), "gemini"),
    (
        re.compile(r"\boculus\b|\bmeta\s+platforms\s+technologies\b", re.IGNORECASE),
        "meta platforms technologies",
    ),
    (re.compile(r"\bthe\s+x\b", re.IGNORECASE), "x"),
)
_POINTER = re.compile(
    r"(?:please\s+)?(?:you\s+(?:can|may)\s+)?(?:find|click|view|see|read|visit|learn)\b[^.]{0,120}?\b"
    r"(?:here|more|details|version|policy|terms|guidelines|notice)\.?",
    re.IGNORECASE,
)
_BINDING = re.compile(
    r"\b(?:not|no|never|must|may|can|cannot|will|shall|should|and|or|only|all|any)\b|n['’]t\b|\d",
    re.IGNORECASE,
)


def _letters(text: str) -> str:
    return _LETTERS.sub("", unify(text)).casefold()


def _spans(passage: Passage) -> tuple[str, str]:
    """The changed words of both sides."""
    old = " ".join(passage.before[span.start : span.end] for span in passage.before_spans)
    new = " ".join(passage.after[span.start : span.end] for span in passage.after_spans)
    return old, new


def _case_or_marks(passage: Passage) -> bool:
    return _letters(passage.before) == _letters(passage.after)


def _spelling(passage: Passage) -> bool:
    """A few changed letters in words that bind nobody."""
    old, new = _spans(passage)
    if not old and not new:
        return False
    if bool(old) != bool(new) and _doubled(passage):
        return True  # a doubled word taken out changes nothing, whatever the word is
    if _BINDING.search(old) or _BINDING.search(new):
        return False
    return len(old) + len(new) <= 60 and Levenshtein.distance(squeeze(old), squeeze(new)) <= 2


def _doubled(passage: Passage) -> bool:
    def single(text: str) -> str:
        return re.sub(r"\b(\w+(?:\s+\w+)?)\s+\1\b", r"\1", " ".join(text.split()), flags=re.IGNORECASE)

    return single(passage.before) == single(passage.after)


def _renamed(passage: Passage) -> bool:
    def renamed(text: str) -> str:
        for pattern, name in _RENAMED:
            text = pattern.sub(name, text)
        return _letters(text)

    if SIGNS["company"].search(" ".join(_spans(passage))):
        return False
    return renamed(passage.before) == renamed(passage.after)


def _date_format(passage: Passage) -> bool:
    old, new = dates_in(passage.before), dates_in(passage.after)
    same = [one.day for one in old] == [one.day for one in new]
    swapped = any(one.ambiguous for one in (*old, *new)) and len(old) == len(new)
    if not old or not (same or swapped):
        return False
    return _letters(without_dates(passage.before)) == _letters(without_dates(passage.after))


def _updated_date(passage: Passage) -> bool:
    text = passage.after or passage.before
    if SIGNS["effective_label"].search(text) or not SIGNS["updated"].search(text):
        return False
    if not passage.before or not passage.after:
        return len(text) <= 80
    return _letters(without_dates(passage.before)) == _letters(without_dates(passage.after))


def _contact(passage: Passage) -> bool:
    if not passage.before or not passage.after:
        text = passage.before or passage.after
        return len(text) <= 60 and _POSTAL.search(text) is not None and not bound(text)
    if _letters(_CONTACT.sub("", passage.before)) == _letters(_CONTACT.sub("", passage.after)):
        return True
    old, new = _spans(passage)
    changed = f"{old} {new}"
    if max(len(passage.before), len(passage.after)) > _ADDRESS_LENGTH:
        return False
    postal = _POSTAL.search(passage.before) and _POSTAL.search(passage.after)
    return bool(postal) and not bound(changed) and not measures(changed) and len(changed) <= 240


def _pointer(passage: Passage) -> bool:
    """A short line that only says where something else can be read."""
    text = passage.after or passage.before
    if passage.before and passage.after:
        return all(_POINTER.fullmatch(side.strip()) for side in (passage.before, passage.after))
    return len(text) <= 160 and _POINTER.fullmatch(text.strip()) is not None


_REASONS: tuple[tuple[str, Callable[[Passage], bool]], ...] = (
    ("case and punctuation", _case_or_marks),
    ("date format", _date_format),
    ("last-updated date", _updated_date),
    ("brand name", _renamed),
    ("spelling", _spelling),
    ("contact details", _contact),
    ("pointer", _pointer),
)


_ONE_SIDED = frozenset({"last-updated date", "contact details", "pointer"})


def editorial_reason(passage: Passage) -> str | None:
    """Why nobody's rights or duties changed in this passage, or None where that is not proven."""
    if max(len(passage.before), len(passage.after)) > _LONGEST:
        return None
    for reason, holds in _REASONS:
        if ((passage.before and passage.after) or reason in _ONE_SIDED) and holds(passage):
            return reason
    return None
