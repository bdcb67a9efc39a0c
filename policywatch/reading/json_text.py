"""The text of a JSON answer: the values that paths name, in the order in which the answer holds them.

A path is `$` followed by steps: `.name`, `['any name']`, `[0]` (`[-1]` is the last), `.*` or `[*]` (each). It
names values; a list or an object is read whole, texts and numbers alike. Nothing else of JSONPath is there: no
search in all depths, no conditions. Numbers stand as the answer writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from policywatch.reading.rules import ExtractionError

__all__ = ["Path", "is_path", "parsed_path", "values"]

_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_][A-Za-z0-9_-]{0,199})|\[(?P<index>-?[0-9]{1,9})\]|\[(?P<quote>['"])(?P<quoted>[^'"\]]{1,200})(?P=quote)\]"""
    r"""|(?P<each>\.\*|\[\*\])"""
)
_LONGEST = 1_000
_WORDS = {True: "true", False: "false"}


class _Each:
    """The step `[*]`."""


_EACH = _Each()
_Key = str | int | _Each


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path; `written` is how the rule writes it."""

    written: str
    steps: tuple[_Key, ...]


class _Number(str):
    """A number as it is written: 1.10 and 1.1 are not the same text."""

    __slots__ = ()


def is_path(part: object) -> bool:
    """Whether a part of a rule is a JSON path and no CSS selector."""
    return isinstance(part, str) and part.startswith("$")


def parsed_path(written: str) -> Path:
    """The steps of a path. Raises ExtractionError (`selector`) where it is none."""
    steps: list[_Key] = []
    place = 1
    while place < len(written) <= _LONGEST and (found := _STEP.match(written, place)):
        place = found.end()
        if found["each"]:
            steps.append(_EACH)
        elif found["index"]:
            steps.append(int(found["index"]))
        else:
            steps.append(found["name"] or found["quoted"])
    if not written.startswith("$") or place != len(written):
        raise ExtractionError(
            f'"{written[:200]}" is no path into a JSON answer.',
            remedy="Write it like $.data.sections[*].body; the documentation of settings lists the steps.",
            code="selector",
        )
    return Path(written, tuple(steps))


def values(source: str, select: Sequence[Path], remove: Sequence[Path] = ()) -> list[str]:
    """The selected values as texts, in the answer's order. Raises ExtractionError (`broken`, `no_match`)."""
    try:
        root = json.loads(
            source, parse_int=_Number, parse_float=_Number, parse_constant=_refused, object_pairs_hook=_object
        )
    except RecursionError:
        raise _broken("it is nested too deeply") from None
    except ValueError:
        raise _broken("it is no valid JSON") from None
    chosen = _marked(root, select)
    if not chosen:
        raise ExtractionError(
            f"Nothing in the JSON answer matches {', '.join(path.written for path in select)}.",
            remedy="Look at the answer and correct `select` of the rule.",
            code="no_match",
        )
    return list(_texts(root, chosen, _marked(root, remove)))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError  # of two equal keys one would be lost without a word
    return found


def _refused(_: str) -> NoReturn:
    raise ValueError


def _broken(why: str) -> ExtractionError:
    return ExtractionError(
        f"The JSON answer cannot be read: {why}.",
        remedy="Look at the address; if it stays so, correct it in the settings.",
        code="broken",
    )


_Place = tuple[str | int, ...]


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _marked(root: Any, paths: Sequence[Path]) -> set[_Place]:
    """Where the values stand that the paths name."""
    found: set[_Place] = set()
    for path in paths:
        level: list[tuple[_Place, Any]] = [((), root)]
        for step in path.steps:
            level = [one for place, value in level for one in _stepped(place, value, step)]
        found.update(place for place, value in level if value is not None)
    return found


def _stepped(place: _Place, value: Any, step: _Key) -> Iterator[tuple[_Place, Any]]:
    if isinstance(step, _Each):
        yield from (((*place, key), child) for key, child in _children(value))
    elif isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield (*place, step), value[step]
    elif isinstance(value, list):
        index = step if step >= 0 else len(value) + step
        if 0 <= index < len(value):
            yield (*place, index), value[index]


def _texts(root: Any, chosen: set[_Place], removed: set[_Place]) -> Iterator[str]:
    """Texts at or below a chosen place and not at or below a removed one; no recursion."""
    stack: list[tuple[_Place, Any, bool]] = [((), root, False)]
    while stack:
        place, value, inside = stack.pop()
        if place in removed:
            continue
        inside = inside or place in chosen
        if isinstance(value, dict | list):
            below = [((*place, key), child, inside) for key, child in _children(value)]
            stack.extend(reversed(below))
        elif inside and isinstance(value, bool):
            yield _WORDS[value]
        elif inside and isinstance(value, str):
            yield value
