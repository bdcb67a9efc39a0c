"""Passages that differ between fetches of the same page, and what would take them out.

A passage that is another one at each visit is no policy: a counter, a list of related pages, a token in a link.
Each is shown with a filter that makes the fetches agree, or with a hint for `remove`. Proposals alone: whether
a passage may go is decided by the person who edits the rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from policywatch.reading.alignment import gaps
from policywatch.reading.filters import FILTERS, Filter

__all__ = ["Volatile", "volatile"]

_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_TARGET = re.compile(r"(?<=\]\()[^()\s]{1,4000}(?=\))")
_MARKS = re.compile(r"\\(.)|\[([^\[\]]*)\]\([^()\s]*\)")
_SHOWN = 8  # forms of one passage
_LONGEST = 300  # characters of a form


@dataclass(frozen=True, slots=True)
class Volatile:
    """One passage: `forms` as the fetches show it ('' where it is missing), `section` the headings above it.

    `filter` is the named filter that makes the fetches agree here, '' where none does; then `remove` says in
    words what to cut out. `times` counts the neighbouring fetches between which it differed.
    """

    section: tuple[str, ...]
    forms: tuple[str, ...]
    filter: str
    remove: str
    times: int

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "section": list(self.section),
            "forms": list(self.forms),
            "filter": self.filter,
            "remove": self.remove,
            "times": self.times,
        }


@dataclass(slots=True)
class _Place:
    section: tuple[str, ...]
    forms: list[str]
    filter: str
    last: tuple[str, ...]
    times: int = 1


def volatile(texts: Sequence[str]) -> tuple[Volatile, ...]:
    """What differs between neighbouring texts of one page, in their order; empty where all agree.

    Two texts of one trial show what changes from fetch to fetch; a series from history shows what comes back.
    """
    places: list[_Place] = []
    for before, after in pairwise(texts):
        if before == after:
            continue
        old, new = _lines(before), _lines(after)
        sections = _sections(new)
        for i1, i2, j1, j2 in gaps(old, new):
            pairs = _pairs(old[i1:i2], new[j1:j2])
            for offset, (left, right) in enumerate(pairs):
                section = sections[min(j1 + offset, len(sections) - 1)] if sections else ()
                _note(places, section, left, right)
    return tuple(
        Volatile(one.section, tuple(one.forms), one.filter, "" if one.filter else _hint(one), one.times)
        for one in places
    )


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _pairs(old: list[str], new: list[str]) -> list[tuple[list[str], list[str]]]:
    """As many lines on both sides are passages of their own, one below the other."""
    if len(old) != len(new):
        return [(old, new)]
    return [([left], [right]) for left, right in zip(old, new, strict=True)]


def _sections(lines: Sequence[str]) -> list[tuple[str, ...]]:
    """The headings above each line; a heading stands under itself."""
    found: list[tuple[str, ...]] = []
    above: list[tuple[int, str]] = []
    for line in lines:
        heading = _HEADING.match(line)
        if heading:
            level = len(heading[1])
            above = [*(one for one in above if one[0] < level), (level, _plain(heading[2]))]
        found.append(tuple(words for _, words in above))
    return found


def _note(places: list[_Place], section: tuple[str, ...], old: list[str], new: list[str]) -> None:
    """The place goes on where its last form is the old one; else it is a new one."""
    shown_old, shown_new = _form(old), _form(new)
    proposed = _filter(old, new)
    for place in places:
        if place.last == tuple(old) and place.section == section and place.filter == proposed:
            place.times += 1
            place.last = tuple(new)
            if shown_new not in place.forms and len(place.forms) < _SHOWN:
                place.forms.append(shown_new)
            return
    forms = [shown_old] if shown_old == shown_new else [shown_old, shown_new]
    places.append(_Place(section, forms, proposed, tuple(new)))


def _form(lines: Sequence[str]) -> str:
    text = " / ".join(" ".join(line.split()) for line in lines)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _plain(line: str) -> str:
    return _MARKS.sub(lambda found: found[1] or found[2] or "", line).strip()


def _filter(old: Sequence[str], new: Sequence[str]) -> str:
    """The first filter that makes both sides agree; one that tells less of the page comes later."""
    before, after = "\n".join(old), "\n".join(new)
    for one in FILTERS.values():
        if _through(one, before) == _through(one, after):
            return one.name
    return ""


def _through(one: Filter, text: str) -> list[str]:
    if one.target is not None:
        change = one.target
        text = _TARGET.sub(lambda found: change(found[0]), text)
    if one.text is not None:
        text = one.text(text)
    return _lines(text)


def _hint(place: _Place) -> str:
    shown = next((form for form in place.forms if form), "")
    where = f' under "{place.section[-1]}"' if place.section and place.section[-1] not in shown else ""
    return f'Find the element that holds "{_plain(shown)[:80]}"{where} and name it in `remove`.'
