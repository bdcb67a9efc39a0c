"""What a visit must know beyond the last good capture: the past of a page, and what earlier looks left open.

Reads and the small writes that belong to them. What follows from it is decided in `policywatchd.judge`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from policywatch.db.collecting import Base
from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = [
    "Candidate",
    "Past",
    "Variant",
    "alternations_of",
    "candidate_of",
    "count_alternation",
    "count_variants",
    "end_trial",
    "forget_variants",
    "look_later",
    "names_around",
    "neighbour_texts",
    "past_of",
    "remember_variant",
    "settle_change",
    "variants_of",
]

_sql = load("looks")


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a page: characters of its last good texts, and what the platform's other pages say."""

    lengths: tuple[int, ...]
    neighbours: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change that is not believed yet: from the snapshot `before_id` to `after`. `looks` without agreement.

    `due`: the time of its next look has come; one that comes earlier (a person asked) cannot confirm it.
    """

    change_id: int
    version: int
    status: str
    verdict: str | None
    looks: int
    severity: str
    summary: str
    reverts: int | None
    before_id: int
    after: Base
    due: bool


@dataclass(frozen=True, slots=True)
class Variant:
    """A text that a document shows by turns; `in_a_row` looks saw it without a break, `since` so long ago."""

    reader_hash: bytes
    in_a_row: int
    since: timedelta


async def past_of(db: Database, page: int) -> Past:
    """The past of a page (its id); `neighbours` are reader hashes in hexadecimal."""
    lengths = [int(row["length"]) for row in await db.all(_sql.past_of, page=page)]
    others = [str(row["reader"]) for row in await db.all(_sql.neighbours_of, page=page)]
    return Past(tuple(lengths), tuple(others))


async def neighbour_texts(db: Database, page: int) -> list[bytes]:
    """The hashes of the last good texts of the platform's other pages."""
    return [bytes(row["text_sha256"]) for row in await db.all(_sql.neighbour_texts, page=page)]


async def names_around(db: Database, page: int) -> tuple[str, list[str]]:
    """What a page's document is called, and what the platform's other documents are."""
    row = await db.one(_sql.names_around, page=page)
    return ("", []) if row is None else (str(row["own"]), list(row["names"]))


async def candidate_of(db: Database, document: int) -> Candidate | None:
    """The change that waits for another look; there is at most one."""
    row = await db.one(_sql.candidate_of, document=document)
    if row is None:
        return None
    after = Base(
        row.pop("id"),
        row.pop("document_id"),
        row.pop("fetched_at"),
        row.pop("source"),
        bytes(row.pop("text_sha256")),
        bytes(row.pop("reader_hash")),
        bytes(row.pop("link_hash")),
        tuple(row.pop("captures")),
        row.pop("origin"),
    )
    return Candidate(after=after, **row)


async def variants_of(db: Database, document: int) -> list[Variant]:
    """The texts that a document is known to show by turns."""
    return [
        Variant(bytes(row["reader_hash"]), row["in_a_row"], row["since"])
        for row in await db.all(_sql.variants_of, document=document)
    ]


async def settle_change(tx: Tx, change: int, was: str, status: str) -> int | None:
    """Nothing is open of a candidate any more. The new version; None where a person was faster."""
    version = await tx.value(_sql.settle_change, change=change, was=was, status=status)
    return None if version is None else int(version)


async def look_later(
    tx: Tx, change: int, was: str, status: str, wait: timedelta, *, counts: bool
) -> int | None:
    """Another look after `wait`. The version; None where a person was faster."""
    version = await tx.value(
        _sql.look_later, change=change, was=was, status=status, wait=wait, looks=int(counts)
    )
    return None if version is None else int(version)


async def remember_variant(tx: Tx, document: int, reader_hash: bytes, text_sha256: bytes) -> None:
    """From now on this text alone is no change of the document; five are remembered."""
    await tx.run(_sql.remember_variant, document=document, reader_hash=reader_hash, text_sha256=text_sha256)
    await tx.run(_sql.forget_variants, document=document, reader_hash=None, all=False)


async def forget_variants(tx: Tx, document: int, reader_hash: bytes | None = None) -> None:
    """Forget one variant, or (None) all of them."""
    await tx.run(_sql.forget_variants, document=document, reader_hash=reader_hash, all=reader_hash is None)


async def count_variants(tx: Tx, document: int, seen: bytes | None) -> None:
    """A look saw this variant, or (None) none of them: the rows of the others end."""
    await tx.run(_sql.count_variants, document=document, seen=seen)


async def alternations_of(tx: Tx, document: int, before: bytes, after: bytes) -> list[dict[str, Any]]:
    """Earlier changes between two texts (reader hashes): change_id, version, noise, same_way, recent; oldest first."""
    return await tx.all(_sql.alternations_of, document=document, before=before, after=after)


async def count_alternation(tx: Tx, change: int) -> int | None:
    """The two texts of a change came by turns once more; its version."""
    version = await tx.value(_sql.count_alternation, change=change)
    return None if version is None else int(version)


async def end_trial(tx: Tx, page: int, rule: int, result: Mapping[str, Any], *, good: bool) -> bool:
    """Note how the trial of a page's rule went; a good one puts it in force. False: it was edited meanwhile."""
    return bool(
        await tx.run(_sql.end_trial, page=page, rule=rule, result=json.dumps(dict(result)), good=good)
    )
