"""The hand-over journal: what a daemon wrote down before and after each mail, for whoever comes after a crash.

A local file per daemon. `C` and a claim before rows of that claim are marked; `D` and a row before its message is
handed over; `2` and a row after the relay's 250. Plain writes without fsync: the page cache outlives a killed
process, and after a reboot the file does not count. The writer locks the file for its life, so a process that is
merely stopped is never read as dead. What the journal does not cover stays uncertain.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

__all__ = ["Journal", "Left", "left_behind"]

log = logging.getLogger("policywatch.publish")

_ENDING = ".journal"
_MOST_OCTETS = 256 * 1024 * 1024
_HEADER_OCTETS = 4096


@dataclass(frozen=True, slots=True)
class Left:
    """What a dead daemon's journal says: claims it covers, rows handed over, rows that were accepted."""

    worker: str
    claims: frozenset[UUID]
    handed: frozenset[int]
    accepted: frozenset[int]


class Journal:
    """The journal of this daemon. An OSError of a write means: nothing may be handed over."""

    def __init__(self, descriptor: int, path: Path, header: bytes) -> None:
        self._descriptor, self._path, self._header = descriptor, path, header
        self._empty = True

    @classmethod
    def begin(cls, folder: Path, worker: str, *, boot: str, install: str) -> Journal:
        """A new journal; call it only when an older one of this worker has been read and its outcome committed."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / (hashlib.sha256(worker.encode()).hexdigest()[:24] + _ENDING)
        header = json.dumps({"worker": worker, "boot": boot, "install": install}).encode() + b"\n"
        part = path.with_suffix(".part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(part, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(descriptor, header)
            part.rename(path)  # under its name it is locked and has its header
        except OSError:
            os.close(descriptor)
            raise
        return cls(descriptor, path, header)

    def claim(self, claim: UUID) -> None:
        """Rows will be marked by this claim."""
        self._empty = False
        _write(self._descriptor, b"C" + claim.bytes)

    def hand_over(self, recipient: int) -> None:
        """The message of this row is handed over next."""
        _write(self._descriptor, b"D" + recipient.to_bytes(8, "big"))

    def accepted(self, recipient: int) -> None:
        """The relay said 250 to it."""
        _write(self._descriptor, b"2" + recipient.to_bytes(8, "big"))

    def clear(self) -> None:
        """Every answer is stored and nothing is marked: begin with an empty page."""
        if not self._empty:
            os.ftruncate(self._descriptor, len(self._header))
            self._empty = True

    def end(self, *, settled: bool) -> None:
        """Close; `settled`: every answer is stored, so nothing is left to be read."""
        if settled:
            with suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)


def _write(descriptor: int, octets: bytes) -> None:
    if os.write(descriptor, octets) != len(octets):
        raise OSError("the journal is full")


@contextmanager
def left_behind(folder: Path, *, boot: str, install: str) -> Iterator[list[Left]]:
    """The journals of daemons that are dead. They are removed when the block ends well, and stay locked within it."""
    found: list[tuple[Path, int]] = []
    said: list[Left] = []
    try:
        for path in sorted(folder.glob("*" + _ENDING)) if folder.is_dir() else ():
            descriptor = _locked(path)
            if descriptor is None:
                continue
            found.append((path, descriptor))
            left = _read(descriptor, boot=boot, install=install)
            if left is None:
                log.warning("journal_of_no_use file=%s", path.name)
            else:
                said.append(left)
        yield said
        for path, _ in found:
            with suppress(OSError):
                path.unlink()
    finally:
        for _, descriptor in found:
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """The open file, if its writer is gone and nobody else reads it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _read(descriptor: int, *, boot: str, install: str) -> Left | None:
    """What a journal says; None if it is of another boot or installation, or unreadable."""
    octets = os.pread(descriptor, _MOST_OCTETS, 0)
    line, newline, records = octets.partition(b"\n")
    try:
        header = json.loads(line[:_HEADER_OCTETS]) if newline else {}
    except ValueError:
        return None
    if (
        not isinstance(header, dict)
        or not boot
        or header.get("boot") != boot
        or header.get("install") != install
    ):
        return None
    claims, handed, accepted = set[UUID](), set[int](), set[int]()
    at = 0
    while at < len(records):
        kind, size = records[at : at + 1], 16 if records[at : at + 1] == b"C" else 8
        value = records[at + 1 : at + 1 + size]
        if kind not in (b"C", b"D", b"2") or len(value) < size:
            if len(records) - at > size:  # damage in the middle, not a torn end: believe nothing
                return None
            break
        if kind == b"C":
            claims.add(UUID(bytes=value))
        else:
            (handed if kind == b"D" else accepted).add(int.from_bytes(value, "big"))
        at += 1 + size
    return Left(str(header.get("worker")), frozenset(claims), frozenset(handed), frozenset(accepted))
