"""Rows that stand still: the server may change what a row says, never where it stands.

New rows are counted as arrived and come in only when a person asks for it (`i`, `R`, leaving). The cursor is
kept by id, and drawn on the same row of the window wherever that is possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from policywatch_tui.desk.window import Window

__all__ = ["Listing", "Row"]


class Row(Protocol):
    """What a listing needs of a row."""

    @property
    def id(self) -> int:
        """Never changes."""

    @property
    def version(self) -> int:
        """Grows with each act on it."""


R = TypeVar("R", bound=Row)


class Listing(Generic[R]):
    """Ids in order, the newest known row of each, and where one stands."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.rows: dict[int, R] = {}
        self.arrived: set[int] = set()
        self.gone: set[int] = set()
        self.window = Window()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def here(self) -> R | None:
        """The row under the cursor."""
        return self.at(self.window.cursor)

    def at(self, place: int) -> R | None:
        """The row at that place of the order."""
        return self.rows[self.ids[place]] if 0 <= place < len(self.ids) else None

    def place_of(self, row_id: int) -> int | None:
        """Where a row stands."""
        return self.ids.index(row_id) if row_id in self.rows else None

    def fill(self, rows: Sequence[R]) -> None:
        """Take the server's order anew; the cursor stays on its id, or on the nearest below that is left."""
        old_ids, cursor, row = self.ids, self.window.cursor, self.window.row
        fresh = {row.id: row for row in rows}
        for row_id, known in self.rows.items():
            if row_id in fresh and fresh[row_id].version < known.version:
                fresh[row_id] = known
        self.rows = fresh
        self.ids = list(fresh)
        self.arrived.clear()
        self.gone.clear()
        self.window.recount(len(self.ids))
        places = {row_id: place for place, row_id in enumerate(self.ids)}
        below = (places[row_id] for row_id in old_ids[cursor:] if row_id in places)
        self.window.place(next(below, min(cursor, max(0, len(self.ids) - 1))), row)

    def extend(self, rows: Sequence[R]) -> None:
        """More rows behind the last one."""
        for row in rows:
            if row.id not in self.rows:
                self.ids.append(row.id)
                self.rows[row.id] = row
        self.window.recount(len(self.ids))

    def remote(self, row: R) -> bool:
        """A row as the server has it now; True where a row shown changed. Older news is passed over."""
        known = self.rows.get(row.id)
        if known is None or row.version < known.version:
            return False
        self.rows[row.id] = row
        return row != known

    def came(self, row_id: int) -> None:
        """A row that is not shown yet."""
        if row_id not in self.rows:
            self.arrived.add(row_id)
