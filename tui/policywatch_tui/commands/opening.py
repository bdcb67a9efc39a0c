"""What `policywatch` does before and after its desk: database ready, a daemon beside it, and its end.

Only the account that keeps the embedded server starts a daemon, and only where none beats; the daemon ends
with the last desk. Everybody else's desk shows whether one beats.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from policywatch.errors import PolicyWatchError
from policywatch_tui.commands.base import Shell
from policywatch_tui.commands.child import daemon_argv

if TYPE_CHECKING:
    from policywatch.settings import Settings

__all__ = ["open_desk", "prepare"]

_PATIENCE = 40.0  # seconds: the daemon finishes open mail connections for up to 30


def open_desk(shell: Shell) -> int:
    """Make everything ready, run the desk, and end the daemon that a desk began when the last one leaves."""
    settings = shell.settings
    keeper = asyncio.run(prepare(settings, shell.say_step))
    if keeper and asyncio.run(_beats(settings, everyone=False)) == 0:
        _begin_daemon(shell, settings)
    from policywatch_tui.app import run_desk

    try:
        return run_desk(settings)
    finally:
        if keeper:
            _end_daemon(settings)


async def prepare(settings: Settings, say: Callable[[str], None] = lambda _sentence: None) -> bool:
    """A database that is ready: made and brought up by whoever keeps the embedded server, else only examined.

    True for the keeper, who may start a daemon beside it. Cheap when there is nothing to do.
    """
    from policywatch.db import connect, setup

    if settings.database.mode == "dsn":
        await setup.require_current(await asyncio.to_thread(connect.person, settings))
        return False
    if not connect.server(settings).is_keeper():
        return False
    await setup.prepare(settings, say=say)
    return True


async def _beats(settings: Settings, *, everyone: bool) -> int:
    """How many daemons beat now; with everyone, how many desks are open."""
    from policywatch.db import connect, listing
    from policywatch.db.pool import Database

    async with await Database.open(await asyncio.to_thread(connect.person, settings), max_size=1) as db:
        if not everyone:
            return len(await listing.workers(db))
        return sum(1 for s in await listing.sessions(db, everything=False) if s["kind"] == "desk")


def _note(settings: Settings) -> Path:
    """Where the desk that began a daemon writes its process down, for the last desk to end it."""
    return settings.database.state_folder / "daemon.json"


def _begin_daemon(shell: Shell, settings: Settings) -> None:
    """Start `policywatchd run` in a session of its own, its log beside the database."""
    log = settings.database.state_folder / "daemon.log"
    with log.open("ab") as file:
        child = subprocess.Popen(
            daemon_argv(shell, "run"),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    _note(settings).write_text(json.dumps({"pid": child.pid, "began": _began(child.pid)}), "utf-8")


def _began(pid: int) -> str:
    """When a process began, in ticks of the boot (field 22 of /proc/PID/stat): tells a reused number from ours."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _end_daemon(settings: Settings) -> None:
    """End the daemon that a desk began, when this was the last desk."""
    note = _note(settings)
    with suppress(PolicyWatchError):
        if asyncio.run(_beats(settings, everyone=True)) > 0:
            return
    try:
        written = json.loads(note.read_text("utf-8"))
        pid, began = int(written["pid"]), str(written["began"])
    except (OSError, ValueError, KeyError):
        return
    if _began(pid) == began:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + _PATIENCE
        while _began(pid) == began and not _gone(pid) and time.monotonic() < end:
            time.sleep(0.05)
    with suppress(OSError):
        note.unlink()


def _gone(pid: int) -> bool:
    """Ended, and collected when it was our child."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return not Path(f"/proc/{pid}").exists() and bool(_began(os.getpid()))
