"""Widgets that draw their own lines: nothing of Textual's layout, markup or scrolling on the way to a row.

Each remembers what it painted where, so that only what differs is sent: a key inside the window repaints two
rows, at its edge one page; a line whose text did not change costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from policywatch_tui.desk.line import BLANK, Line, cells, text_of
from policywatch_tui.desk.window import Window
from policywatch_tui.widgets.looks import strip_of

__all__ = ["FixedLines", "Rows"]


def _changed_width(old: Line, new: Line) -> int:
    """How many cells from the left differ: behind them both lines say the same at the same place."""
    before, after = cells(text_of(old)), cells(text_of(new))
    width = max(before, after)
    if before == after:
        for one, other in zip(reversed(old), reversed(new), strict=False):
            if one != other:
                break
            width -= cells(one[0])
    return width


class FixedLines(Widget):
    """A few lines that are told what they say: head, facts, status, prompt."""

    can_focus = False

    def __init__(self, count: int, *, id: str) -> None:
        super().__init__(id=id)
        self.lines: list[Line] = [BLANK] * count
        self.styles.height = count

    def say(self, place: int, line: Line) -> None:
        """What line `place` says from now on. Textual cuts a repaint at its right end only, so what moves
        often (the place in a list) stands at the left and the rest of the line is not sent."""
        old = self.lines[place]
        if old != line:
            self.lines[place] = line
            width = max(1, min(self.size.width, _changed_width(old, line)))
            self.refresh(Region(0, place, width, 1))

    def render_line(self, y: int) -> Strip:
        """One line."""
        line = self.lines[y] if 0 <= y < len(self.lines) else BLANK
        return strip_of(line, self.size.width)


class Rows(Widget):
    """A window over many rows that a function draws; `window` may belong to a listing."""

    can_focus = False

    def __init__(self, draw: Callable[[int, int], Line], *, id: str, cursor: bool = True) -> None:
        super().__init__(id=id)
        self.draw = draw
        self.window = Window()
        self.cursor = cursor
        self.empty: Sequence[Line] = ()
        self.beneath: Sequence[Line] = ()  # what stands under the last row, where all of it has room
        self.painted: dict[int, tuple[Line, bool]] = {}
        self.moved: Callable[[], None] = lambda: None

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As high as it is let be."""
        return viewport.height

    def adopt(self, window: Window) -> None:
        """Another window, as that of a listing."""
        self.window = window
        self.window.resize(max(1, self.size.height))
        self.repaint()

    def on_resize(self) -> None:
        """The cursor stays in sight."""
        self.window.resize(max(1, self.size.height))
        self.repaint()

    def repaint(self) -> None:
        """Paint what differs from what stands there."""
        self.touch_changed()
        self.moved()

    def go(self, step: Callable[[Window], None]) -> None:
        """Move; only what moved is painted."""
        cursor, top = self.window.cursor, self.window.top
        step(self.window)
        if self.window.top != top:
            self.touch_changed()
        elif self.window.cursor != cursor:
            self.touch(cursor)
            self.touch(self.window.cursor)
        else:
            return
        self.moved()

    def touch(self, row: int) -> None:
        """That row may say something else now; where it is not on the screen nothing is sent."""
        self._paint(row - self.window.top)

    def touch_changed(self) -> None:
        """Any row on the screen may say something else now."""
        for y in range(self.size.height):
            self._paint(y)

    def _paint(self, y: int) -> None:
        if 0 <= y < self.size.height and self.painted.get(y) != self._at(y):
            self.refresh(Region(0, y, max(1, self.size.width), 1))

    def _at(self, y: int) -> tuple[Line, bool]:
        """What belongs on line `y` of the widget, and whether the cursor is on it."""
        if self.window.count == 0:
            return (self.empty[y] if y < len(self.empty) else BLANK), False
        row = self.window.top + y
        if not 0 <= row < self.window.count:
            return self._under(row - self.window.count), False
        return self.draw(row, self.size.width), self.cursor and row == self.window.cursor

    def _under(self, place: int) -> Line:
        """That line under the last row."""
        room = self.size.height - (self.window.count - self.window.top)
        return self.beneath[place] if 0 <= place < len(self.beneath) <= room else BLANK

    def render_line(self, y: int) -> Strip:
        """The row at line `y` of the window."""
        line, here = self.painted[y] = self._at(y)
        return strip_of(line, self.size.width, here)
