"""The text of a document out of the texts of its pages, and what it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policywatch.reading.extract import ENGINE

__all__ = ["Part", "compose", "is_comparable", "is_made_of", "origin"]


@dataclass(frozen=True, slots=True)
class Part:
    """A page's text within a document's, and the rule that it was read by."""

    page_id: int
    rule_id: int
    url: str
    text_sha256: bytes


def compose(pages: Sequence[tuple[str, str]]) -> str:
    """One text from (address, text) of each page; the address becomes a heading where there are several."""
    if len(pages) == 1:
        return pages[0][1]
    return "\n\n".join(f"# {url}\n\n{text}" for url, text in pages)


def origin(parts: Sequence[Part]) -> dict[str, Any]:
    """What is stored with a snapshot: who read it, and page, rule and text of each part."""
    return {
        "engine": ENGINE,
        "parts": [[part.page_id, part.rule_id, part.text_sha256.hex()] for part in parts],
    }


def is_made_of(stored: Mapping[str, Any], parts: Sequence[Part]) -> bool:
    """Whether a snapshot of that origin consists of exactly these texts, read by today's engine."""
    return bool(stored == origin(parts))


def is_comparable(stored: Mapping[str, Any], parts: Sequence[Part]) -> bool:
    """Whether a difference to a snapshot of that origin can only be the platform's: same pages, rules, engine."""
    return stored.get("engine") == ENGINE and [one[:2] for one in stored.get("parts", [])] == [
        [part.page_id, part.rule_id] for part in parts
    ]
