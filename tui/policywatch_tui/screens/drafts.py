"""Drafts: guidance being written, edited in $EDITOR, submitted to a second person."""

from __future__ import annotations

from policywatch.errors import PolicyWatchError
from policywatch.guidance.editing import from_editor, to_editor
from policywatch_tui.desk import sheets
from policywatch_tui.desk.line import Line, Look, Piece
from policywatch_tui.desk.rows import Draft
from policywatch_tui.screens.sheets import SheetScreen

__all__ = ["DraftsScreen"]


class DraftsScreen(SheetScreen[Draft]):
    """What is not published yet."""

    PLACE = "drafts"
    EMPTY = "no drafts; d on an accepted change begins one"

    def title_pieces(self) -> tuple[Piece, ...]:
        """How many."""
        return sheets.drafts_head(list(self.session.drafts.rows.values()))

    def line_of(self, row: Draft, here: bool, width: int) -> Line:
        """One draft."""
        return sheets.draft_line(row, here=here, width=width, now=self.session.now)

    def sheet_of(self, row: Draft, width: int) -> tuple[Line, ...]:
        """The draft as it stands."""
        return sheets.draft_sheet(row, width, self.session.now, self.session.zone)

    def do_edit(self) -> None:
        """Give the terminal to the editor, then store a revision."""
        row = self.here
        if row is None:
            self.tell("no draft is here")
            return
        self.start(self._edit(row))

    async def _edit(self, row: Draft) -> None:
        session = self.session
        newest = await session.ask(session.wanted().draft(row.id))
        edited = self.desk.edit(to_editor(newest.subject, newest.body))
        if edited is None:
            self.tell("nothing changed")
            return
        text, path = edited
        try:
            subject, body = from_editor(text)
            work = session.wanted().revise_draft(row.id, newest.version, subject, body, session.new_id())
            done = await session.ask(work)
        except PolicyWatchError as error:
            raise PolicyWatchError(f"{error.what} - your text is kept in {path}", code=error.code) from error
        path.unlink(missing_ok=True)
        await session.read(self.PLACE)
        self.tell(done.sentence, Look.GOOD)

    def do_submit(self) -> None:
        """Ask for the segment, then a second person."""
        row = self.here
        if row is None:
            self.tell("no draft is here")
            return
        segments = list(self.session.segments)
        given = row.segment or (segments[0] if len(segments) == 1 else "")
        known = f" ({', '.join(segments[:4])})" if segments else ""
        self.ask_text(
            f"submit {row.label} to which segment{known}:",
            lambda segment: self.start(self._submit(row, segment.strip())),
            required=True,
            given=given,
        )

    async def _submit(self, row: Draft, segment: str) -> None:
        session = self.session
        work = session.wanted().submit_draft(row.id, row.version, segment, session.new_id())
        done = await session.ask(work)
        await session.read(self.PLACE)
        self.tell(done.sentence, Look.GOOD)
