"""What an edit of the settings changed, key by key, fit for an audit row: bounded, without anybody's address.

Secrets stand in the settings by name alone, and passwords in connection strings are masked already.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policywatch.settings.load import effective
from policywatch.settings.model import Settings

__all__ = ["NEEDS_RESTART", "Difference", "difference", "kept_until_restart", "masked"]

#: Sections that the daemon takes at its start: its database, and the address that it serves its figures at.
NEEDS_RESTART = ("database", "metrics")

_LONGEST = 400  # characters of one value
_MOST = 100  # keys of one row
_ADDRESS = re.compile(r"[^\s@\"'<>,;:()\[\]/]+@[^\s@\"'<>,;()\[\]/]+(?<![.:!?])")


@dataclass(frozen=True, slots=True)
class Difference:
    """One key with its value before and after; None: it was not there."""

    key: str
    before: Any
    after: Any


def masked(text: str) -> str:
    """The text with every mail address taken out."""
    return _ADDRESS.sub("(address)", text)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """The keys of two `effective()` that differ, as `mail.port`, in their order; the last one counts what is left out."""
    found = list(_walk("", before, after))
    if len(found) > _MOST:
        rest = len(found) - _MOST
        found = [*found[:_MOST], Difference(f"and {rest} more keys", None, None)]
    return tuple(found)


def kept_until_restart(running: Settings, wanted: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The wanted settings as a running daemon can follow them, and the keys for which it needs a restart."""
    followed = wanted.model_copy(update={name: getattr(running, name) for name in NEEDS_RESTART})
    return followed, tuple(one.key for one in difference(effective(followed), effective(wanted)))


def _walk(place: str, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*after, *(key for key in before if key not in after)]:
            yield from _walk(f"{place}.{key}" if place else str(key), before.get(key), after.get(key))
        return
    yield Difference(place, _told(before), _told(after))


def _told(value: Any) -> Any:
    """The value as it may be kept: masked, and no longer than a line or two."""
    if isinstance(value, str):
        value = masked(value)
    elif isinstance(value, Mapping | Sequence):
        value = json.loads(masked(json.dumps(value, ensure_ascii=False)))
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= _LONGEST:
        return value
    if isinstance(value, Mapping | list):
        return f"({len(value)} {'keys' if isinstance(value, Mapping) else 'entries'})"
    return text[: _LONGEST - 3] + "..."
