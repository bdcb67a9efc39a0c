"""The Queue: what waits for a verdict, the most severe first."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from policywatch_tui.desk import queueview
from policywatch_tui.desk.line import BLANK, Line, Piece
from policywatch_tui.screens.verdicts import VerdictScreen
from policywatch_tui.widgets.rows import Rows

__all__ = ["QueueScreen"]


class QueueScreen(VerdictScreen):
    """The root of the desk."""

    PLACE = "queue"
    HEAD_LINES = 2

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows(self._line, id="rows")

    def body(self) -> Iterable[Widget]:
        """One list."""
        yield self.rows

    @property
    def pane(self) -> Rows:
        """The list."""
        return self.rows

    def title_pieces(self) -> tuple[Piece, ...]:
        """How much waits."""
        return queueview.head(self.session.counts, self.session.now)

    def status_line(self, width: int) -> Line:
        """Place, order, marks, troubles."""
        session = self.session
        return queueview.status(session.triage, session.more, session.standing, session.now)

    def arrived_count(self) -> int:
        """New rows."""
        return len(self.session.triage.list.arrived)

    def draw(self) -> None:
        """Names of the columns and the rows."""
        session = self.session
        self.head.say(1, queueview.names(self.size.width))
        self.rows.empty = queueview.empty_words(session.standing, session.counts)
        self.rows.beneath = () if session.more else queueview.readable_words(session.standing)
        self.rows.adopt(session.triage.list.window)

    def heard(self, kind: str, row_id: int) -> None:
        """Only what changed is painted."""
        listing = self.session.triage.list
        if kind == "queue":
            self.redraw()
            return
        if kind == "change":
            place = listing.place_of(row_id)
            if place is not None:
                self.rows.touch(place)
        elif kind == "counts":
            self.draw()
        elif kind == "minute":
            self.rows.touch_changed()
        self.draw_frame()

    def _line(self, place: int, width: int) -> Line:
        session = self.session
        row = session.triage.list.at(place)
        if row is None:
            return BLANK
        here = place == self.rows.window.cursor
        return queueview.queue_line(
            session.triage, row, here=here, width=width, now=session.now, zone=session.zone
        )

    def chosen(self) -> tuple[int, ...]:
        """The marked rows, or the one under the cursor."""
        return self.session.triage.chosen()

    def do_open(self) -> None:
        """Open the change under the cursor."""
        here = self.session.triage.list.here
        if here is not None:
            self.desk.open_change(here.id)

    def do_mark(self) -> None:
        """Mark and go down."""
        self.session.triage.toggle_mark()
        self.rows.touch(self.rows.window.cursor)
        self.do_move_down()
        self.moved()

    def do_undecided(self) -> None:
        """To the next row that nobody decided."""
        place = self.session.triage.next_undecided(self.session.now)
        if place is None:
            self.tell("nothing undecided is left here")
        else:
            self.rows.go(lambda window: window.go(place))

    def do_cancel(self) -> None:
        """Take the marks away."""
        if self.session.triage.marks:
            self.session.triage.marks.clear()
            self.rows.touch_changed()
            self.moved()

    def do_arrived(self) -> None:
        """Show what arrived."""
        self.start(self._reload())

    def do_reload(self) -> None:
        """Read the queue again."""
        self.start(self._reload())

    async def _reload(self) -> None:
        await self.session.read_standing()
        await self.session.read_queue()
