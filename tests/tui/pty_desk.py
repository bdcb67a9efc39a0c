"""A desk in a terminal of its own: a pty whose bytes are counted, and that answers what Textual asks.

`python -m tests.tui.pty_desk` is the child: the desk over the world in memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from types import TracebackType

QUIET_SECONDS = 0.15


class PtyDesk:
    """The child in a terminal of 80x24; use as a context."""

    def __init__(self, rows: int = 500, *, columns: int = 80, lines: int = 24) -> None:
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.attributes = termios.tcgetattr(slave)
        self.slave = slave
        environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "COLORTERM", "SSH_CONNECTION"):
            environ.pop(name, None)
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.tui.pty_desk", str(rows)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environ,
            start_new_session=True,
        )

    def __enter__(self) -> PtyDesk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait(10)
        os.close(self.master)
        with contextlib.suppress(OSError):
            os.close(self.slave)

    def read(self, quiet: float = QUIET_SECONDS, *, until: bytes = b"", most: float = 20.0) -> bytes:
        """What comes until it is quiet so long, or until that stood in it."""
        seen, end = b"", time.monotonic() + most
        while time.monotonic() < end:
            ready, _, _ = select.select([self.master], [], [], 0.05 if until else quiet)
            if not ready:
                if not until or until in seen:
                    break
                continue
            try:
                part = os.read(self.master, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
            if b"\x1b[?2026$p" in part:
                os.write(self.master, b"\x1b[?2026;2$y")
        return seen

    def key(self, key: bytes) -> bytes:
        """One key, and what it paints."""
        os.write(self.master, key)
        return self.read()

    def signal(self, number: int) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.child.send_signal(number)
        return self.child.wait(10)

    @property
    def restored(self) -> bool:
        """Whether the terminal is in the mode in which it was."""
        return termios.tcgetattr(self.slave)[:4] == self.attributes[:4]


def main() -> None:
    """The child."""
    from datetime import UTC

    from policywatch_tui import terminal

    terminal.before_textual(os.environ)
    from policywatch_tui.app import run_app
    from policywatch_tui.desk.source import DeskSource
    from policywatch_tui.deskapp import DeskApp
    from tests.tui.world import World

    world = World(int(sys.argv[1]))

    async def opener() -> DeskSource:
        return world.desk()

    sys.exit(run_app(DeskApp(opener, zone=UTC), mouse=False))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main()
