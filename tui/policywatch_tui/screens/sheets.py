"""The frame of Approvals, Drafts and Publications: a short list above, the sheet of its current row below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from textual.widget import Widget

from policywatch_tui.desk.line import BLANK, Line, Look, justified, line
from policywatch_tui.desk.listing import Listing
from policywatch_tui.screens.base import DeskScreen
from policywatch_tui.widgets.rows import FixedLines, Rows

__all__ = ["SheetScreen"]

R = TypeVar("R")
_LIST_LINES = 6


class SheetScreen(DeskScreen, Generic[R]):
    """`j` and `k` move the list, or the sheet once `enter` went into it."""

    EMPTY = "nothing is here"

    def __init__(self) -> None:
        super().__init__()
        self.list = Rows(self._list_line, id="list")
        self.rule = FixedLines(1, id="rule")
        self.sheet = Rows(self._sheet_line, id="sheet", cursor=False)
        self.in_sheet = False
        self.lines: tuple[Line, ...] = ()
        self._shown: tuple[int, int] = (0, 0)

    def line_of(self, row: R, here: bool, width: int) -> Line:
        """One row of the list."""
        raise NotImplementedError

    def sheet_of(self, row: R, width: int) -> tuple[Line, ...]:
        """The sheet of a row."""
        raise NotImplementedError

    @property
    def listing(self) -> Listing[Any]:
        """The rows of this place."""
        return self.session.listing(self.PLACE)

    @property
    def here(self) -> R | None:
        """The row under the cursor."""
        row: R | None = self.listing.here
        return row

    def body(self) -> Iterable[Widget]:
        """List, rule, sheet."""
        yield self.list
        yield self.rule
        yield self.sheet

    @property
    def pane(self) -> Rows:
        """What the movement keys move."""
        return self.sheet if self.in_sheet else self.list

    def arrived_count(self) -> int:
        """New rows."""
        return len(self.listing.arrived)

    def on_screen_resume(self) -> None:
        """Leaving and coming back reads everything again."""
        super().on_screen_resume()
        if self.session.source is not None:
            self.start(self.session.read(self.PLACE))

    def draw(self) -> None:
        """List and sheet."""
        listing = self.listing
        self.list.empty = (line(self.EMPTY if self.session.source else "not loaded yet", Look.DIM),)
        height = max(1, min(_LIST_LINES, self.size.height // 4, max(2, len(listing))))
        self.list.styles.height = height
        self.list.adopt(listing.window)
        self._draw_sheet()

    def _draw_sheet(self) -> None:
        row: Any = self.here
        width = max(1, self.size.width)
        self.lines = self.sheet_of(row, width - 1) if row is not None else ()
        shown = (row.id, width) if row is not None else (0, 0)
        if shown != self._shown:
            self._shown = shown
            self.sheet.window.top_at(0)
        self.sheet.window.recount(len(self.lines))
        self.sheet.adopt(self.sheet.window)
        self._draw_rule()

    def _draw_rule(self) -> None:
        window = self.sheet.window
        read = 100 if window.count == 0 else min(100, 100 * (window.top + window.height) // window.count)
        word = "j k scroll, q back to the list" if self.in_sheet else "enter reads on"
        right = f" {word}  {read} % " if window.count else ""
        width = self.size.width
        self.rule.say(0, justified([("-" * width, Look.DIM)], [(right, Look.DIM)], width))

    def moved(self) -> None:
        """Another row has another sheet."""
        if not self.is_mounted:
            return
        row: Any = self.here
        if row is not None and (row.id, max(1, self.size.width)) != self._shown:
            self._draw_sheet()
        self._draw_rule()
        super().moved()

    def heard(self, kind: str, row_id: int) -> None:
        """Only what changed is painted."""
        if kind == self.PLACE:
            self.redraw()
        elif kind in ("minute", "second"):
            self.list.touch_changed()
            if kind == "minute":
                self._refresh_sheet()
        self.draw_frame()

    def _refresh_sheet(self) -> None:
        row = self.here
        if row is not None:
            self.lines = self.sheet_of(row, max(1, self.size.width) - 1)
            self.sheet.window.recount(len(self.lines))
            self.sheet.touch_changed()

    def _list_line(self, place: int, width: int) -> Line:
        row = self.listing.at(place)
        if row is None:
            return BLANK
        drawn = self.line_of(row, place == self.list.window.cursor, width)
        if row.id in self.listing.gone:
            text = "".join(text for text, _ in drawn)
            return justified([(text, Look.DIM)], [(" no longer here: R", Look.WARN)], width)
        return drawn

    def _sheet_line(self, place: int, width: int) -> Line:
        if not 0 <= place < len(self.lines):
            return BLANK
        here = self.in_sheet and place == self.sheet.window.cursor
        return ((">" if here else " ", Look.BOLD), *self.lines[place])

    def do_sheet(self) -> None:
        """Into the sheet, or back to the list."""
        self.in_sheet = not self.in_sheet and bool(self.lines)
        self.sheet.touch(self.sheet.window.cursor)
        self._draw_rule()
        self.place_cursor()

    def do_sheet_page(self) -> None:
        """A page down in the sheet."""
        self.sheet.go(lambda window: window.page(1))

    def do_back(self) -> None:
        """Out of the sheet, then to the Queue."""
        if self.in_sheet:
            self.do_sheet()
        else:
            super().do_back()

    def do_cancel(self) -> None:
        """Out of the sheet."""
        if self.in_sheet:
            self.do_sheet()

    def do_arrived(self) -> None:
        """Show what arrived."""
        self.start(self.session.read(self.PLACE))

    def do_reload(self) -> None:
        """Read the list again."""
        self.start(self.session.read(self.PLACE))
