"""The desk as a Textual app: it owns the session, the screens and the work beside them. No rules, no SQL."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from textual import events
from textual.app import App
from textual.screen import Screen

from policywatch.errors import PolicyWatchError, ServiceAway
from policywatch_tui import editing, terminal
from policywatch_tui.desk.esc import RepeatGuard, SplitGuard
from policywatch_tui.desk.keymap import Keymap
from policywatch_tui.desk.line import Look
from policywatch_tui.desk.source import DeskSource
from policywatch_tui.screens.approvals import ApprovalsScreen
from policywatch_tui.screens.base import DeskScreen
from policywatch_tui.screens.change import ChangeScreen
from policywatch_tui.screens.drafts import DraftsScreen
from policywatch_tui.screens.help import HelpScreen
from policywatch_tui.screens.publications import PublicationsScreen
from policywatch_tui.screens.queue import QueueScreen
from policywatch_tui.session import Session

__all__ = ["DeskApp"]

log = logging.getLogger("policywatch.desk")
_NOT_ALLOWED = 4
_ENDED = "Your session was ended by an administrator. Start the desk again if you may."
_RECONNECT_SECONDS = (1.0, 2.0, 5.0, 10.0)


class DeskApp(App[int], inherit_bindings=False):
    """One person's desk over one source. Clock, ids, zone and editor come from outside."""

    CSS_PATH = "desk.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "PolicyWatch"

    def __init__(
        self,
        opener: Callable[[], Awaitable[DeskSource]],
        *,
        zone: tzinfo | None = None,
        mono: Callable[[], float] = time.monotonic,
        new_id: Callable[[], UUID] = uuid4,
        keys: Mapping[str, Sequence[str]] | None = None,
        state_folder: Path | None = None,
        theme: str = "ansi-dark",
        jump: bool = True,
    ) -> None:
        super().__init__()
        self.keymap = Keymap(keys)
        self.opener = opener
        self.state_folder = state_folder or Path.home() / ".local" / "state" / "policywatch"
        local = zone or datetime.now(UTC).astimezone().tzinfo or UTC
        self.session = Session(mono=mono, zone=local, new_id=new_id, told=self.heard)
        self.repeats, self.splits = RepeatGuard(), SplitGuard()
        self.last_place = "queue"
        self.root_place = "queue"
        self.theme = theme
        self.roots: dict[str, DeskScreen] = {
            "queue": QueueScreen(),
            "approvals": ApprovalsScreen(),
            "drafts": DraftsScreen(),
            "publications": PublicationsScreen(),
        }
        self.change_screen, self.help_screen = ChangeScreen(), HelpScreen()
        for screen in (*self.roots.values(), self.change_screen, self.help_screen):
            self.install_screen(screen, screen.PLACE)
        for window in (self.session.triage.list.window, self.change_screen.rows.window):
            window.jump = jump
        self._minute = -1

    def get_default_screen(self) -> Screen[Any]:
        """The Queue is the root."""
        return self.roots["queue"]

    def on_mount(self) -> None:
        """The first frame comes before the first question to the server."""
        terminal.after_start(self)
        self.app_resume_signal.subscribe(self, self._resumed)
        self.call_after_refresh(lambda: self.start(self._live()))
        self.set_interval(1.0, self._tick)

    def _resumed(self, _app: object) -> None:
        terminal.after_start(self)
        self.screen.refresh(layout=True)

    async def on_event(self, event: events.Event) -> None:
        """Keys that are the tail of a torn escape sequence go no further."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            key = event.character if event.is_printable and event.character else event.key
            if self.splits.swallows(key, self.session.mono()):
                return
        await super().on_event(event)

    # -- work beside the screens -------------------------------------------------------------------------

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work beside the screens; an error is a sentence on the last row, never the end of the desk."""
        self.run_worker(self._guarded(work), exit_on_error=False)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ServiceAway as away:
            self.tell(f"OFFLINE: {away.what} {away.remedy}".strip(), Look.ALARM)
        except PolicyWatchError as error:
            self.tell(f"{error.what} {error.remedy}".strip(), Look.WARN)
        except Exception as error:
            log.exception("desk_work_failed")
            self.tell(f"this failed: {type(error).__name__}; the log says more", Look.ALARM)

    async def _live(self) -> None:
        """Connect, then follow hints for as long as the desk is open."""
        tried = 0
        while True:
            try:
                await self.session.open(self.opener)
                break
            except ServiceAway as away:
                self.tell(f"OFFLINE: {away.what} {away.remedy}".strip(), Look.ALARM)
                if self.session.source is not None:
                    await self.session.close()
                await asyncio.sleep(_RECONNECT_SECONDS[min(tried, len(_RECONNECT_SECONDS) - 1)])
                tried += 1
        if tried:
            self.tell("")
        if self.session.standing and self.session.standing.must_change_password:
            self.tell("change your one-time password first: policywatch users password", Look.ALARM)
        for work in (self.session.watch(), self.session.follow(), self.session.poll()):
            self.start(work)

    async def on_unmount(self) -> None:
        """Give the connections back."""
        await self.session.close()

    def heard(self, kind: str, row_id: int) -> None:
        """The session changed: the screen on top draws what it shows of it."""
        if kind == "ended":
            self.exit(_NOT_ALLOWED, return_code=_NOT_ALLOWED, message=_ENDED)
            return
        screen = self._top()
        if screen is not None and screen.is_mounted:
            screen.heard(kind, row_id)

    def _top(self) -> DeskScreen | None:
        if not self.is_running or not self.screen_stack:
            return None
        screen = self.screen_stack[-1]
        return screen if isinstance(screen, DeskScreen) else None

    def _tick(self) -> None:
        """Countdowns and ages; nothing is painted where no text changed."""
        if not self.session.fresh.loaded:
            return
        minute = int(self.session.now.timestamp() // 60)
        kind = "second" if minute == self._minute else "minute"
        self._minute = minute
        self.heard(kind, 0)

    def tell(self, text: str, look: Look = Look.PLAIN) -> None:
        """Say something on the last row of the screen on top."""
        screen = self._top()
        if screen is not None:
            screen.tell(text, look)

    # -- places ------------------------------------------------------------------------------------------

    def go(self, place: str) -> None:
        """To one of the root screens; the Queue is always below it."""
        while len(self.screen_stack) > (1 if self.root_place == "queue" else 2):
            self.pop_screen()
        if place == self.root_place:
            return
        if place == "queue":
            self.pop_screen()
        elif self.root_place == "queue":
            self.push_screen(place)
        else:
            self.switch_screen(place)
        self.last_place, self.root_place = self.root_place, place

    def back(self) -> None:
        """One screen back; from the Queue to the shell."""
        if self.screen is self.roots[self.root_place]:
            if self.root_place == "queue":
                self.exit(0)
            else:
                self.go("queue")
        else:
            self.pop_screen()

    def show_help(self, place: str) -> None:
        """Help over the screen on top."""
        if self.screen is not self.help_screen:
            self.push_screen(self.help_screen)
            self.help_screen.show(place)

    def open_change(self, change_id: int) -> None:
        """Read a change, then push its screen."""
        self.start(self._open_change(change_id))

    async def _open_change(self, change_id: int) -> None:
        change = await self.session.open_change(change_id)
        if self.screen is self.roots["queue"]:
            self.change_screen.change = None
            await self.push_screen(self.change_screen)
            self.change_screen.show(change)

    def edit(self, text: str) -> tuple[str, Path] | None:
        """The person's editor on the whole terminal."""
        return editing.edit(text, self.state_folder / "drafts", os.environ, self.suspend)
