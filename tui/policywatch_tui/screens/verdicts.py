"""The verdict keys, which Queue and Change share."""

from __future__ import annotations

from collections.abc import Awaitable

from policywatch.domain.changes import Severity
from policywatch_tui.clerk import Clerk, Report
from policywatch_tui.desk.line import Look
from policywatch_tui.desk.prompt import Question, QuestionKind, snooze_until
from policywatch_tui.desk.triage import Act
from policywatch_tui.screens.base import DeskScreen

__all__ = ["VerdictScreen"]

_LETTERS = {
    "c": Severity.CRITICAL,
    "h": Severity.HIGH,
    "m": Severity.MEDIUM,
    "l": Severity.LOW,
    "n": Severity.NONE,
    "i": None,
}


class VerdictScreen(DeskScreen):
    """A screen on which changes are decided."""

    def chosen(self) -> tuple[int, ...]:
        """The changes that a verdict key means."""
        raise NotImplementedError

    def _act(self, act: Act, question: str = "") -> None:
        """One act on what is chosen; on marked rows it asks once."""
        ids = self.chosen()
        clerk = self.session.clerk
        if clerk is None or self.session.fresh.offline:
            self.tell("OFFLINE: nothing was stored; verdicts are not kept for later", Look.ALARM)
        elif not ids:
            self.tell("there is no change here")
        elif self.session.triage.marks and self.PLACE == "queue":
            self.ask_yes(f"{len(ids)} changes -> {act.words}?", lambda: self._send(clerk, ids, act))
        else:
            self._send(clerk, ids, act)

    def _send(self, clerk: Clerk, ids: tuple[int, ...], act: Act) -> None:
        self.session.triage.marks.clear()
        self.start(self._report(clerk.act(ids, act)))

    async def _report(self, work: Awaitable[Report], done: str = "") -> None:
        report = await self.session.ask(work)
        self.redraw_marks()
        if report.sentence:
            stored = f" ({report.stored} of {report.asked} stored)" if report.asked > 1 else ""
            self.tell(report.sentence + stored, Look.WARN)
        elif done:
            self.tell(done)

    def redraw_marks(self) -> None:
        """Marks went away."""
        self.pane.touch_changed()
        self.draw_frame()

    def do_verdict_accepted(self) -> None:
        """Members should know."""
        self._act(Act("decide", verdict="accepted"))

    def do_verdict_no_effect(self) -> None:
        """Nothing changes for members."""
        self._act(Act("decide", verdict="no_effect"))

    def do_verdict_bad_capture(self) -> None:
        """The page was read wrongly."""
        self._act(Act("decide", verdict="bad_capture"))

    def do_snooze(self) -> None:
        """Ask for how long."""
        self.ask_text(
            "snooze for (4h, 1d, 1w, or a date as YYYY-MM-DD; 0 wakes):", self._snooze, required=True
        )

    def _snooze(self, given: str) -> None:
        try:
            until = snooze_until(given, self.session.now, self.session.zone)
        except ValueError as error:
            self.tell(str(error), Look.WARN)
            return
        self._act(Act("snooze", until=until))

    def do_severity(self) -> None:
        """Ask which, then why."""
        words = "severity: c critical, h high, m medium, l low, n none, i machine's"
        self.ask(Question(QuestionKind.CHOICE, words, letters="".join(_LETTERS)), self._severity)

    def _severity(self, letter: str) -> None:
        severity = _LETTERS[letter]
        name = severity.value if severity else "machine's"
        self.ask_text(
            f"why {name}?",
            lambda why: self._act(Act("severity", severity=severity, note=why.strip())),
            required=True,
        )

    def do_take(self) -> None:
        """Take it, or give it free where it is this person's."""
        ids = self.chosen()
        row = self.session.triage.list.rows.get(ids[0]) if ids else None
        mine = row is not None and row.taken_by == self.session.triage.person
        self._act(Act("release" if mine else "take"))

    def do_undo(self) -> None:
        """Take back the last act."""
        clerk = self.session.clerk
        if clerk is not None:
            self.start(self._report(clerk.undo(), "undone"))

    def do_redo(self) -> None:
        """Do it again."""
        clerk = self.session.clerk
        if clerk is not None:
            self.start(self._report(clerk.redo(), "done again"))

    def do_draft(self) -> None:
        """Begin guidance from what is chosen."""
        ids = self.chosen()
        if ids:
            self.start(self._draft(ids))

    async def _draft(self, ids: tuple[int, ...]) -> None:
        session = self.session
        done = await session.ask(session.wanted().create_draft(ids, session.new_id()))
        session.triage.marks.clear()
        await session.read("drafts")
        place = session.drafts.place_of(done.id)
        if place is not None:
            session.drafts.window.go(place)
        self.desk.go("drafts")
        self.desk.tell(done.sentence)
