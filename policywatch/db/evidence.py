"""What people may see of evidence: captures as they came, what a snapshot was made of, a document's whole history.

Reads of people alone, through the views; the bytes themselves come from `policywatch.db.contents`.
"""

from __future__ import annotations

from typing import Any

from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = ["all_snapshots", "captures", "captures_of_snapshot"]

_sql = load("evidence")


async def captures(db: Database, document_id: int, *, state: str | None, limit: int) -> list[dict[str, Any]]:
    """Captures of a document, the newest first: all, or those of one state (good, unchanged, suspect, failed)."""
    return await db.all(_sql.captures, document_id=document_id, state=state, limit=limit)


async def captures_of_snapshot(db: Database, document_id: int, snapshot: int) -> list[dict[str, Any]]:
    """id, at, url, status, step, headers, final_url, raw_sha256 of each page of a snapshot; none for an archive's."""
    return await db.all(_sql.captures_of_snapshot, document_id=document_id, snapshot=snapshot)


async def all_snapshots(db: Database, document_id: int) -> list[dict[str, Any]]:
    """id, fetched_at, source, kind, text_sha256, oldest first."""
    return await db.all(_sql.all_snapshots, document_id=document_id)
