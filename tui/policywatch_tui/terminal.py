"""What the desk must settle with the terminal itself: environment, signals, reports, the hardware cursor.

The one place that touches Textual's private driver, so that another version of it breaks here, in a test.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator, MutableMapping
from types import FrameType
from typing import Any

__all__ = ["RESTORE", "after_start", "before_textual", "signals_end", "write_raw"]

RESTORE = (
    b"\x1b[?2026l\x1b[<u\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l"
    b"\x1b[?1049l\x1b[?25h\x1b[0m"
)
"""Main screen, mouse, focus, paste and kitty keys off, cursor shown."""
_PATIENCE_SECONDS = 1.5


def before_textual(environ: MutableMapping[str, str]) -> None:
    """Settings that Textual reads at its import: longer escapes and plain keys over SSH, no animation."""
    over_ssh = bool(environ.get("SSH_CONNECTION"))
    environ.setdefault("ESCDELAY", "250" if over_ssh else "100")
    if over_ssh:
        environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    environ["TEXTUAL_ANIMATIONS"] = "none"


def write_raw(app: Any, sequence: str) -> None:
    """Send a sequence past the compositor; nothing happens where there is no driver."""
    driver = getattr(app, "_driver", None)
    if driver is not None:
        driver.write(sequence)
        driver.flush()


def after_start(app: Any) -> None:
    """Focus reports off (each would repaint the screen), the real cursor on."""
    write_raw(app, "\x1b[?1004l\x1b[?25h")


@contextlib.contextmanager
def signals_end(
    end: Callable[[int], None], loop: Callable[[], asyncio.AbstractEventLoop | None]
) -> Iterator[None]:
    """Within: TERM and HUP end the desk with 128 + signal, restoring the terminal even while it is stalled.

    Textual handles neither, and a terminal that does not read blocks the event loop: then, after
    1.5 seconds, the terminal is restored without waiting and the program leaves.
    """
    try:
        before: list[Any] | None = termios.tcgetattr(sys.__stdin__.fileno()) if sys.__stdin__ else None
    except (termios.error, ValueError, OSError):
        before = None
    leaving = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        code = 128 + number
        running = loop()
        if running is not None:
            running.call_soon_threadsafe(end, code)
        timer = threading.Timer(_PATIENCE_SECONDS, _leave_at_once, (code, before, leaving))
        timer.daemon = True
        timer.start()

    old = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        leaving.set()
        for number, handler in old.items():
            signal.signal(number, handler)


def _leave_at_once(code: int, before: list[Any] | None, leaving: threading.Event) -> None:
    if leaving.is_set():
        return
    with contextlib.suppress(OSError, termios.error, AttributeError):
        fd = sys.__stderr__.fileno() if sys.__stderr__ else 2
        os.set_blocking(fd, False)
        os.write(fd, RESTORE)
    with contextlib.suppress(OSError, termios.error, AttributeError):
        if before is not None and sys.__stdin__:
            termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, before)
    os._exit(code)
