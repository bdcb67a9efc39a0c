"""An archive's versions in the database: a batch of snapshots and changes in a few statements.

The same tables as `policywatch.db.judging` writes one visit at a time, in the caller's transaction. What is first,
a change or technical, and in which order, was decided by the import.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load
from policywatch.errors import Conflict

__all__ = [
    "KnownDocument",
    "KnownPage",
    "KnownPlatform",
    "NewChange",
    "NewVersion",
    "Newest",
    "StoredVersion",
    "add_changes",
    "add_document",
    "add_keys",
    "add_versions",
    "documents",
    "lock_documents",
    "move_newest",
    "pages",
    "platforms",
    "predecessors",
    "stored_versions",
    "suspect_versions",
    "unsearchable",
]

_sql = load("history")


@dataclass(frozen=True, slots=True)
class KnownPlatform:
    """A platform by the names it is known under."""

    id: int
    key: str
    name: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document of a platform."""

    id: int
    platform_id: int
    key: str
    name: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A page of a document with the rule in force."""

    id: int
    document_id: int
    document_name: str
    platform_name: str
    url: str
    rule: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version that is in the database, as the next one refers to it."""

    id: int
    fetched_at: datetime
    text_sha256: bytes


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest snapshot of a document; `source_ref` is the commit it came from, None for the daemon's own."""

    id: int
    fetched_at: datetime
    source_ref: str | None


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version to store. `source_ref` (the commit) is unique within the document."""

    document_id: int
    fetched_at: datetime
    source_ref: str
    kind: str
    text_sha256: bytes
    reader_hash: bytes
    link_hash: bytes
    origin: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewChange:
    """A change between two stored versions. `passages` is JSON text, `analysis` what `Analysis.to_json` gives."""

    document_id: int
    status: str
    before: StoredVersion
    after: StoredVersion
    noise_kind: str
    words_added: int
    words_removed: int
    passages: str
    analysis: Mapping[str, Any]


async def platforms(db: Database | Tx) -> list[KnownPlatform]:
    """All platforms, in the catalogue's order."""
    rows = await db.all(_sql.platforms)
    return [KnownPlatform(row["id"], row["key"], row["name"], tuple(row["aliases"])) for row in rows]


async def documents(db: Database | Tx) -> list[KnownDocument]:
    """All documents, archived ones too."""
    return [KnownDocument(**row) for row in await db.all(_sql.documents)]


async def pages(db: Database | Tx) -> dict[int, list[KnownPage]]:
    """The active pages of documents, by document, in reading order."""
    found: dict[int, list[KnownPage]] = {}
    for row in await db.all(_sql.pages):
        found.setdefault(row["document_id"], []).append(KnownPage(**row))
    return found


async def add_document(tx: Tx, platform_id: int, key: str, name: str, archive: Mapping[str, str]) -> int:
    """Make a paused document that is known from an archive alone; returns its number, also if it was there."""
    made = await tx.value(
        _sql.add_document, platform=platform_id, key=key, name=name, archive=json.dumps(dict(archive))
    )
    if made is None:
        made = await tx.value(_sql.document_id, platform=platform_id, key=key)
    return int(made)


async def stored_versions(db: Database, documents: Sequence[int]) -> dict[tuple[int, str], StoredVersion]:
    """What is stored of archives, by document and source_ref."""
    rows = await db.all(_sql.stored_versions, documents=list(documents))
    return {
        (row["document_id"], row["source_ref"]): StoredVersion(
            row["id"], row["fetched_at"], bytes(row["text_sha256"])
        )
        for row in rows
    }


async def predecessors(
    db: Database, places: Sequence[tuple[int, str, datetime]]
) -> dict[tuple[int, str], StoredVersion]:
    """The newest version out of dated files before each (document, path, time), by document and path."""
    rows = await db.all(
        _sql.predecessors,
        documents=[document for document, _, _ in places],
        paths=[path for _, path, _ in places],
        times=[at for _, _, at in places],
    )
    return {
        (row["document_id"], row["path"]): StoredVersion(
            row["id"], row["fetched_at"], bytes(row["text_sha256"])
        )
        for row in rows
    }


async def suspect_versions(db: Database | Tx, documents: Sequence[str]) -> set[tuple[str, str]]:
    """What imports held back, as (platform/document, source_ref): the audit log is where that is written down."""
    rows = await db.all(_sql.suspect_versions, documents=list(documents))
    return {(row["document"], row["source_ref"]) for row in rows}


