"""The daemon of the demo: a child process whose words go into a file, and whose early end ends the story."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from policywatch.errors import PolicyWatchError

__all__ = ["Daemon", "clean_environment"]

T = TypeVar("T")
_STOP_SECONDS = 15.0
_LAST_LINES = 20


def clean_environment() -> dict[str, str]:
    """The environment without settings of a real installation: the demo must never touch its database."""
    return {name: value for name, value in os.environ.items() if not name.startswith("POLICYWATCH_")}


class Daemon:
    """`policywatchd simulate` on a settings file."""

    def __init__(self, settings: Path, web_port: int, log: Path) -> None:
        self._argv = [
            *(sys.executable, "-m", "policywatchd.main", "--config", str(settings)),
            *("simulate", "--web", f"127.0.0.1:{web_port}"),
        ]
        self._log = log
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C reaches the demo alone, which then stops it in order."""
        with self._log.open("wb") as words:
            starting = asyncio.ensure_future(
                asyncio.create_subprocess_exec(
                    *self._argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=words,
                    stderr=words,
                    env=clean_environment(),
                    start_new_session=True,
                )
            )
            try:
                self._child = await asyncio.shield(starting)
            except asyncio.CancelledError:
                self._child = await starting
                raise

    async def stop(self) -> None:
        """End it as an operator would (SIGTERM); killed when it does not go. Safe to call twice."""
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        try:
            await asyncio.wait_for(child.wait(), _STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def beside(self, story: Coroutine[Any, Any, T]) -> T:
        """The story, for as long as the daemon lives; PolicyWatchError with its last words when it ended first."""
        assert self._child is not None
        telling, ending = asyncio.ensure_future(story), asyncio.ensure_future(self._child.wait())
        try:
            await asyncio.wait({telling, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not telling.done():
                raise PolicyWatchError(
                    f"The daemon ended in the middle of the story (exit code {ending.result()}).",
                    remedy=f"Its last words:\n{self.last_words()}",
                )
        finally:
            for task in (telling, ending):
                task.cancel()
            await asyncio.gather(telling, ending, return_exceptions=True)
        return telling.result()

    def last_words(self) -> str:
        """The end of its log."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_LAST_LINES:])
