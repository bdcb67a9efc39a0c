"""Dated files, listed: trees of folders and CSV indexes. Which file is which document at which time, no more.

A bad entry (no date, no known kind, outside of the folder) becomes a line of the report, and the rest goes on.
What the files hold is read by `gathering`.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from policywatch.errors import UsageError

__all__ = ["BadPiece", "Piece", "indexed", "is_tree", "read_file", "tree"]

_TEXT = ""  # stored as it is
_MEDIA = {
    ".md": _TEXT,
    ".markdown": _TEXT,
    ".txt": _TEXT,
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".pdf": "application/pdf",
    ".json": "application/json",
}
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T_ ](\d{2})[-:.]?(\d{2})(?:[-:.]?(\d{2}))?Z?)?")
_COLUMNS = ("time", "platform", "document", "file")
_ENTRIES = 500_000  # files of one source


@dataclass(frozen=True, slots=True)
class Piece:
    """One page or text of a document at a time. `media` is empty for a text that is stored as it is.

    `service` and `terms` name platform and document as the source does; `name` is where the piece was found;
    `read` gives its bytes and raises BadPiece where they cannot be had.
    """

    at: datetime
    service: str
    terms: str
    name: str
    media: str
    read: Callable[[], bytes]
    url: str = ""


class BadPiece(Exception):
    """An entry that cannot be taken, and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name, self.why = name, why


def is_tree(folder: Path) -> bool:
    """Whether a folder holds a dated file in one of the two layouts."""
    return any(isinstance(one, Piece) for one in tree(folder, 1 << 20))


def tree(folder: Path, largest: int) -> Iterator[Piece | BadPiece]:
    """Files `<Platform>/<Document>/<date>.<kind>` and `<date>/<Platform>/<Document>.<kind>`, in the order of names.

    Links are not followed; what lies higher or deeper is no part of the layouts and is left out.
    """
    for count, path in enumerate(_third_level(folder)):
        if count > _ENTRIES:
            raise UsageError(
                f"{folder} holds more than {_ENTRIES} files.", remedy="Import it platform by platform."
            )
        first, second, last = path.relative_to(folder).parts
        name = f"{first}/{second}/{last}"
        dated = date_of(first)
        service, terms, at = (
            (second, path.stem, dated) if dated is not None else (first, second, date_of(path.stem))
        )
        media = _MEDIA.get(path.suffix.lower())
        if at is None:
            yield BadPiece(name, "its name is no date (YYYY-MM-DD or YYYY-MM-DDTHH-MM-SS)")
        elif media is None:
            yield BadPiece(name, f'its kind "{path.suffix}" is none that can be read')
        else:
            yield Piece(at, service, terms, name, media, reader(path, name, largest))


def _third_level(folder: Path) -> Iterator[Path]:
    """Files exactly two folders down, hidden ones left out."""
    for first in _entries(folder, folders=True):
        for second in _entries(first, folders=True):
            yield from _entries(second, folders=False)


def _entries(folder: Path, *, folders: bool) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [
                entry.name
                for entry in entries
                if not entry.name.startswith(".")
                and (entry.is_dir(follow_symlinks=False) if folders else not entry.is_dir())
            ]
    except OSError:
        return []
    return [folder / name for name in sorted(found)]


def date_of(name: str) -> datetime | None:
    """`2024-03-01`, `2024-03-01T10-30-00`: a time in UTC; None for anything else and for days that never were."""
    match = _DATE.fullmatch(name)
    if match is None:
        return None
    day, hour, minute, second = match.groups()
    try:
        return datetime.fromisoformat(f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}+00:00")
    except ValueError:
        return None


def indexed(index: Path, largest: int) -> Iterator[Piece | BadPiece]:
    """Rows of a CSV file with the columns time, platform, document, file and perhaps url; files count from it."""
    with index.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        try:
            names = {str(name).strip().casefold(): name for name in rows.fieldnames or ()}
        except csv.Error as error:
            raise UsageError(f"The first line of {index} cannot be read: {error}.") from None
        missing = [name for name in _COLUMNS if name not in names]
        if missing:
            raise UsageError(
                f"{index} has no column {', '.join(missing)}.",
                remedy="An index has the columns time, platform, document, file, and url where pages matter.",
            )
        try:
            for number, row in enumerate(rows, start=2):
                told = {name: str(row.get(column) or "").strip() for name, column in names.items()}
                yield _row(index.parent, number, told, largest)
        except csv.Error as error:
            yield BadPiece(f"line {rows.line_num}", f"the index cannot be read beyond it: {error}")


def _row(folder: Path, number: int, told: dict[str, str], largest: int) -> Piece | BadPiece:
    name = told["file"] or f"line {number}"
    at = _time(told["time"])
    if at is None:
        return BadPiece(name, f"line {number}: its time is none (ISO 8601)")
    if not (told["platform"] and told["document"] and told["file"]):
        return BadPiece(name, f"line {number}: platform, document or file is empty")
    path = folder / told["file"]
    media = _MEDIA.get(path.suffix.lower())
    if media is None:
        return BadPiece(name, f'its kind "{path.suffix}" is none that can be read')
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        inside = False
    if not inside:
        return BadPiece(name, f"line {number}: it lies outside of the index's folder")
    read = reader(path, name, largest)
    return Piece(at, told["platform"], told["document"], name, media, read, told.get("url", ""))


def _time(text: str) -> datetime | None:
    dated = date_of(text)
    if dated is not None:
        return dated
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def reader(path: Path, name: str, largest: int) -> Callable[[], bytes]:
    """What reads a file when its turn comes."""
    return lambda: read_file(path, name, largest)


def read_file(path: Path, name: str, largest: int) -> bytes:
    """The bytes of a plain file of at most `largest`. Raises BadPiece."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise BadPiece(name, f"it cannot be read: {error.strerror or error}") from error
    with os.fdopen(descriptor, "rb") as file:
        try:
            body = file.read(largest + 1)
        except OSError as error:
            raise BadPiece(name, f"it cannot be read: {error.strerror or error}") from error
    if len(body) > largest:
        raise BadPiece(name, f"it has more than {largest} bytes")
    return body