async def lock_documents(tx: Tx, documents: Sequence[int]) -> dict[int, Newest | None]:
    """Hold documents until the transaction ends; returns the newest snapshot of each."""
    rows = await tx.all(_sql.lock_documents, documents=sorted(documents))
    return {
        row["id"]: None
        if row["newest"] is None
        else Newest(row["newest"], row["fetched_at"], row["source_ref"])
        for row in rows
    }


async def add_keys(tx: Tx, versions: Sequence[NewVersion]) -> list[StoredVersion]:
    """Anchors of the versions, numbered in their order. Raises Conflict where one is stored by now."""
    rows = await tx.all(
        _sql.add_keys,
        document_id=[one.document_id for one in versions],
        fetched_at=[one.fetched_at for one in versions],
        source_ref=[one.source_ref for one in versions],
    )
    ids = {(row["document_id"], row["source_ref"]): row["id"] for row in rows}
    if len(ids) != len(versions):
        raise Conflict(
            "Another import stored some of these versions meanwhile.",
            remedy="Wait until it has ended and run this one again: it passes over what is there.",
        )
    return [
        StoredVersion(ids[one.document_id, one.source_ref], one.fetched_at, one.text_sha256)
        for one in versions
    ]


async def add_versions(
    tx: Tx, versions: Sequence[NewVersion], stored: Sequence[StoredVersion], previous: Sequence[int | None]
) -> None:
    """The snapshots of `versions` under the anchors that `add_keys` gave; their texts are stored already."""
    await tx.run(
        _sql.add_snapshots,
        id=[one.id for one in stored],
        fetched_at=[one.fetched_at for one in versions],
        document_id=[one.document_id for one in versions],
        previous_id=list(previous),
        kind=[one.kind for one in versions],
        text_sha256=[one.text_sha256 for one in versions],
        reader_hash=[one.reader_hash for one in versions],
        link_hash=[one.link_hash for one in versions],
        origin=[json.dumps(dict(one.origin), ensure_ascii=False) for one in versions],
    )


async def add_changes(tx: Tx, changes: Sequence[NewChange], *, engine: str) -> list[int]:
    """Changes with passages and first analysis, numbered in their order; returns the numbers."""
    if not changes:
        return []
    at = [one.after.fetched_at for one in changes]
    rows = await tx.all(
        _sql.add_states,
        document_id=[one.document_id for one in changes],
        detected_at=at,
        status=[one.status for one in changes],
        severity=[str(one.analysis["severity"]) for one in changes],
    )
    rows.sort(key=lambda row: row["change_id"])
    for row, one in zip(rows, changes, strict=True):  # numbers are given in the order of the rows
        assert (row["document_id"], row["detected_at"]) == (one.document_id, one.after.fetched_at)
    ids = [int(row["change_id"]) for row in rows]
    await tx.run(
        _sql.add_changes,
        id=ids,
        detected_at=at,
        document_id=[one.document_id for one in changes],
        before_snapshot=[one.before.id for one in changes],
        after_snapshot=[one.after.id for one in changes],
        before_sha256=[one.before.text_sha256 for one in changes],
        after_sha256=[one.after.text_sha256 for one in changes],
        before_at=[one.before.fetched_at for one in changes],
        noise_kind=[one.noise_kind for one in changes],
        words_added=[one.words_added for one in changes],
        words_removed=[one.words_removed for one in changes],
        passages=[one.passages for one in changes],
        engine=engine,
    )
    analyses = [{"change_id": id_, **one.analysis} for id_, one in zip(ids, changes, strict=True)]
    await tx.run(_sql.add_analyses, analyses=json.dumps(analyses, ensure_ascii=False))
    return ids


async def move_newest(tx: Tx, moves: Mapping[int, tuple[int, datetime | None]]) -> None:
    """By document: its newest snapshot, and when its words changed last (None: they did not)."""
    if moves:
        await tx.run(
            _sql.move_newest,
            document_id=list(moves),
            snapshot=[snapshot for snapshot, _ in moves.values()],
            changed_at=[at for _, at in moves.values()],
        )


async def unsearchable(db: Database) -> list[dict[str, Any]]:
    """document_id, newest_snapshot, text_sha256 of what an import made newest and the search does not know yet."""
    return await db.all(_sql.unsearchable)
