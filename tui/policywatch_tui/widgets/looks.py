"""Looks as styles of the terminal: its own sixteen colours, so that every background stays readable."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from policywatch_tui.desk.line import Line, Look, cells, crop

__all__ = ["strip_of"]

_STYLES = {
    Look.PLAIN: Style(),
    Look.DIM: Style(dim=True),
    Look.BOLD: Style(bold=True),
    Look.HEAD: Style(bold=True, color="cyan"),
    Look.ALARM: Style(bold=True, color="red"),
    Look.WARN: Style(color="yellow"),
    Look.GOOD: Style(color="green"),
    Look.ADDED: Style(color="green"),
    Look.REMOVED: Style(color="red"),
    Look.ADDED_MARK: Style(color="green", reverse=True),
    Look.REMOVED_MARK: Style(color="red", reverse=True),
    Look.REVERSE: Style(reverse=True),
}
_HERE = Style(bold=True, reverse=True)


@lru_cache(maxsize=1024)
def strip_of(drawn: Line, width: int, here: bool = False) -> Strip:
    """A line as a strip of exactly `width` cells; the row under the cursor in reverse video."""
    short = crop(drawn, width)
    used = sum(cells(text) for text, _ in short)
    if here:
        text = "".join(text for text, _ in short) + " " * max(0, width - used)
        return Strip([Segment(text, _HERE)], width)
    segments = [Segment(text, _STYLES[look]) for text, look in short if text]
    if used < width:
        segments.append(Segment(" " * (width - used), _STYLES[Look.PLAIN]))
    return Strip(segments, max(0, width))
