"""The frame of every screen: head, body, status, and one row for hint, message or question.

It turns keys into actions by the keymap and nothing else; what an action means is the screen's, what is
allowed is the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.geometry import Offset
from textual.screen import Screen
from textual.widget import Widget

from policywatch_tui.desk.clean import clean
from policywatch_tui.desk.line import BLANK, Line, Look, Piece, justified, line
from policywatch_tui.desk.prompt import Answer, Question, QuestionKind
from policywatch_tui.widgets.rows import FixedLines, Rows

if TYPE_CHECKING:
    from policywatch_tui.deskapp import DeskApp
    from policywatch_tui.session import Session

__all__ = ["DeskScreen"]

SMALLEST = (60, 16)


class DeskScreen(Screen[None], inherit_bindings=False):
    """A place of the desk; `PLACE` names it in the keymap."""

    PLACE: ClassVar[str]
    HEAD_LINES: ClassVar[int] = 1
    AUTO_FOCUS = ""

    def __init__(self) -> None:
        super().__init__()
        self.head = FixedLines(self.HEAD_LINES, id="head")
        self.foot = FixedLines(2, id="foot")
        self.question: Question | None = None
        self.answered: Callable[[str], None] = lambda _given: None
        self.message: Line = BLANK

    @property
    def desk(self) -> DeskApp:
        """The app, as what it is."""
        app: DeskApp = self.app  # type: ignore[assignment]
        return app

    @property
    def session(self) -> Session:
        """What was read."""
        return self.desk.session

    def body(self) -> Iterable[Widget]:
        """The widgets between head and foot."""
        raise NotImplementedError

    @property
    def pane(self) -> Rows:
        """The rows that movement keys move now."""
        raise NotImplementedError

    def title_pieces(self) -> tuple[Piece, ...]:
        """The left part of the first row."""
        raise NotImplementedError

    def draw(self) -> None:
        """Everything but the first row and the last one, from the session."""

    def status_line(self, width: int) -> Line:
        """The row above the last one."""
        return BLANK

    def arrived_count(self) -> int:
        """Rows that wait for `i`."""
        return 0

    def heard(self, kind: str, row_id: int) -> None:
        """The session changed."""
        self.draw_frame()

    # -- the frame ---------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Head, body, foot."""
        yield self.head
        yield from self.body()
        yield self.foot

    def on_mount(self) -> None:
        """The cursor of the terminal follows the one of the rows."""
        for rows in self.query(Rows):
            rows.moved = self.moved
        self.redraw()

    def on_screen_resume(self) -> None:
        """Back on top: what changed meanwhile is drawn."""
        self.redraw()

    def on_resize(self) -> None:
        """Another size."""
        self.call_after_refresh(self.redraw)

    def redraw(self) -> None:
        """Frame and body."""
        if self.is_mounted:
            self.draw()
            self.draw_frame()

    def draw_frame(self) -> None:
        """First row, status, last row."""
        if not self.is_mounted:
            return
        width = self.size.width
        session = self.session
        word = session.fresh.word(session.mono(), session.zone, len(session.triage.pending))
        count = self.arrived_count()
        new: tuple[Piece, ...] = ((f"+{count} new: i   ", Look.WARN),) if count else ()
        self.head.say(0, justified(self.title_pieces(), (*new, word), width))
        small = width < SMALLEST[0] or self.size.height < SMALLEST[1]
        status = line(f"small terminal; {SMALLEST[0]}x{SMALLEST[1]} shows more") if small else None
        self.foot.say(0, status or self.status_line(width))
        self.draw_prompt()

    def draw_prompt(self) -> None:
        """The last row: a question, else a message, else the hints."""
        width = self.size.width
        if self.question is not None:
            drawn, column = self.question.drawn(width)
            self.foot.say(1, drawn)
            self.desk.cursor_position = Offset(column, max(0, self.size.height - 1))
            return
        self.foot.say(1, self.message or self.desk.keymap.hint(self.PLACE, self.session.role, width))
        self.place_cursor()

    def moved(self) -> None:
        """The rows moved."""
        if self.is_mounted:
            self.foot.say(0, self.status_line(self.size.width))
            self.place_cursor()

    def place_cursor(self) -> None:
        """The hardware cursor onto the current row: screen readers and magnifiers follow it."""
        if self.question is None:
            pane = self.pane
            self.desk.cursor_position = Offset(0, max(0, pane.region.y + pane.window.row))

    def tell(self, text: str, look: Look = Look.PLAIN) -> None:
        """Say something on the last row, until the next key."""
        self.message = line(clean(text), look) if text else BLANK
        if self.is_mounted:
            self.draw_prompt()

    def ask(self, question: Question, then: Callable[[str], None]) -> None:
        """Put a question on the last row; `then` gets the answer."""
        self.question, self.answered = question, then
        self.draw_prompt()

    def ask_text(
        self, words: str, then: Callable[[str], None], *, required: bool = False, given: str = ""
    ) -> None:
        """A question answered by a text."""
        self.ask(Question(QuestionKind.TEXT, words, required=required, given=given), then)

    def ask_yes(self, words: str, then: Callable[[], None]) -> None:
        """A question that only `y` answers."""
        self.ask(Question(QuestionKind.YES, f"{words} y/n"), lambda _given: then())

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work beside the screen; what it raises is said on the last row."""
        self.desk.start(work)

    # -- keys --------------------------------------------------------------------------------------------

    async def on_key(self, event: events.Key) -> None:
        """One key: to the open question, else to the action that the keymap names."""
        event.stop()
        event.prevent_default()
        character = event.character if event.is_printable else None
        if self.question is not None:
            self._answer(event.key, character)
            return
        key = "space" if character == " " else character or event.key
        action = self.desk.keymap.find(self.PLACE, key)
        if self.message:
            self.tell("")
        if action is None:
            return
        if action.writes and not self.desk.repeats.allows(key, self.session.mono()):
            return
        getattr(self, action.method)()

    def _answer(self, key: str, character: str | None) -> None:
        question = self.question
        if question is None:
            return
        result = question.feed(key, character)
        if result is Answer.OPEN:
            self.draw_prompt()
            return
        self.question = None
        if result is Answer.CANCELLED:
            self.tell("nothing was done")
        else:
            self.draw_prompt()
            self.answered(question.given)

    # -- actions of every screen -------------------------------------------------------------------------

    def do_move_down(self) -> None:
        """One row down."""
        self.pane.go(lambda window: window.move(1))

    def do_move_up(self) -> None:
        """One row up."""
        self.pane.go(lambda window: window.move(-1))

    def do_move_first(self) -> None:
        """To the first row."""
        self.pane.go(lambda window: window.go(0))

    def do_move_last(self) -> None:
        """To the last row."""
        self.pane.go(lambda window: window.go(window.count - 1))

    def do_move_half_down(self) -> None:
        """Half a page down."""
        self.pane.go(lambda window: window.page(0.5))

    def do_move_half_up(self) -> None:
        """Half a page up."""
        self.pane.go(lambda window: window.page(-0.5))

    def do_move_page_down(self) -> None:
        """A page down."""
        self.pane.go(lambda window: window.page(1))

    def do_move_page_up(self) -> None:
        """A page up."""
        self.pane.go(lambda window: window.page(-1))

    def do_page_space(self) -> None:
        """A page down."""
        self.do_move_page_down()

    def do_go_queue(self) -> None:
        """To the Queue."""
        self.desk.go("queue")

    def do_go_approvals(self) -> None:
        """To the Approvals."""
        self.desk.go("approvals")

    def do_go_drafts(self) -> None:
        """To the Drafts."""
        self.desk.go("drafts")

    def do_go_publications(self) -> None:
        """To the Publications."""
        self.desk.go("publications")

    def do_go_last(self) -> None:
        """To the screen before."""
        self.desk.go(self.desk.last_place)

    def do_back(self) -> None:
        """Back; at the root this ends the desk."""
        self.desk.back()

    def do_cancel(self) -> None:
        """Nothing to cancel here."""

    def do_help(self) -> None:
        """All keys of this screen."""
        self.desk.show_help(self.PLACE)

    def do_redraw(self) -> None:
        """Draw everything again."""
        self.refresh(layout=True)

    def do_suspend(self) -> None:
        """To the shell; fg comes back."""
        self.desk.action_suspend_process()

    def do_quit(self) -> None:
        """End the desk."""
        self.desk.exit(0)

    def do_reload(self) -> None:
        """Read everything again."""
