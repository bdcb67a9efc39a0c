"""Selectors that will break soon: made by a build tool, or saying only where an element stands.

A warning and no error: some pages offer nothing better. Whether a selector matches is said by a trial.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from policywatch.reading.json_text import is_path
from policywatch.reading.rules import Range, Rule

__all__ = ["Fragile", "fragile", "is_generated"]


@dataclass(frozen=True, slots=True)
class Fragile:
    """A selector and why it will not last: `kind` is `generated` or `position`."""

    selector: str
    kind: str
    why: str
    remedy: str


_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_NAME = re.compile(r"[.#](-?[A-Za-z_][\w-]*)")
_ATTRIBUTE = re.compile(
    r"\[\s*(class|id|data-[\w-]+)\s*[~|^$*]?=\s*[\"']?([^\"'\]]+)[\"']?\s*(?:[is]\s*)?\]", re.IGNORECASE
)
_ANY_ATTRIBUTE = re.compile(r"\[[^\]]*\]")
_POSITION = re.compile(r":(?:nth-|first-|last-|only-)[a-z-]+", re.IGNORECASE)
_COMBINATOR = re.compile(r"\s*[>+~]\s*|\s+")
_PLAIN_TAGS = frozenset({"div", "span", "p", "section", "td", "tr", "table", "tbody", "ul", "li", "a", "*"})
# What build tools write. Each family as it is known to look; a plain word is never one of them.
_GENERATED = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:css|sc|jss|jsx|emotion|svelte|tw|astro|style|styled|ng-tns-c|ng-c|v|data-v)-?(?=[\w-]*\d)[A-Za-z0-9]{4,}(?:-\d+)?",
        r"(?:sc|css)-[a-z]*[A-Z][A-Za-z]{2,}",  # styled-components without a digit: sc-bdVaJa
        r"[\w-]+?_{1,2}(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{5,8}",  # CSS modules: Terms_body__x1Y2z
        r"_[a-z0-9]{0,3}\d[a-z0-9_-]{0,6}",  # _4-u2, _2yq
        r"x(?=[a-z0-9]*\d)[a-z0-9]{5,9}",  # atomic classes: x1lliihq
        r"[a-z]{1,2}",  # minified: .bh
        r"(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{6,}",
        r"[A-Za-z]{1,3}\d{4,}",
        r"[a-z]\d{2}__?",  # u11__
    )
)
_WORDS = frozenset(
    {
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "en",
        "de",
        "fr",
        "es",
        "it",
        "ad",
        "to",
        "of",
        "in",
        "js",
        "no",
        "qa",
        "ui",
        "bd",
        "ft",
        "hd",
        "eu",
    }
)


def is_generated(name: str) -> bool:
    """Whether a class or id looks as if a build tool had made it, anew with each release."""
    return name not in _WORDS and any(pattern.fullmatch(name) for pattern in _GENERATED)


def fragile(rule: Rule) -> tuple[Fragile, ...]:
    """The selectors of a rule that will not last, each once, in the order of the rule."""
    found: dict[str, Fragile] = {}
    for part in _selectors((*rule.select, *rule.remove)):
        if part not in found and (one := _fragile(part)):
            found[part] = one
    return tuple(found.values())


def _selectors(parts: Iterable[str | Range]) -> Iterable[str]:
    for part in parts:
        if isinstance(part, Range):
            yield from part.to_json().values()
        elif not is_path(part):
            yield part


def _fragile(selector: str) -> Fragile | None:
    names = [name for name in _named(selector) if is_generated(name)]
    if names:
        return Fragile(
            selector,
            "generated",
            f'"{names[0]}" looks made by a build tool; it changes with each release of the page.',
            "Name an id, a role, a landmark such as main, or an attribute that says what it is.",
        )
    if all(_only_position(one) for one in selector.split(",")):
        return Fragile(
            selector,
            "position",
            f'"{selector[:80]}" says only where an element stands; one box more on the page and it reads another.',
            "Name what the element is: an id, a class of the platform's own, a landmark such as main.",
        )
    return None


def _named(selector: str) -> list[str]:
    names = [word for _, value in _ATTRIBUTE.findall(selector) for word in value.split()]
    bare = _QUOTED.sub("", _ANY_ATTRIBUTE.sub("", selector))
    return [*_NAME.findall(bare), *names]


def _only_position(selector: str) -> bool:
    selector = selector.strip()
    if not selector or _ANY_ATTRIBUTE.search(selector) or _NAME.search(_POSITION.sub("", selector)):
        return False
    steps = [step for step in _COMBINATOR.split(re.sub(r"\([^()]*\)", "", selector)) if step]
    if any(_POSITION.search(step) for step in steps):
        return True
    return len(steps) > 1 and all(step.partition(":")[0].lower() in _PLAIN_TAGS for step in steps)
