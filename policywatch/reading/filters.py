"""Named filters that an extraction rule may ask for; declared by name in the YAML, never code from outside.

A filter changes a link target, the words of one element, or the finished text. A name that is not here is an
error, so that a typing mistake never silently reads a page differently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from policywatch.errors import UsageError
from policywatch.reading import furniture, links, noise, typography

__all__ = ["FILTERS", "Change", "Filter", "chosen"]

Change = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Filter:
    """What one filter does. Parts that it leaves alone are None.

    `target` turns a link target into another ('' unlinks the words); `words` turns an element's attributes into the words that a
    visitor sees in its place (or None to leave the element alone); `text` turns the finished text.
    """

    name: str
    purpose: str
    target: Change | None = None
    words: Callable[[dict[str, str | None]], str | None] | None = None
    text: Change | None = None


_PROTECTED = re.compile(r"(?:[0-9a-fA-F]{2}){3,200}")


def _protected_address(attributes: dict[str, str | None]) -> str | None:
    """The address that an obfuscating front end hides as hexadecimal, each byte mixed with the first."""
    hidden = attributes.get("data-cfemail")
    if not hidden or not _PROTECTED.fullmatch(hidden):
        return None
    key, *mixed = bytes.fromhex(hidden)
    return bytes(byte ^ key for byte in mixed).decode("utf-8", "replace")


def _unlinked(_: str) -> str:
    return ""


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
        Filter(
            "drop_links",
            "keep the words of a link and drop its target, where each visit has another one",
            target=_unlinked,
        ),
        Filter(
            "drop_counters",
            "drop lines that hold only numbers of views, likes, comments and the like, or reading times",
            text=furniture.drop_counters,
        ),
        Filter(
            "drop_buttons",
            'drop lines that are buttons and boxes of the page: "Back to top", "Copy link", "Was this helpful?"',
            text=furniture.drop_buttons,
        ),
        Filter(
            "drop_related_content",
            'drop "Related articles" and its like: such a heading with all that stands below it',
            text=furniture.drop_related,
        ),
        Filter(
            "drop_language_menus",
            "drop menus of languages: four or more lines in a row that each name a language",
            text=furniture.drop_languages,
        ),
        Filter(
            "normalise_quotes",
            "write quotation marks, apostrophes and dashes in one form each",
            text=typography.plain_quotes,
        ),
        Filter(
            "normalise_spaces",
            "drop letters without width, write special spaces as plain ones",
            text=typography.plain_spaces,
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
