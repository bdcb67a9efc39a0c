"""A change as rows of text: passages under their headings, `-` before and `+` after, words marked, wrapped.

Nothing is drawn here. Texts are foreign: they are cleaned piece by piece, so that a mark that makes a text
longer does not shift the spans behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import get_character_cell_size

from policywatch.domain.changes import Passage, PassageKind, Span
from policywatch_tui.desk.clean import clean, clean_lines
from policywatch_tui.desk.fmt import cut
from policywatch_tui.desk.line import BLANK, Line, Look, cells

__all__ = ["DiffView", "laid_out", "pieces", "wrapped"]

_KIND = {
    PassageKind.MOVED: "moved",
    PassageKind.MOVED_CHANGED: "moved and changed",
    PassageKind.RENUMBERED: "renumbered",
    PassageKind.SPLIT: "split",
    PassageKind.MERGED: "merged",
}
_LOOKS = {"-": (Look.REMOVED, Look.REMOVED_MARK), "+": (Look.ADDED, Look.ADDED_MARK)}
_GUTTER = 2


@dataclass(frozen=True, slots=True)
class DiffView:
    """The rows, and the row on which each passage begins."""

    rows: tuple[Line, ...]
    starts: tuple[int, ...]

    def passage_at(self, row: int) -> int:
        """The number of the passage that a row belongs to, from 0; -1 before the first."""
        number = -1
        for place, start in enumerate(self.starts):
            if start <= row:
                number = place
        return number

    def next_start(self, row: int) -> int | None:
        """The first row of the next passage."""
        return next((start for start in self.starts if start > row), None)

    def previous_start(self, row: int) -> int | None:
        """The first row of the passage before, or of this one when one stands inside it."""
        return next((start for start in reversed(self.starts) if start < row), None)


def pieces(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, bool]]:
    """Cleaned pieces of a text, each with whether a span covers it; spans beyond the text are cut."""
    at = 0
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        start, end = max(at, span.start), min(span.end, len(text))
        if start >= end:
            continue
        if start > at:
            yield clean_lines(text[at:start]), False
        yield clean_lines(text[start:end]), True
        at = end
    if at < len(text):
        yield clean_lines(text[at:]), False


def wrapped(text: str, width: int) -> list[tuple[int, int]]:
    """Start and end of each row of a text without line breaks, broken at spaces, never inside a character."""
    width = max(1, width)
    if text.isascii():
        return _wrapped_ascii(text, width)
    rows: list[tuple[int, int]] = []
    start, used, space = 0, 0, -1
    for place, character in enumerate(text):
        size = get_character_cell_size(character)
        if used + size > width and place > start:
            end = space if space > start else place
            rows.append((start, end))
            start = end + 1 if end == space else end
            used = cells(text[start:place])
            space = -1
        if character == " ":
            space = place
        used += size
    rows.append((start, len(text)))
    return rows


def _wrapped_ascii(text: str, width: int) -> list[tuple[int, int]]:
    rows: list[tuple[int, int]] = []
    start = 0
    while len(text) - start > width:
        space = text.rfind(" ", start, start + width + 1)
        end = space if space > start else start + width
        rows.append((start, end))
        start = end + 1 if end == space else end
    rows.append((start, len(text)))
    return rows


def _side(sign: str, text: str, spans: Sequence[Span], width: int) -> Iterator[Line]:
    """The rows of one side of a passage."""
    plain, marked = _LOOKS[sign]
    letters: list[str] = []
    marks: list[tuple[int, int]] = []
    at = 0
    for piece, is_marked in pieces(text, spans):
        if is_marked:
            marks.append((at, at + len(piece)))
        letters.append(piece)
        at += len(piece)
    start = 0
    for part in "".join(letters).split("\n"):
        for row_start, row_end in wrapped(part, width - _GUTTER):
            head = (f"{sign} ", plain)
            yield (head, *_painted(part, row_start, row_end, start, marks, (plain, marked)))
        start += len(part) + 1


def _painted(
    text: str, start: int, end: int, offset: int, marks: Sequence[tuple[int, int]], looks: tuple[Look, Look]
) -> Iterator[tuple[str, Look]]:
    """The pieces of one row; `offset` is where its line begins within the whole text."""
    at = start
    for mark_start, mark_end in marks:
        low, high = max(at, mark_start - offset), min(end, mark_end - offset)
        if low >= high:
            continue
        if low > at:
            yield text[at:low], looks[0]
        yield text[low:high], looks[1]
        at = high
    if at < end:
        yield text[at:end], looks[0]


def _heading(number: int, count: int, passage: Passage, width: int) -> Line:
    where = " > ".join(clean(part) for part in passage.section) or "(before the first heading)"
    kind = _KIND.get(passage.kind, "")
    start = f"--- {number}/{count}  "
    tail = f"  [{kind}] " if kind else " "
    title = cut(where, max(8, width - len(start) - len(tail) - 4))
    drawn = f"{start}{title}{tail}"
    return ((drawn + "-" * max(0, width - cells(drawn)), Look.HEAD),)


def laid_out(passages: Sequence[Passage], width: int) -> DiffView:
    """All rows of a change for a screen of that width."""
    rows: list[Line] = []
    starts: list[int] = []
    for number, passage in enumerate(passages, 1):
        starts.append(len(rows))
        rows.append(_heading(number, len(passages), passage, width))
        same = passage.before == passage.after
        if passage.before:
            rows.extend(_side("-", passage.before, passage.before_spans, width))
        if passage.after and not same:
            rows.extend(_side("+", passage.after, passage.after_spans, width))
        elif same and passage.kind in (PassageKind.MOVED, PassageKind.RENUMBERED):
            rows.append((("  the words are the same; only their place changed", Look.DIM),))
        rows.append(BLANK)
    if rows:
        rows.pop()
    return DiffView(tuple(rows), tuple(starts))
