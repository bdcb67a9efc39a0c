"""Processor time and memory of processes, read from /proc: ours, the reader's, PostgreSQL's. Linux only; else 0."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

__all__ = ["memory_mb", "our_seconds", "reader_seconds", "tree_seconds"]

_TICKS = os.sysconf("SC_CLK_TCK")


def our_seconds() -> float:
    """Processor seconds of this process alone."""
    return time.process_time()


def reader_seconds(leave_out: int | None = None) -> float:
    """Processor seconds of our children, ended ones too, but for one that is no part of the daemon."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = sum(own for pid, parent, own, _ in _table() if parent == os.getpid() and pid != leave_out)
    return ended.ru_utime + ended.ru_stime + living


def tree_seconds(head: int | None) -> float | None:
    """Processor seconds of a process with its living and ended children; None where there is none to see."""
    if head is None:
        return None
    table = _table()
    if not any(pid == head for pid, *_ in table):
        return None
    return sum(
        own + ended if pid == head else own for pid, parent, own, ended in table if head in (pid, parent)
    )


def memory_mb(pid: int | None = None) -> float:
    """Resident memory of a process (default: this one) in MB."""
    try:
        text = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith("VmRSS:")), "VmRSS: 0 kB")
    return round(int(line.split()[1]) / 1024, 1)


def _table() -> list[tuple[int, int, float, float]]:
    """(process, parent, own seconds, seconds of ended children) of every process."""
    found = list[tuple[int, int, float, float]]()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        user, system, ended_user, ended_system = map(int, fields[11:15])
        seconds = (user + system) / _TICKS, (ended_user + ended_system) / _TICKS
        found.append((int(place.name), int(fields[1]), *seconds))
    return found
