"""A source that is no history of commits becomes one: its texts in a scratch repository, its versions in order.

HTML, PDF and JSON become text by the extraction rule of their document, in the bounded child; Markdown and plain
text are stored as they are. A piece that cannot be taken is a version with a fault: counted, listed, left out.
Names of versions (`commit`) come from time and bytes alone, so that a folder may move between two imports.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import pygit2

from policywatch.db.history import KnownPage
from policywatch.errors import PolicyWatchError
from policywatch.reading.rules import ExtractionError
from policywatchd.collect.archives import pieces, webarchive
from policywatchd.collect.archives.naming import Names
from policywatchd.collect.archives.pieces import BadPiece, Piece
from policywatchd.collect.archives.repository import (
    NAME_LIMIT,
    Archive,
    Kind,
    Version,
    fault_of,
    is_repository,
    no_source,
    open_archive,
)
from policywatchd.collect.archives.webarchive import Place
from policywatchd.judge.texts import compose

__all__ = ["Sources", "open_source"]

_TOGETHER = timedelta(hours=1)  # pages of one document that one run of a crawler fetched
_EPOCH = datetime.fromtimestamp(0, UTC)


class Extracts(Protocol):
    """What takes the text out of a page: the daemon's bounded reader."""

    async def extract(self, body: bytes, content_type: str, rule: Mapping[str, Any], base_url: str) -> str:
        """The text of a page by a rule."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What reading a source needs to know: names, the pages of each document, limits."""

    names: Names
    pages: Mapping[int, Sequence[KnownPage]]
    reader: Extracts
    largest: int

    def places(self) -> dict[str, Place]:
        """Every page of the catalogue by its address, with the document it belongs to."""
        return {
            webarchive.address_key(page.url): Place(page.platform_name, page.document_name)
            for page in chain.from_iterable(self.pages.values())
        }


@asynccontextmanager
async def open_source(source: str, sources: Sources) -> AsyncIterator[Archive]:
    """Whatever `source` is, as an archive of versions. Raises UsageError for what nobody can read."""
    path = Path(source).expanduser()
    found = _pieces(path, sources)
    if found is None:
        with open_archive(source) as archive:
            yield archive
        return
    with tempfile.TemporaryDirectory(prefix="policywatch-import-") as folder:
        scratch = pygit2.init_repository(folder, bare=True)
        gatherer = _Gatherer(sources, scratch, path.resolve().name[:NAME_LIMIT])
        await gatherer.gather(found)
        yield Archive(
            Path(folder),
            gatherer.name,
            scratch,
            None,
            tuple(sorted(gatherer.versions, key=lambda one: (one.at, one.path))),
            gatherer.unchanged,
        )


def _pieces(path: Path, sources: Sources) -> Iterable[Piece | BadPiece] | None:
    """The pieces of a source, None where it is git's business."""
    if path.is_dir():
        if is_repository(path):
            return None
        if recorded := webarchive.files(path):
            return chain.from_iterable(_records(file, sources) for file in recorded)
        if pieces.is_tree(path):
            return pieces.tree(path, sources.largest)
        raise no_source(str(path))
    if path.is_file():
        if webarchive.is_warc(path):
            return _records(path, sources)
        if path.suffix.lower() == ".csv":
            return pieces.indexed(path, sources.largest)
    return None


def _records(path: Path, sources: Sources) -> Iterable[Piece | BadPiece]:
    return webarchive.records(path, sources.places(), sources.largest)


@dataclass(slots=True)
class _Read:
    """A piece with its bytes in the scratch repository."""

    piece: Piece
    blob: pygit2.Oid
    sha256: bytes


@dataclass(slots=True)
class _Composed:
    """The newest text of each page of a document of several pages."""

    texts: dict[int, tuple[bytes, str]] = field(default_factory=dict)


