"""Publications: what is on its way, how long it can still be taken back, and the take-back."""

from __future__ import annotations

from policywatch_tui.desk import sheets
from policywatch_tui.desk.line import Line, Look, Piece
from policywatch_tui.desk.queueview import troubles
from policywatch_tui.desk.rows import Publication
from policywatch_tui.screens.sheets import SheetScreen

__all__ = ["PublicationsScreen"]


class PublicationsScreen(SheetScreen[Publication]):
    """Those in grace first."""

    PLACE = "publications"
    EMPTY = "nothing was approved yet"

    def title_pieces(self) -> tuple[Piece, ...]:
        """How many are where."""
        return sheets.publications_head(list(self.session.publications.rows.values()))

    def status_line(self, width: int) -> Line:
        """Whether anything is sent at all."""
        return troubles(self.session.standing, self.session.now)

    def line_of(self, row: Publication, here: bool, width: int) -> Line:
        """One publication."""
        return sheets.publication_line(
            row, here=here, width=width, now=self.session.now, zone=self.session.zone
        )

    def sheet_of(self, row: Publication, width: int) -> tuple[Line, ...]:
        """Its ledger's sums."""
        return sheets.publication_sheet(row, width, self.session.now, self.session.zone)

    def heard(self, kind: str, row_id: int) -> None:
        """The countdown runs by the second in the last minute only."""
        if kind == "second":
            now = self.session.now
            if not any(sheets.last_minute(row, now) for row in self.session.publications.rows.values()):
                return
        super().heard(kind, row_id)

    def do_withdraw(self) -> None:
        """Ask for the y."""
        row = self.here
        if row is None:
            self.tell("nothing is on its way")
        elif row.state != "grace":
            self.tell(f"{row.label} is {row.state}; only one in its grace is taken back", Look.WARN)
        else:
            self.ask_yes(f"take back {row.label}, nobody is mailed?", lambda: self.start(self._withdraw(row)))

    async def _withdraw(self, row: Publication) -> None:
        session = self.session
        done = await session.ask(session.wanted().withdraw(row.id, row.version, session.new_id()))
        await session.read(self.PLACE)
        self.tell(done.sentence, Look.GOOD)
