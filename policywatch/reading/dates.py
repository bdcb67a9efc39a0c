"""Dates that a text states, and which of them say when terms take effect or when a right to object ends.

Own patterns, no free reading of language: "may" is no month here, and "within 30 days" is no date. A date means
something only through a cue in its own sentence; without one it is only a date.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

__all__ = ["Dated", "dates_in", "deadline_in", "effective_in", "without_dates"]

_MONTH_NAMES = (
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"]
)  # fmt: skip
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()} | {"sept": 9}
_MONTH = r"(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_DATE = re.compile(
    rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s*,?\s+(?P<year>\d{{4}})\b"
    rf"|\b(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.replace('month', 'month2')},?\s+(?P<year2>\d{{4}})\b"
    r"|\b(?P<year3>20\d\d)-(?P<month3>\d\d)-(?P<day3>\d\d)\b"
    r"|\b(?P<a>\d{1,2})[/.](?P<b>\d{1,2})[/.](?P<year4>20\d\d)\b",
    re.IGNORECASE,
)
_EFFECTIVE = re.compile(
    r"\beffective\b|\b(?:take|takes|taking|took|go|goes|going|come|comes|coming|be|are|is)\s+(?:in(?:to)?\s+)"
    r"(?:effect|force)\b|\btakes?\s+effect\b|\bin\s+effect\b|\b(?:will\s+)?appl(?:y|ies)\s+(?:from|as\s+of|on|starting)\b"
    r"|\b(?:starting|beginning)\s+(?:on\s+|from\s+)?|\b(?:on\s+(?:and|or)\s+after|as\s+of)\b"
    r"|\bwe(?:['’]re|\s+are|\s+will\s+be)\s+(?:updating|changing|making)\b|\bwe\s+will\s+(?:update|change)\b"
    r"|\bwill\s+be\s+(?:updated|changed|replaced)\b",
    re.IGNORECASE,
)
_LAST_UPDATED = re.compile(
    r"\b(?:last\s+(?:updated|modified|revised)|updated\s+on|we\s+updated)\b", re.IGNORECASE
)
_UNTIL = re.compile(r"\b(?:until|by|no\s+later\s+than|before|deadline|prior\s+to)\s*:?\s*$", re.IGNORECASE)
_ACT = re.compile(
    r"\b(?:object|opt(?:ing)?[\s-]?out|accept|agree|terminate|export|download|withdraw|appeal|choose|decide|respond)\b",
    re.IGNORECASE,
)
_PAST, _AHEAD = timedelta(days=400), timedelta(days=1_100)


@dataclass(frozen=True, slots=True)
class Dated:
    """A date, where it stands, and whether day and month could be the other way round."""

    day: date
    start: int
    end: int
    ambiguous: bool


def dates_in(text: str) -> list[Dated]:
    """The dates that `text` states in full, in order."""
    found: list[Dated] = []
    for match in _DATE.finditer(text):
        part = match.groupdict()
        ambiguous = False
        if part["year4"]:
            first, second = int(part["a"]), int(part["b"])
            ambiguous = first <= 12 and second <= 12 and first != second
            day, month = (second, first) if second > 12 else (first, second)
            year = int(part["year4"])
        elif part["year3"]:
            year, month, day = int(part["year3"]), int(part["month3"]), int(part["day3"])
        else:
            name = (part["month"] or part["month2"]).lower()
            month, day = _MONTHS[name], int(part["day"] or part["day2"])
            year = int(part["year"] or part["year2"])
        try:
            found.append(Dated(date(year, month, day), match.start(), match.end(), ambiguous))
        except ValueError:
            continue  # the 31st of a short month is a misprint, not a date
    return found


def without_dates(text: str) -> str:
    """`text` with every date replaced by one mark, to see whether dates alone differ."""
    return _DATE.sub("◷", text)


def effective_in(sentence: str, among: Iterable[Dated], at: date) -> date | None:
    """The day from which changed terms hold, if `sentence` says so of one of `among`.

    "Last updated" counts only where the sentence also speaks of effect. Of several the earliest that is still
    to come, seen from `at`, else the first.
    """
    if not _EFFECTIVE.search(sentence):
        return None
    if _LAST_UPDATED.search(sentence) and not re.search(r"effect|force", sentence, re.IGNORECASE):
        return None
    days = [one.day for one in among if not one.ambiguous and at - _PAST <= one.day <= at + _AHEAD]
    ahead = sorted(day for day in days if day >= at)
    return ahead[0] if ahead else (days[0] if days else None)


def deadline_in(sentence: str, among: Iterable[Dated], at: date) -> date | None:
    """The last day to object, opt out or act otherwise, if `sentence` states it of one of `among`."""
    if not _ACT.search(sentence):
        return None
    for one in among:
        if not one.ambiguous and at <= one.day <= at + _AHEAD and _UNTIL.search(sentence[: one.start]):
            return one.day
    return None