class _Gatherer:
    """Reads all pieces of one source."""

    def __init__(self, sources: Sources, scratch: pygit2.Repository, name: str) -> None:
        self._sources, self._scratch, self.name = sources, scratch, name
        self.versions: list[Version] = []
        self.unchanged = 0
        self._newest: dict[str, pygit2.Oid] = {}

    async def gather(self, found: Iterable[Piece | BadPiece]) -> None:
        """Read every piece once (bytes go to the scratch repository at once), then each document in its order."""
        documents: dict[tuple[str, str], list[_Read]] = {}
        for one in found:
            if isinstance(one, BadPiece):
                self._refuse(one.name, one.why)
                continue
            path = f"{one.service}/{one.terms}.md"
            if fault := fault_of(path, 0, 0):
                self._refuse(one.name, fault)
                continue
            try:
                body = one.read()
            except BadPiece as bad:
                self._refuse(bad.name, bad.why)
                continue
            if not one.media and b"\x00" in body:
                self._refuse(one.name, "it is binary")
                continue
            # what reads it may hold its bytes, and there may be gigabytes of them
            piece = replace(one, read=bytes)
            read = _Read(piece, self._scratch.create_blob(body), hashlib.sha256(body).digest())
            target = self._sources.names.find(one.service, one.terms, path)
            # spelled in two ways it is one chain; under a former name of its platform it is a chain of its own
            key = target.key if target is not None else one.terms.casefold()
            documents.setdefault((one.service.casefold(), key), []).append(read)
        for reads in documents.values():
            reads.sort(key=lambda read: (read.piece.at, read.piece.name))
            await self._document(reads)

    async def _document(self, reads: Sequence[_Read]) -> None:
        first = reads[0].piece
        path = f"{first.service}/{first.terms}.md"
        target = self._sources.names.find(first.service, first.terms, path)
        pages = self._sources.pages.get(target.id, ()) if target is not None and target.id is not None else ()
        composed = _Composed()
        for group in _groups(reads, len(pages)):
            if not group[0].piece.media:
                for read in group:
                    self._add(path, read.piece, read.blob, read.sha256)
            elif target is None:  # counted as a service that is none of ours; its text does not matter
                for read in group:
                    self._add(path, read.piece, self._scratch.create_blob(b""), read.sha256)
            elif len(pages) > 1:
                await self._several(path, group, pages, composed)
            else:
                for read in group:
                    await self._single(path, read, pages)

    async def _single(self, path: str, read: _Read, pages: Sequence[KnownPage]) -> None:
        text = await self._text(read, pages[0] if pages else None, path)
        if text is not None:
            self._add(path, read.piece, self._scratch.create_blob(text.encode()), read.sha256)

    async def _several(
        self, path: str, group: Sequence[_Read], pages: Sequence[KnownPage], composed: _Composed
    ) -> None:
        """Pages that were recorded together are one version, once every page has been seen."""
        by_url = {webarchive.address_key(page.url): page for page in pages}
        fresh = False
        for read in group:
            page = by_url.get(webarchive.address_key(read.piece.url)) if read.piece.url else None
            if page is None:
                self._refuse(
                    read.piece.name,
                    f"its document has {len(pages)} pages and no url says which of them it is",
                )
                continue
            text = await self._text(read, page, path)
            if text is not None:
                composed.texts[page.id] = (read.sha256, text)
                fresh = True
        if not fresh:
            return
        missing = [page.url for page in pages if page.id not in composed.texts]
        if missing:
            self._refuse(
                group[-1].piece.name, f"of its document's pages one was never seen yet: {missing[0]}"
            )
            return
        text = compose([(page.url, composed.texts[page.id][1]) for page in pages])
        sha256 = hashlib.sha256(b"".join(composed.texts[page.id][0] for page in pages)).digest()
        self._add(path, group[-1].piece, self._scratch.create_blob(text.encode()), sha256)

    async def _text(self, read: _Read, page: KnownPage | None, path: str) -> str | None:
        """The declared text of a piece; None where there is none, which is noted."""
        piece = read.piece
        if page is None:
            self._refuse(
                piece.name, f"{path.removesuffix('.md')} has no page here, so no rule finds its text"
            )
            return None
        blob = self._scratch[read.blob]
        assert isinstance(blob, pygit2.Blob)
        try:
            return await self._sources.reader.extract(blob.data, piece.media, page.rule, page.url)
        except ExtractionError as error:
            self._refuse(piece.name, f"the rule of its page gives no text: {error.what}")
        except PolicyWatchError as error:  # the bounded child gave up
            self._refuse(piece.name, f"it cannot be read within the limits: {error.what}")
        return None

    def _add(self, path: str, piece: Piece, blob: pygit2.Oid, sha256: bytes) -> None:
        if self._newest.get(path) == blob:
            self.unchanged += 1  # a daily copy of the same text says nothing new
            return
        self._newest[path] = blob
        size = int(self._scratch.odb.read_header(blob)[1])
        origin = {
            "source": self.name,
            "file": piece.name[:NAME_LIMIT],
            "path": path,
            "bytes_sha256": sha256.hex(),
        }
        if piece.url:
            origin["url"] = piece.url
        self.versions.append(
            Version(
                commit=f"{piece.at:%Y-%m-%dT%H:%M:%SZ} {sha256.hex()[:40]}",
                path=path,
                service=piece.service,
                terms=piece.terms,
                kind=Kind.CHANGE,
                at=piece.at,
                message="",
                blob=str(blob),
                size=size,
                fault=fault_of(path, size, self._sources.largest),
                origin=origin,
            )
        )

    def _refuse(self, name: str, why: str) -> None:
        shown, said = (
            "".join(sign if sign.isprintable() else "\ufffd" for sign in one)
            for one in (name[:NAME_LIMIT], why[:500])
        )
        self.versions.append(
            Version(
                commit="",
                path=shown,
                service="",
                terms="",
                kind=Kind.CHANGE,
                at=_EPOCH,
                message="",
                blob="",
                size=0,
                fault=said,
            )
        )


def _groups(reads: Sequence[_Read], pages: int) -> list[list[_Read]]:
    """Each piece by itself; of a document of several pages, those that were fetched within an hour."""
    groups: list[list[_Read]] = []
    for read in reads:
        same = (
            pages > 1
            and groups
            and read.piece.media
            and groups[-1][0].piece.media
            and read.piece.at - groups[-1][0].piece.at <= _TOGETHER
        )
        if same:
            groups[-1].append(read)
        else:
            groups.append([read])
    return groups
