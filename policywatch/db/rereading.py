"""Kept captures as the daemon reads them again: by today's rules, or by a rule that somebody thinks of."""

from __future__ import annotations

from typing import Any

from policywatch.db.collecting import Claim
from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = ["document_of", "kept_captures", "lock_belief", "past_changes"]

_sql = load("rereading")


async def document_of(db: Database, platform: str, document: str) -> Claim | None:
    """A watched document by its keys; no claim is made."""
    row = await db.one(_sql.document_of, platform=platform, document=document)
    return None if row is None else Claim(row.pop("id"), **row)


async def kept_captures(db: Database, document: int) -> list[dict[str, Any]]:
    """id, page_id, raw_sha256, text_sha256, final_url, content_type of good captures, by page, the oldest first."""
    return await db.all(_sql.kept_captures, document=document)


async def lock_belief(tx: Tx, document: int) -> int | None:
    """The newest snapshot, which nobody moves until this transaction ends."""
    found = await tx.value(_sql.lock_belief, document=document)
    return None if found is None else int(found)


async def past_changes(db: Database, document: int, most: int) -> list[dict[str, Any]]:
    """Pages behind the newest changes: change_id, accepted, page_id, before, after (hashes of bytes), types, final_url."""
    return await db.all(_sql.past_changes, document=document, most=most)
