"""Where one stands in a long list: cursor and first row shown, moved without a picture.

At the edge the window jumps half a page, not one row: over a slow line a page costs ten times a row.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Window"]


@dataclass(slots=True)
class Window:
    """Rows are counted from 0; `cursor` and `top` always lie within them (0 where there are none)."""

    count: int = 0
    height: int = 1
    cursor: int = 0
    top: int = 0
    jump: bool = True

    def resize(self, height: int) -> None:
        """Another height; the cursor stays in sight."""
        self.height = max(1, height)
        self._settle()

    def recount(self, count: int) -> None:
        """Another number of rows."""
        self.count = max(0, count)
        self._settle()

    def place(self, cursor: int, row: int) -> None:
        """The cursor on this row of the list, drawn at `row` of the window where that is possible."""
        self.cursor = cursor
        self.top = cursor - row
        self._settle()

    def go(self, cursor: int) -> None:
        """To that row; the window moves only where it must."""
        self.cursor = max(0, min(cursor, self.count - 1))
        if self.cursor < self.top:
            step = self.height // 2 if self.jump else 1
            self.top = min(self.cursor, self.top - max(1, step))
        elif self.cursor >= self.top + self.height:
            step = self.height // 2 if self.jump else 1
            self.top = max(self.cursor - self.height + 1, self.top + max(1, step))
        self._settle()

    def move(self, rows: int) -> None:
        """Down by so many rows, up where negative."""
        self.go(self.cursor + rows)

    def page(self, pages: float) -> None:
        """By pages or half pages; the cursor keeps its row of the window where it can."""
        step = int(self.height * abs(pages)) or 1
        step = step if pages > 0 else -step
        self.top += step
        self.cursor += step
        self._settle()

    def top_at(self, row: int) -> None:
        """Show from that row on, cursor on it."""
        self.cursor = row
        self.top = row
        self._settle()

    @property
    def row(self) -> int:
        """The row of the window on which the cursor is drawn."""
        return self.cursor - self.top

    def _settle(self) -> None:
        self.cursor = max(0, min(self.cursor, self.count - 1))
        self.top = max(0, min(self.top, self.count - self.height))
        if self.cursor < self.top:
            self.top = self.cursor
        elif self.cursor >= self.top + self.height:
            self.top = self.cursor - self.height + 1
