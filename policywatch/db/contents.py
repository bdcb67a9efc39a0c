"""Bytes stored once by their SHA-256: raw bodies of pages and the texts of snapshots.

`store` gives the hash that everything else refers to; `fetch` gives the bytes back, re-hashed at every step of
the chain of bases. Nothing here knows what the bytes mean, except `as_text`, the one way in which stored bytes
become the text that is compared and shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from policywatch.db import codec
from policywatch.db.queries import load
from policywatch.errors import PolicyWatchError

if TYPE_CHECKING:
    from policywatch.db.pool import Database, Tx

__all__ = [
    "DamagedContent",
    "MissingContent",
    "Unstored",
    "as_text",
    "fetch",
    "fetch_text",
    "sha256_of",
    "store",
    "store_many",
]

_sql = load("contents")


class MissingContent(PolicyWatchError):
    """Nothing is stored under that hash."""


class DamagedContent(PolicyWatchError):
    """What is stored under a hash does not give bytes of that hash."""


@dataclass(frozen=True, slots=True)
class Unstored:
    """A body to store. `base` is the hash of a text that it resembles (the version before it).

    `base_body` are the bytes of that base where the caller has them at hand; otherwise they are read.
    """

    body: bytes
    base: bytes | None = None
    base_body: bytes | None = None


def as_text(body: bytes) -> str:
    """Stored bytes as text: UTF-8; what is none, and NUL (no JSON column takes it), becomes U+FFFD."""
    return body.decode("utf-8", "replace").replace("\x00", "\ufffd")


def sha256_of(body: bytes) -> bytes:
    """The hash that a body is stored under."""
    return hashlib.sha256(body).digest()


async def store(tx: Tx, body: bytes, *, base: bytes | None = None) -> bytes:
    """Store `body` unless it is there; returns its SHA-256.

    `base` is the hash of a stored text that it resembles. A base that is not stored, too deep or unlike costs
    nothing but size.
    """
    (sha256,) = await store_many(tx, [Unstored(body, base)])
    return sha256


async def store_many(tx: Tx, bodies: Sequence[Unstored]) -> list[bytes]:
    """Store many bodies with two statements; returns their hashes in order. A base may be of the same batch."""
    hashes = [sha256_of(one.body) for one in bodies]
    wanted = set(hashes) | {one.base for one in bodies if one.base is not None}
    depths = {row["sha256"]: row["depth"] for row in await tx.all(_sql.known, hashes=sorted(wanted))}
    fresh: dict[bytes, codec.Packed] = {}
    batch = {sha256: one.body for sha256, one in zip(hashes, bodies, strict=True)}
    for sha256, one in zip(hashes, bodies, strict=True):
        if sha256 in depths:
            continue
        packed = codec.pack(one.body, await _base(tx, one, depths, batch))
        fresh[sha256] = packed
        depths[sha256] = packed.depth
    if fresh:
        order = sorted(fresh)  # two writers lock in one order
        await tx.run(
            _sql.insert_many,
            sha256=order,
            codec=[fresh[key].codec for key in order],
            base_sha256=[fresh[key].base_sha256 for key in order],
            depth=[fresh[key].depth for key in order],
            raw_len=[fresh[key].raw_len for key in order],
            payload=[fresh[key].payload for key in order],
        )
    return hashes


async def _base(
    tx: Tx, one: Unstored, depths: Mapping[bytes, int], batch: Mapping[bytes, bytes]
) -> codec.Base | None:
    """The base of a body with its bytes, or None where it must stand alone."""
    if one.base is None:
        return None
    depth = depths.get(one.base)
    if depth is None or depth >= codec.MAX_DEPTH:
        return None
    body = one.base_body if one.base_body is not None else batch.get(one.base)
    if body is None:
        body = await fetch(tx, one.base)
    return codec.Base(one.base, depth, body)


async def fetch(db: Database | Tx, sha256: bytes, *, person: bool = False) -> bytes:
    """The bytes of that hash, every step of their chain re-hashed.

    `person`: read through the views (a person's connection has no other way). Raises `MissingContent`, or
    `DamagedContent` that names the hash which does not hold.
    """
    rows = await db.all(_sql.chain_for_people if person else _sql.chain, sha256=sha256)
    if not rows:
        raise MissingContent(
            f"No content is stored under {sha256.hex()}.",
            remedy="Check the hash; if a snapshot names it, restore the database from a backup.",
        )
    if rows[-1]["base_sha256"] is not None:
        raise _damaged(rows[-1]["base_sha256"], "it is a base and is not stored")
    body: bytes | None = None
    for row in reversed(rows):
        body = _unpacked(row, body)
    assert body is not None
    return body


async def fetch_text(db: Database | Tx, sha256: bytes, *, person: bool = False) -> str:
    """The same as text (`as_text`)."""
    return as_text(await fetch(db, sha256, person=person))


def _unpacked(row: Mapping[str, Any], base: bytes | None) -> bytes:
    sha256 = bytes(row["sha256"])
    try:
        body = codec.unpack(row["codec"], bytes(row["payload"]), row["raw_len"], base)
    except codec.Damaged as fault:
        raise _damaged(sha256, str(fault)) from fault
    if sha256_of(body) != sha256:
        raise _damaged(sha256, "its bytes have another hash")
    return body


def _damaged(sha256: bytes, why: str) -> DamagedContent:
    return DamagedContent(
        f"The content {sha256.hex()} is damaged: {why}.",
        remedy="Restore the database from a backup and keep the damaged one for inspection.",
    )
