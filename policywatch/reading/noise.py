"""Why a difference is none: the named kinds of noise, and the masks that prove them.

Noise is never dropped: it gets its name and is kept. What is decided here needs the two texts alone; that a
capture failed or came in another language is the business of the capture's quality.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from policywatch.domain.changes import NoiseKind, Passage, PassageKind
from policywatch.reading.typography import squeeze, unify

__all__ = ["drop_relative_times", "kind_of_equal_words", "kind_of_passages", "without_relative_times"]

_TARGETS = re.compile(
    r"\]\(\s*(?:<[^<>\n]*>|(?:[^()\s\\]|\\.|\([^()\s]*\))*)(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?\s*\)"
    r"|<?https?://[^\s<>\"')\]|]+>?"
)

_LONGEST = 60_000  # characters; some pages put all of their text and their counters into one line
_COUNT = r"(?:\d{1,9}(?:[.,]\d{1,9}){0,3}\s*[kKmM]?|an?|one|two|three|few)"
_UNIT = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|wks?|months?|mos?|years?|yrs?|[smhdwy])"
_WHEN = r"(?:(?:last\s+)?(?:updated|modified|edited|posted|reviewed)\s*:?\s*)"
_RELATIVE = re.compile(
    rf"{_WHEN}?(?:(?:about|over|almost|more than)\s+)?\b{_COUNT}\s*{_UNIT}\s+ago\b"
    rf"|\b{_WHEN}(?:today|yesterday)\b"
    rf"|\bjust now\b"
    rf"|\b\d+\s+min(?:ute)?s?\s+read\b"
    rf"|\b\d+(?:\.\d+)?[KM]?\s*views(?=last updated)|\bviews:\s*\d+(?:\.\d+)?[KM]?(?=last updated)"
    rf"|\b\d{{1,2}}:\d\d(?::\d\d)?\s*/\s*\d{{1,2}}:\d\d(?::\d\d)?"
    rf"|(?:©|\(c\)|\bcopyright)\s*(?:©\s*)?\d{{4}}(?:\s*-\s*\d{{4}})?",
    re.IGNORECASE,
)
# A counter is noise only where the line holds nothing else: "you need 1,000 followers" is a threshold.
_COUNTED = r"(?:views?|likes?|comments?|members?|answers?|followers?|replies|reactions?|shares?)"
_COUNTER = re.compile(
    rf"(?:\s*(?:\d{{1,9}}(?:[.,]\d{{1,9}}){{0,3}}\s*[kKmM]?\s*{_COUNTED}|{_COUNTED}:?\s*\d{{1,9}}(?:[.,]\d{{1,9}}){{0,3}}\s*[kKmM]?)\s*[·*|,-]?)+\s*",
    re.IGNORECASE,
)
_MASKED = "[email protected]"
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,4}")
# Lines around a text that belong to the page. Whole lines only: no sentence of a policy reads like this.
_LANGUAGES = (
    r"english|deutsch|fran[cç]ais|espa[nñ]ol|italiano|portugu[eê]s|polski|türkçe|nederlands|svenska|dansk|norsk|suomi|"
    r"român[aă]|čeština|magyar|ελληνικά|русский|українська|العربية|עברית|中文|日本語|한국어|tiếng việt|bahasa \w+|"
    r"kurdî|kurmancî|shqip|bosanski|hrvatski|bulgarian|croatian|danish"
)
_FURNITURE = re.compile(
    rf"have a moment\?|tell us how we're doing|take (?:the )?survey|share this article|copy link|play video|close|"
    rf"feedback|more help|post|ctrl\+\w|was this (?:page |article |information )?helpful\?|yes|no|return to top|"
    rf"back to top|related articles|other ways to get help|i have a different question|request user information|"
    rf"submit an emergency request|preserve account records|staying safe|more languages\.*|search|menu|"
    rf"(?:{_LANGUAGES})(?: ?\([^()]{{1,30}}\))?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+|\n")


def without_relative_times(text: str) -> str:
    """`text` with "3 days ago", counters, player times and copyright years replaced by one mark.

    "Within 30 days" stays: a period that binds somebody is no relative time.
    """
    if len(text) > _LONGEST:
        return text
    text = unify(text)
    return "⧗" if _COUNTER.fullmatch(text) else _RELATIVE.sub("⧗", text)


def drop_relative_times(line: str) -> str:
    """One line without "3 days ago", reading times and counters; nothing else of it is touched."""
    if len(line) > _LONGEST:
        return line
    if _COUNTER.fullmatch(line):
        return ""
    return _RELATIVE.sub("", line).rstrip() if _RELATIVE.search(line) else line


def _blank_targets(text: str) -> str:
    return squeeze(_TARGETS.sub("⟶", text))


def kind_of_equal_words(before: str, after: str) -> NoiseKind:
    """The noise of two texts whose words are equal to a reader: link targets alone, or mark-up too."""
    old, new = before.split("\n"), after.split("\n")
    # Only lines that are not in both texts need the mask; the others are equal as they are.
    both = set(old) & set(new)
    masked_old = [_blank_targets(raw) for raw in old if raw not in both]
    masked_new = [_blank_targets(raw) for raw in new if raw not in both]
    if "".join(masked_old) != "".join(masked_new):
        return NoiseKind.MARKUP
    blank_old = [squeeze(raw) for raw in old if raw not in both]
    blank_new = [squeeze(raw) for raw in new if raw not in both]
    return NoiseKind.MARKUP if "".join(blank_old) == "".join(blank_new) else NoiseKind.LINK_TARGETS


def kind_of_passages(passages: tuple[Passage, ...], *, moved_home: bool, repeated: bool) -> NoiseKind:
    """The noise that these passages are, taken together; none where one of them is a real change.

    `moved_home`: each moved passage still stands under the heading it stood under. A rule that moves under
    another heading ("What we remove", "What we limit") says something else, so that is no noise. `repeated`:
    all that came stood there before, all that went still stands there.
    """
    if not passages:
        return NoiseKind.MARKUP
    if repeated:
        return NoiseKind.DUPLICATE
    if all(_only_list_style(passage) for passage in passages):
        return NoiseKind.MARKUP
    if all(_only_relative_times(passage) for passage in passages):
        return NoiseKind.RELATIVE_TIME
    if all(_only_masked_addresses(passage) for passage in passages):
        return NoiseKind.MARKUP
    if all(_is_furniture(passage) for passage in passages):
        return NoiseKind.NAVIGATION
    if moved_home and _only_reordered(passages):
        return NoiseKind.REORDERED
    return NoiseKind.NONE


def _is_furniture(passage: Passage) -> bool:
    text = passage.before + passage.after
    return len(text) <= 80 and _FURNITURE.fullmatch(unify(text)) is not None


def _only_list_style(passage: Passage) -> bool:
    """Numbers that came or went as a whole are the style of a list; other numbers are an edit."""
    return passage.kind is PassageKind.RENUMBERED and (
        passage.before.endswith(passage.after) or passage.after.endswith(passage.before)
    )


def _only_relative_times(passage: Passage) -> bool:
    if passage.kind in (PassageKind.MOVED, PassageKind.RENUMBERED):
        return False
    old = squeeze(without_relative_times(passage.before)).replace("⧗", "")
    new = squeeze(without_relative_times(passage.after)).replace("⧗", "")
    return old == new


def _only_masked_addresses(passage: Passage) -> bool:
    """An e-mail address that is hidden from programs on one side and shown on the other."""
    if (_MASKED in passage.before) == (_MASKED in passage.after):
        return False
    if max(len(passage.before), len(passage.after)) > _LONGEST:
        return False
    old, new = (_ADDRESS.sub("✉", text.replace(_MASKED, "✉")) for text in (passage.before, passage.after))
    return squeeze(unify(old)) == squeeze(unify(new))


def _sentences(text: str) -> Iterable[str]:
    return (squeeze(unify(part)) for part in _SENTENCE_END.split(text) if part and not part.isspace())


def _only_reordered(passages: Iterable[Passage]) -> bool:
    """Whether the same sentences stand in another order, each still under the heading it stood under."""
    old: Counter[tuple[str, str]] = Counter()
    new: Counter[tuple[str, str]] = Counter()
    for passage in passages:
        if passage.kind is PassageKind.MOVED:
            continue
        heading = passage.section[-1] if passage.section else ""
        old.update((heading, sentence) for sentence in _sentences(passage.before))
        new.update((heading, sentence) for sentence in _sentences(passage.after))
    return old == new
