"""Named filters that an extraction rule may ask for; declared by name in the YAML, never code from outside.

A filter changes a link target, the words of one element, or the finished text. A name that is not here is an
error, so that a typing mistake never silently reads a page differently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from policywatch.errors import UsageError
from policywatch.reading import links, noise

__all__ = ["FILTERS", "Filter", "chosen"]


@dataclass(frozen=True, slots=True)
class Filter:
    """What one filter does. Parts that it leaves alone are None.

    `target` turns a link target into another; `words` turns an element's attributes into the words that a
    visitor sees in its place (or None to leave the element alone); `text` turns the finished text.
    """

    name: str
    purpose: str
    target: Callable[[str], str] | None = None
    words: Callable[[dict[str, str | None]], str | None] | None = None
    text: Callable[[str], str] | None = None


_PROTECTED = re.compile(r"(?:[0-9a-fA-F]{2}){3,200}")


def _protected_address(attributes: dict[str, str | None]) -> str | None:
    """The address that an obfuscating front end hides as hexadecimal, each byte mixed with the first."""
    hidden = attributes.get("data-cfemail")
    if not hidden or not _PROTECTED.fullmatch(hidden):
        return None
    key, *mixed = bytes.fromhex(hidden)
    return bytes(byte ^ key for byte in mixed).decode("utf-8", "replace")


def _without_relative_times(text: str) -> str:
    return "\n".join(noise.drop_relative_times(line) for line in text.split("\n"))


FILTERS: dict[str, Filter] = {
    one.name: one
    for one in (
        Filter(
            "strip_tracking_parameters",
            "drop the parameters of a link that name a visit, not a page",
            target=links.strip_tracking,
        ),
        Filter(
            "unwrap_redirectors",
            "follow links through a redirecting address on paper, without fetching it",
            target=links.unwrap,
        ),
        Filter(
            "decode_protected_addresses",
            "show e-mail addresses that the page hides from programs",
            words=_protected_address,
        ),
        Filter(
            "drop_relative_times",
            'drop "3 days ago", reading times and counters',
            text=_without_relative_times,
        ),
    )
}


def chosen(names: Iterable[str]) -> tuple[Filter, ...]:
    """The filters of these names, in order. Raises UsageError for a name that is none."""
    found: list[Filter] = []
    for name in names:
        if name not in FILTERS:
            raise UsageError(
                f'There is no filter named "{name}".', remedy=f"Filters are: {', '.join(sorted(FILTERS))}."
            )
        found.append(FILTERS[name])
    return tuple(found)
