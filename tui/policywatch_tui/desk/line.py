"""A line of the screen as plain values: pieces of text with a look, no Textual and no escape sequence.

The looks are named by what they say; the widgets alone know what colour that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from rich.cells import cell_len, set_cell_size

__all__ = ["BLANK", "Line", "Look", "Piece", "cells", "crop", "justified", "line", "text_of"]


class Look(StrEnum):
    """What a piece of text says by its looks; never the only place where it is said."""

    PLAIN = "plain"
    DIM = "dim"
    BOLD = "bold"
    HEAD = "head"
    ALARM = "alarm"
    WARN = "warn"
    GOOD = "good"
    ADDED = "added"
    REMOVED = "removed"
    ADDED_MARK = "added_mark"
    REMOVED_MARK = "removed_mark"
    REVERSE = "reverse"


Piece = tuple[str, Look]
Line = tuple[Piece, ...]
BLANK: Line = ()


def line(text: str, look: Look = Look.PLAIN) -> Line:
    """A line of one piece."""
    return ((text, look),)


def text_of(drawn: Line) -> str:
    """The letters of a line without their looks."""
    return "".join(text for text, _ in drawn)


def cells(text: str) -> int:
    """Columns of the terminal that the text takes."""
    return len(text) if text.isascii() else cell_len(text)


def crop(drawn: Line, width: int) -> Line:
    """The first `width` cells of a line; a wide character is never cut in half."""
    kept: list[Piece] = []
    room = max(0, width)
    for text, look in drawn:
        if room <= 0:
            break
        size = cells(text)
        if size > room:
            text = text[:room] if text.isascii() else set_cell_size(text, room)
            size = room
        kept.append((text, look))
        room -= size
    return tuple(kept)


def justified(left: Iterable[Piece], right: Iterable[Piece], width: int) -> Line:
    """Left part, space, right part on one line; where room is short the left part is cut."""
    end = crop(tuple(right), width)
    end_width = sum(cells(text) for text, _ in end)
    start = crop(tuple(left), max(0, width - end_width - 1))
    gap = width - end_width - sum(cells(text) for text, _ in start)
    return (*start, (" " * max(0, gap), Look.PLAIN), *end)
