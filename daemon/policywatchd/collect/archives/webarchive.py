"""WARC files: the answers that some crawler recorded for the pages of our documents.

A record counts where its address is exactly that of a page of the catalogue. What it says is foreign: limits on
every record, nothing is run; its text is taken by the page's rule in the bounded child (`gathering`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from policywatchd.collect.archives.pieces import BadPiece, Piece

__all__ = ["Place", "address_key", "files", "is_warc", "records"]

_ENDS = (".warc", ".warc.gz")
_LONGEST_LINE, _MOST_LINES = 64 * 1024, 200_000  # of the head of one record, and what stands in pieces in it


@dataclass(frozen=True, slots=True)
class Place:
    """The document that a page belongs to, by the names that an archive would use."""

    service: str
    terms: str


def is_warc(path: Path) -> bool:
    """By its name."""
    return path.name.lower().endswith(_ENDS) and path.is_file()


def files(folder: Path) -> list[Path]:
    """The WARC files of a folder, by name."""
    return sorted(path for path in folder.iterdir() if is_warc(path))


def address_key(url: str) -> str:
    """Addresses that ask a server for the same thing."""
    plain = urldefrag(url.strip().strip("<>"))[0]
    return plain[:-1] if plain.endswith("/") else plain


def records(path: Path, places: Mapping[str, Place], largest: int) -> Iterator[Piece | BadPiece]:
    """The answers recorded for pages of ours; `places` by `address_key`."""
    with path.open("rb") as stream:
        iterator = ArchiveIterator(stream)
        lines = _Lines(iterator.reader)
        try:
            for number, record in enumerate(iterator, start=1):
                lines.read = 0
                if record.rec_type not in ("response", "resource"):
                    continue
                url = str(record.rec_headers.get_header("WARC-Target-URI") or "")
                place = places.get(address_key(url))
                if place is not None:
                    yield _piece(record, f"{path.name} record {number}", url, place, largest)
        except (ArchiveLoadFailed, EOFError, OSError, ValueError) as error:
            yield BadPiece(path.name, f"it cannot be read any further: {error}")


class _Lines:
    """Bounds the lines that a library reads of a file: of each its length, of each record their number."""

    def __init__(self, reader: Any) -> None:
        self.read = 0
        self._readline = reader.readline
        reader.readline = self._bounded

    def _bounded(self, length: int | None = None) -> bytes:
        self.read += 1
        if self.read > _MOST_LINES:
            raise ArchiveLoadFailed(f"a record has more than {_MOST_LINES} lines in its head")
        line: bytes = self._readline(min(length or _LONGEST_LINE, _LONGEST_LINE))
        if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            raise ArchiveLoadFailed("a line in the head of a record does not end")
        return line


def _piece(record: Any, name: str, url: str, place: Place, largest: int) -> Piece | BadPiece:
    http = record.http_headers
    status = http.get_statuscode() if http is not None else "200"
    if status != "200":
        return BadPiece(name, f"{url} answered {str(status)[:20]}")
    media = str(
        (http.get_header("Content-Type") if http is not None else None)
        or record.rec_headers.get_header("Content-Type")
        or "text/html"
    )
    at = _time(str(record.rec_headers.get_header("WARC-Date") or ""))
    if at is None:
        return BadPiece(name, "its WARC-Date is no time")
    try:
        body = record.content_stream().read(largest + 1)
        cut = len(body) <= largest and not record.raw_stream.read(1) and record.raw_stream.limit > 0
    except Exception as error:  # noqa: BLE001 (decoders of foreign bytes raise what they like)
        return BadPiece(name, f"its body cannot be decoded: {type(error).__name__}")
    if len(body) > largest:
        return BadPiece(name, f"it has more than {largest} bytes")
    if cut:  # half a page would be announced as "sections removed"
        return BadPiece(name, "it is cut off")
    return Piece(at, place.service, place.terms, name, media, lambda: body, url)


def _time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
