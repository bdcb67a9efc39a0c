"""One change opened: its passages with the words that differ, and the verdict keys."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from policywatch_tui.desk import changeview
from policywatch_tui.desk.diffview import DiffView, laid_out
from policywatch_tui.desk.line import BLANK, Line, Look, Piece
from policywatch_tui.desk.rows import Change
from policywatch_tui.screens.verdicts import VerdictScreen
from policywatch_tui.widgets.rows import Rows

__all__ = ["ChangeScreen"]

_GUTTER = 2


class ChangeScreen(VerdictScreen):
    """Pushed over the Queue."""

    PLACE = "change"
    HEAD_LINES = 4

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows(self._line, id="rows", cursor=False)
        self.change: Change | None = None
        self.view = DiffView((), ())
        self.lines: tuple[Line, ...] = ()
        self.before_view = 0
        self._laid_out_for: tuple[int, int] = (0, 0)

    def body(self) -> Iterable[Widget]:
        """One window over the passages."""
        yield self.rows

    @property
    def pane(self) -> Rows:
        """The passages."""
        return self.rows

    def show(self, change: Change) -> None:
        """Another change, from its beginning."""
        self.change = change
        self._laid_out_for = (0, 0)
        self.rows.window.top_at(0)
        self.redraw()

    def title_pieces(self) -> tuple[Piece, ...]:
        """Which change."""
        if self.change is None:
            return (("Change", Look.BOLD), ("  loading", Look.DIM))
        listing = self.session.triage.list
        place = listing.place_of(self.change.row.id)
        now = self._now_row()
        return changeview.head(
            now, (place or 0) + 1, len(listing) if place is not None else 0, self.session.now
        )

    def status_line(self, width: int) -> Line:
        """Which passage, which line."""
        window = self.rows.window
        return changeview.status(self.view, window.cursor, self.before_view, window.count)

    def draw(self) -> None:
        """Facts and passages, laid out for this width."""
        if self.change is None:
            return
        width = max(1, self.size.width)
        self._draw_facts()
        if self._laid_out_for != (self.change.row.id, width):
            self._laid_out_for = (self.change.row.id, width)
            self.view = laid_out(self.change.passages, width - _GUTTER)
            before = changeview.preamble(self.change, width - _GUTTER)
            self.before_view = len(before)
            self.lines = (*before, *self.view.rows)
            self.rows.window.recount(len(self.lines))
        self.rows.adopt(self.rows.window)

    def _now_row(self) -> Change:
        """The change under its newest known row."""
        assert self.change is not None
        row = self.session.triage.list.rows.get(self.change.row.id, self.change.row)
        return Change(
            row,
            self.change.before_at,
            self.change.after_at,
            self.change.passages,
            self.change.change_type,
            self.change.confidence,
            self.change.topics,
            self.change.effective_date,
            self.change.objection_deadline,
        )

    def _draw_facts(self) -> None:
        if self.change is None:
            return
        session, width = self.session, self.size.width
        first, second = changeview.facts(self._now_row(), session.triage, session.now, session.zone, width)
        self.head.say(1, first)
        self.head.say(2, second)
        self.head.say(3, (("-" * width, Look.DIM),))

    def heard(self, kind: str, row_id: int) -> None:
        """Only the facts can change; the passages are stored for good."""
        self._draw_facts()
        self.draw_frame()

    def _line(self, place: int, width: int) -> Line:
        if not 0 <= place < len(self.lines):
            return BLANK
        here = place == self.rows.window.cursor
        return ((">" if here else " ", Look.BOLD), (" ", Look.PLAIN), *self.lines[place])

    def chosen(self) -> tuple[int, ...]:
        """This change."""
        return (self.change.row.id,) if self.change is not None else ()

    def do_passage_next(self) -> None:
        """To the next passage."""
        start = self.view.next_start(self.rows.window.cursor - self.before_view)
        self._jump(start, "this is the last passage")

    def do_passage_previous(self) -> None:
        """To the passage before."""
        start = self.view.previous_start(self.rows.window.cursor - self.before_view)
        self._jump(start, "this is the first passage")

    def _jump(self, start: int | None, otherwise: str) -> None:
        if start is None:
            self.tell(otherwise)
        else:
            self.rows.go(lambda window: window.top_at(start + self.before_view))

    def do_change_next(self) -> None:
        """The next change of the queue."""
        self._neighbour(1)

    def do_change_previous(self) -> None:
        """The change before."""
        self._neighbour(-1)

    def _neighbour(self, step: int) -> None:
        listing = self.session.triage.list
        place = listing.place_of(self.change.row.id) if self.change is not None else None
        row = listing.at((place if place is not None else listing.window.cursor) + step)
        if row is None:
            self.tell("there is no further change in the queue")
            return
        listing.window.move(step)
        self.start(self._show(row.id))

    async def _show(self, change_id: int) -> None:
        self.show(await self.session.open_change(change_id))

    def do_reload(self) -> None:
        """Read this change again."""
        if self.change is not None:
            self.session.changes.pop(self.change.row.id, None)
            self.start(self._show(self.change.row.id))
