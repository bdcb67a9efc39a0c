"""What the browser's processes take, read from /proc; and their end. Only processes below our own are looked at."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

__all__ = ["browsers", "family", "kill", "taken"]

_PROC = Path("/proc")


def _parents() -> dict[int, int]:
    """Process -> parent, of all that we may see."""
    found: dict[int, int] = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = Path(entry.path, "stat").read_text("utf-8", "replace")
                found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def family(root: int) -> set[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    found, open_ = set[int](), [root]
    while open_:
        pid = open_.pop()
        if pid not in found:
            found.add(pid)
            open_ += children.get(pid, [])
    return found


def browsers() -> set[int]:
    """The browsers below us: processes of Chromium that no other of its processes started."""
    return {pid for pid in family(os.getpid()) if _is_browser(pid)}


def _is_browser(pid: int) -> bool:
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    line = words if len(words) > 2 else words[0].split(b" ")  # it writes its arguments over as one
    return any(word.startswith(b"--remote-debugging") for word in line) and not any(
        word.startswith(b"--type=") for word in line
    )


def taken(root: int) -> int:
    """Bytes of a process and its descendants that are theirs alone: not files, which they share."""
    return sum(_own(pid) for pid in family(root))


def _own(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        return sum(_lines((_PROC / str(pid) / "status").read_text("utf-8", "replace")))
    return 0


def _lines(status: str) -> Iterator[int]:
    for line in status.splitlines():
        if line.startswith(("RssAnon:", "RssShmem:")):
            yield int(line.split()[1]) * 1024


def kill(root: int) -> None:
    """End a process and its descendants at once; one that is gone already is no error."""
    for pid in family(root):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
