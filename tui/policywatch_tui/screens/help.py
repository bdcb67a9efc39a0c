"""The help screen: the keymap of the place from which it was called."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from policywatch_tui.desk.line import BLANK, Line, Look, Piece
from policywatch_tui.screens.base import DeskScreen
from policywatch_tui.widgets.rows import Rows

__all__ = ["HelpScreen"]


class HelpScreen(DeskScreen):
    """Pushed over any screen; `q` goes back to it."""

    PLACE = "help"

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows(self._line, id="rows")
        self.of = "queue"
        self.lines: tuple[Line, ...] = ()

    def body(self) -> Iterable[Widget]:
        """The lines."""
        yield self.rows

    @property
    def pane(self) -> Rows:
        """The lines."""
        return self.rows

    def title_pieces(self) -> tuple[Piece, ...]:
        """Help for which screen."""
        return (("Help", Look.BOLD), (f"  {self.of}", Look.PLAIN))

    def show(self, place: str) -> None:
        """The keys of that place."""
        self.of = place
        self.rows.window.top_at(0)
        self.redraw()

    def draw(self) -> None:
        """All lines."""
        self.lines = self.desk.keymap.help(self.of, self.session.role)
        self.rows.window.recount(len(self.lines))
        self.rows.adopt(self.rows.window)

    def _line(self, place: int, width: int) -> Line:
        return self.lines[place] if 0 <= place < len(self.lines) else BLANK
