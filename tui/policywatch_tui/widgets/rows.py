"""Widgets that draw their own lines: nothing of Textual's layout, markup or scrolling on the way to a row.

A key inside the window repaints two rows, at its edge one page; a line whose text did not change is not
painted at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from policywatch_tui.desk.line import BLANK, Line
from policywatch_tui.desk.window import Window
from policywatch_tui.widgets.looks import strip_of

__all__ = ["FixedLines", "Rows"]


class FixedLines(Widget):
    """A few lines that are told what they say: head, facts, status, prompt."""

    can_focus = False

    def __init__(self, count: int, *, id: str) -> None:
        super().__init__(id=id)
        self.lines: list[Line] = [BLANK] * count
        self.styles.height = count

    def say(self, place: int, line: Line) -> None:
        """What line `place` says from now on."""
        if self.lines[place] != line:
            self.lines[place] = line
            self.refresh(Region(0, place, max(1, self.size.width), 1))

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
        self.painted: dict[int, Line] = {}
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
        """Every row again."""
        self.painted.clear()
        self.refresh()
        self.moved()

    def go(self, step: Callable[[Window], None]) -> None:
        """Move; only what moved is painted."""
        cursor, top = self.window.cursor, self.window.top
        step(self.window)
        if self.window.top != top:
            self.painted.clear()
            self.refresh()
        elif self.window.cursor != cursor:
            self._refresh_row(cursor)
            self._refresh_row(self.window.cursor)
        else:
            return
        self.moved()

    def touch(self, row: int) -> None:
        """That row says something else now; where it is not on the screen nothing is sent."""
        if self.window.top <= row < self.window.top + self.size.height:
            self._refresh_row(row)

    def touch_changed(self) -> None:
        """Paint the rows on the screen whose text changed since they were painted."""
        for row, line in list(self.painted.items()):
            if row < self.window.count and self.draw(row, self.size.width) != line:
                self._refresh_row(row)

    def render_line(self, y: int) -> Strip:
        """The row at line `y` of the window."""
        width, row = self.size.width, self.window.top + y
        if self.window.count == 0:
            return strip_of(self.empty[y] if y < len(self.empty) else BLANK, width)
        if not 0 <= row < self.window.count:
            return strip_of(BLANK, width)
        line = self.draw(row, width)
        if len(self.painted) > 500:
            self.painted.clear()
        self.painted[row] = line
        return strip_of(line, width, self.cursor and row == self.window.cursor)

    def _refresh_row(self, row: int) -> None:
        y = row - self.window.top
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, max(1, self.size.width), 1))
