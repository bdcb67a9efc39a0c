"""The sentences of a change that are new, gone or reworded, with the words of them that changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from policywatch.domain.changes import Passage, PassageKind, Span

__all__ = ["Statement", "sentences", "statements"]

_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[A-Z0-9\"'“‘(\[•*-])|\n+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|Inc|Ltd|Corp|Co|No|Art|Sec|Mr|Ms|Dr|St|U\.S|U\.K)\.|\b[A-Z]\.)$"
)
_LONGEST = 4_000  # characters of one sentence; what is longer is cut for the rules, never for the reader


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of one side of a passage.

    `changed` are the words of it that differ, joined by blanks; `whole` says that all of it does. `start` is
    where the sentence stands in its side of the passage. `section` is the chain of headings above it: under
    "What we do not allow" a bare noun is a rule.
    """

    passage: int
    side: str
    text: str
    start: int
    changed: str
    whole: bool
    spans: tuple[Span, ...]
    section: tuple[str, ...]


def sentences(text: str) -> list[tuple[int, int]]:
    """Where the sentences of `text` start and end; line breaks end one, common abbreviations do not."""
    found: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        if "\n" not in match.group() and _ABBREVIATION.search(
            text[max(start, match.start() - 8) : match.start()]
        ):
            continue
        end = match.start() + len(match.group().rstrip())
        if text[start:end].strip():
            found.append((start, end))
        start = match.end()
    if text[start:].strip():
        found.append((start, len(text)))
    return found


def statements(index: int, passage: Passage) -> Iterator[Statement]:
    """The changed sentences of one passage, old side first. A moved or renumbered passage has none."""
    if passage.kind in (PassageKind.MOVED, PassageKind.RENUMBERED):
        return
    for side, text, spans in (
        ("-", passage.before, passage.before_spans),
        ("+", passage.after, passage.after_spans),
    ):
        if not text:
            continue
        whole = passage.kind in (PassageKind.ADDED, PassageKind.REMOVED)
        for start, end in sentences(text):
            within = tuple(span for span in spans if span.start < end and span.end > start)
            if not whole and not within:
                continue
            sentence = text[start:end][:_LONGEST]
            parts = [text[max(start, span.start) : min(end, span.end)] for span in within]
            changed = sentence if whole else " ".join(parts)[:_LONGEST]
            all_new = whole or len(changed) >= 0.8 * len(sentence)
            yield Statement(index, side, sentence, start, changed, all_new, within, passage.section)
