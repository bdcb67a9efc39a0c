"""The text of a document out of the texts of its pages, and what it was made from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policywatch.domain.changes import Comparison
from policywatch.reading.extract import ENGINE

__all__ = [
    "Composed",
    "Part",
    "compose",
    "differing_pages",
    "is_comparable",
    "is_made_of",
    "origin",
    "stands_in",
]


@dataclass(frozen=True, slots=True)
class Part:
    """A page's text within a document's, with the rule and the step of the ladder that it was read by."""

    page_id: int
    rule_id: int
    url: str
    text_sha256: bytes
    step: str = "http"


@dataclass(frozen=True, slots=True)
class Composed:
    """A document as one visit found it.

    `texts` by page. `fresh` are the pages that this visit itself read; for the others their last good text stands
    in, and a page that was never good is no part at all. `total` counts the declared pages. `hashes` of the whole
    text (what a reader reads, where the links lead), where they are known already.
    """

    parts: tuple[Part, ...]
    texts: Mapping[int, str]
    fresh: frozenset[int]
    total: int
    hashes: tuple[bytes, bytes] | None = None

    @property
    def text(self) -> str:
        """The one text."""
        return compose([(part.url, self.texts[part.page_id]) for part in self.parts])

    @property
    def partial(self) -> bool:
        """Whether some declared page was not read by this visit."""
        return len(self.fresh) < self.total


def compose(pages: Sequence[tuple[str, str]]) -> str:
    """One text from (address, text) of each page; the address becomes a heading where there are several."""
    if len(pages) == 1:
        return pages[0][1]
    return "\n\n".join(f"# {url}\n\n{text}" for url, text in pages)


def origin(parts: Sequence[Part], *, judged: int | None = None, total: int | None = None) -> dict[str, Any]:
    """What is stored with a snapshot: who read it, page, rule and text of each part, and how many pages were judged."""
    return {
        "engine": ENGINE,
        "parts": _parts(parts),
        "judged": len(parts) if judged is None else judged,
        "pages": len(parts) if total is None else total,
    }


def is_made_of(stored: Mapping[str, Any], parts: Sequence[Part]) -> bool:
    """Whether a snapshot of that origin consists of exactly these texts, read by today's engine."""
    return bool(stored.get("engine") == ENGINE and stored.get("parts") == _parts(parts))


def is_comparable(stored: Mapping[str, Any], parts: Sequence[Part]) -> bool:
    """Whether a difference to a snapshot of that origin can only be the platform's: same pages, rules, steps, engine."""
    return stored.get("engine") == ENGINE and [_way(one) for one in stored.get("parts", [])] == [
        _way(one) for one in _parts(parts)
    ]


def differing_pages(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[int]:
    """The pages whose texts differ between two origins."""
    texts = [{part[0]: part[2] for part in stored.get("parts", [])} for stored in (one, other)]
    return {page for page in {*texts[0], *texts[1]} if texts[0].get(page) != texts[1].get(page)}


def stands_in(comparison: Comparison, text: str) -> bool:
    """Whether a text that another program wrote down says all that changed already."""
    page = _plain(text)
    for passage in comparison.passages:
        before, after = _plain(passage.before), _plain(passage.after)
        if after not in page or (before and before not in after and before in page):
            return False
    return True


def _plain(text: str) -> str:
    """Words alone, without where links lead, since two programs write down the same page differently."""
    return " ".join(re.findall(r"\w+", re.sub(r"\]\([^)]*\)", "]", text).casefold()))


def _parts(parts: Sequence[Part]) -> list[list[Any]]:
    """Page, rule, text; and the step where it is not plain HTTP."""
    return [
        [part.page_id, part.rule_id, part.text_sha256.hex(), *([part.step] if part.step != "http" else [])]
        for part in parts
    ]


def _way(stored: Sequence[Any]) -> list[Any]:
    """How a part was read: page, rule and step, without the text."""
    return [*stored[:2], *stored[3:]]
