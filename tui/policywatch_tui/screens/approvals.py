"""Approvals: what a second person signs, in full, and the two answers to it."""

from __future__ import annotations

from policywatch_tui.desk import sheets
from policywatch_tui.desk.line import Line, Look, Piece
from policywatch_tui.desk.prompt import Question, QuestionKind
from policywatch_tui.desk.rows import Approval
from policywatch_tui.screens.sheets import SheetScreen

__all__ = ["ApprovalsScreen"]


class ApprovalsScreen(SheetScreen[Approval]):
    """Requests that wait."""

    PLACE = "approvals"
    EMPTY = "nothing waits for an approval"

    def title_pieces(self) -> tuple[Piece, ...]:
        """How many wait for whom."""
        return sheets.approvals_head(list(self.session.approvals.rows.values()))

    def line_of(self, row: Approval, here: bool, width: int) -> Line:
        """One request."""
        return sheets.approval_line(row, here=here, width=width, now=self.session.now)

    def sheet_of(self, row: Approval, width: int) -> tuple[Line, ...]:
        """What is signed."""
        return sheets.approval_sheet(row, width, self.session.now, self.session.zone)

    def do_approve(self) -> None:
        """Ask for the count; typing it is the yes."""
        row = self.here
        if row is None:
            self.tell("nothing waits here")
            return
        words = f"approve {row.label}? type the number of recipients ({row.count or 'not counted yet'}):"
        question = Question(QuestionKind.TEXT, words, required=True, digits=True, limit=12)
        self.ask(question, lambda given: self._approve(row, given))

    def _approve(self, row: Approval, given: str) -> None:
        if row.count is None or int(given) != row.count:
            self.tell(f"{given} is not the number of recipients; nothing was approved", Look.WARN)
            return
        self.start(self._send(row, int(given)))

    async def _send(self, row: Approval, count: int) -> None:
        session = self.session
        work = session.wanted().approve(row.id, row.version, row.content_hash, count, session.new_id())
        done = await session.ask(work)
        await session.read(self.PLACE)
        self.tell(done.sentence, Look.GOOD)

    def do_return(self) -> None:
        """Ask why."""
        row = self.here
        if row is None:
            self.tell("nothing waits here")
            return
        self.ask_text(
            f"return {row.label} because:",
            lambda why: self.start(self._return(row, why.strip())),
            required=True,
        )

    async def _return(self, row: Approval, reason: str) -> None:
        session = self.session
        work = session.wanted().return_request(row.id, row.version, reason, session.new_id())
        done = await session.ask(work)
        await session.read(self.PLACE)
        self.tell(done.sentence)
