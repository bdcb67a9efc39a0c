"""Numbers with a unit: periods, ages, shares, amounts, thresholds; and how they changed."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

__all__ = ["Measure", "changed_measures", "measures"]

_WORDS = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
} | {"thirty": 30, "forty": 40, "forty-five": 45, "sixty": 60, "ninety": 90}
_NUMBER = r"(?:\d[\d,]{0,20}(?:\.\d{1,9})?|" + "|".join(sorted(_WORDS, key=len, reverse=True)) + r")"
_UNITS = (
    r"seconds?|minutes?|hours?|(?:calendar\s+|business\s+|working\s+)?days?|weeks?|months?|years?(?:\s+(?:old|of\s+age))?|"
    r"per\s?cent|%|followers?|subscribers?|views?|posts?|replies|strikes?|warnings?|users?|accounts?|characters?|"
    r"dollars?|euros?|usd|eur|gbp|rounds?|times|hours?\s+of\s+watch\s+time|percentage\s+points?"
)
_MEASURE = re.compile(
    rf"(?P<sign>[$€£])\s?(?P<amount>\d[\d,]{{0,20}}(?:\.\d{{1,9}})?)"
    rf"|\b(?P<number>{_NUMBER})(?:\s*\(\d+\))?[\s-]*(?P<unit>{_UNITS})(?!\w)"
    rf"|\b(?:age|aged|age\s+of|under|over|least)\s+(?P<age>\d{{1,2}})\b(?![.,]\d)(?!\s*(?:{_UNITS}))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with its unit (singular, lower case), and the words that state it."""

    value: float
    unit: str
    start: int
    end: int

    def quote(self, text: str) -> str:
        """The words in the text it was found in."""
        return text[self.start : self.end]


def measures(text: str) -> list[Measure]:
    """The numbers with a unit in `text`, in order."""
    found: list[Measure] = []
    for match in _MEASURE.finditer(text):
        if match["sign"]:
            written, unit = match["amount"], match["sign"]
        elif match["age"]:
            written, unit = match["age"], "age"
        else:
            written, unit = match["number"], _singular(match["unit"])
        value = _WORDS.get(written.lower())
        found.append(
            Measure(
                float(written.replace(",", "")) if value is None else value, unit, match.start(), match.end()
            )
        )
    return found


def _singular(unit: str) -> str:
    unit = " ".join(unit.lower().split())
    if unit in ("percent", "per cent"):
        return "%"
    if unit.startswith("year") and unit != "years" and unit != "year":
        return "age"
    return unit.rstrip("s")


def changed_measures(before: str, after: str) -> list[tuple[Measure, Measure]]:
    """Pairs of one unit whose value differs between the two texts, in order."""
    old, new = measures(before), measures(after)
    if not old or not new:
        return []
    gone = Counter((one.unit, one.value) for one in old) - Counter((one.unit, one.value) for one in new)
    come = Counter((one.unit, one.value) for one in new) - Counter((one.unit, one.value) for one in old)
    left = [one for one in old if (one.unit, one.value) in gone]
    right = [one for one in new if (one.unit, one.value) in come]
    pairs: list[tuple[Measure, Measure]] = []
    for one in left:
        partner = next((other for other in right if other.unit == one.unit), None)
        if partner is not None:
            right.remove(partner)
            pairs.append((one, partner))
    return pairs
