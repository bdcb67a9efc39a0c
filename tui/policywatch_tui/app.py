"""Opens the desk: `run_desk` settles the environment, runs the app, and gives back its exit code.

Textual is imported inside, after the environment that it reads at import is set; the database's driver is
imported later still, by a worker after the first frame.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from policywatch_tui import terminal

if TYPE_CHECKING:
    from policywatch.settings import Settings
    from policywatch_tui.desk.source import DeskSource
    from policywatch_tui.deskapp import DeskApp

__all__ = ["run_app", "run_desk"]

_THEMES = {"ansi": "ansi-dark", "dark": "textual-dark", "light": "textual-light"}


def run_desk(settings: Settings) -> int:
    """The desk of this person until they leave it; returns the exit code (143 and 129 after TERM and HUP)."""
    terminal.before_textual(os.environ)
    logging.lastResort = None  # nothing but the desk writes to the screen
    from policywatch_tui.deskapp import DeskApp

    async def opener() -> DeskSource:
        from policywatch_tui.source import open_source

        return await open_source(settings)

    desk = settings.desk
    app = DeskApp(
        opener,
        keys=desk.keys,
        theme=_THEMES[desk.theme],
        jump=desk.scroll != "line",
    )
    return run_app(app, mouse=desk.mouse)


def run_app(app: DeskApp, *, mouse: bool) -> int:
    """Run it until it ends, by a key or by TERM or HUP; the terminal is as it was in every case."""
    loop: list[asyncio.AbstractEventLoop] = []

    async def run() -> int | None:
        loop.append(asyncio.get_running_loop())
        return await app.run_async(mouse=mouse)

    with terminal.signals_end(
        lambda code: app.exit(code, return_code=code), lambda: loop[0] if loop else None
    ):
        asyncio.run(run())
    return app.return_code or 0
