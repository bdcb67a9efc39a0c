"""Which words differ between two versions of one block."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz.distance import Indel

from policywatch.domain.changes import Span
from policywatch.reading.alignment import gaps
from policywatch.reading.typography import unify

__all__ = ["count_words", "differing_spans", "tokens"]

# Words keep their apostrophe, numbers their points and commas ("don't", "$1,000.50" is "$" and "1,000.50").
_TOKEN = re.compile(r"\d+(?:[.,]\d+)+|\w+(?:['’]\w+)*|[^\w\s]|\s+")
_WORD = re.compile(r"\w+(?:['’.,]\w+)*")
_PRODUCT_LIMIT = 4_000_000  # token pairs; beyond it the exact method costs more memory than it is worth
_GLUE = 3  # letters of a word that two edits swallow between them, so that edits read as phrases

_Edit = tuple[int, int, int, int]


def tokens(text: str) -> list[str]:
    """Words, marks and white space of `text`, in order; joined again they are `text`."""
    return _TOKEN.findall(text)


def count_words(text: str) -> int:
    """Words and numbers in `text`."""
    return sum(1 for _ in _WORD.finditer(text))


def differing_spans(before: str, after: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The spans of `before` that are gone and the spans of `after` that are new."""
    old, new = tokens(before), tokens(after)
    old_keys, new_keys = _keys(old), _keys(new)
    edits = _joined(_edits(old_keys, new_keys), old_keys)
    old_at, new_at = _offsets(old), _offsets(new)
    return (
        _spans(old, old_at, [(i1, i2) for i1, i2, _, _ in edits]),
        _spans(new, new_at, [(j1, j2) for _, _, j1, j2 in edits]),
    )


def _keys(parts: list[str]) -> list[str]:
    """What is compared: any white space is equal to any other, and typography is in one form."""
    return [" " if part.isspace() else part if part.isascii() else unify(part) for part in parts]


def _edits(old: Sequence[str], new: Sequence[str]) -> list[_Edit]:
    head = 0
    shorter = min(len(old), len(new))
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    left, right = old[head : len(old) - tail], new[head : len(new) - tail]
    if not left and not right:
        return []
    if len(left) * len(right) > _PRODUCT_LIMIT:
        return [(i1 + head, i2 + head, j1 + head, j2 + head) for i1, i2, j1, j2 in gaps(left, right)]
    edits: list[_Edit] = []
    for code in Indel.opcodes(left, right):
        if code.tag == "equal":
            continue
        edit = (code.src_start + head, code.src_end + head, code.dest_start + head, code.dest_end + head)
        if edits and edits[-1][1] == edit[0] and edits[-1][3] == edit[2]:
            edits[-1] = (edits[-1][0], edit[1], edits[-1][2], edit[3])
        else:
            edits.append(edit)
    return edits


def _joined(edits: list[_Edit], old: Sequence[str]) -> list[_Edit]:
    """Edits with next to nothing between them become one."""
    joined: list[_Edit] = []
    for edit in edits:
        if joined:
            last = joined[-1]
            between = [token for token in old[last[1] : edit[0]] if token[:1].isalnum()]
            if not between or (len(between) == 1 and len(between[0]) <= _GLUE):
                joined[-1] = (last[0], edit[1], last[2], edit[3])
                continue
        joined.append(edit)
    return joined


def _offsets(parts: Sequence[str]) -> list[int]:
    offsets = [0]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return offsets


def _spans(parts: Sequence[str], offsets: list[int], ranges: list[tuple[int, int]]) -> tuple[Span, ...]:
    """Token ranges as character spans, without the white space at their ends."""
    spans: list[Span] = []
    for start, end in ranges:
        while start < end and parts[start].isspace():
            start += 1
        while start < end and parts[end - 1].isspace():
            end -= 1
        if start < end:
            spans.append(Span(offsets[start], offsets[end]))
    return tuple(spans)
