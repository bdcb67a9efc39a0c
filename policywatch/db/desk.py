"""What the desk reads, one function per question, rows as mappings in the words of the views.

The desk pages and refreshes, the commands list; both read the same views of schema `read`. Acts are in
`policywatch.db.acts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = [
    "approvals",
    "change",
    "change_notes",
    "counts",
    "draft",
    "drafts",
    "publications",
    "queue_page",
    "queue_rows",
    "segments",
    "standing",
]

Row = dict[str, Any]
_sql = load("desk")


async def standing(db: Database) -> Row | None:
    """Who sits here, server time, and how the documents and the daemon are; None without an account."""
    return await db.one(_sql.standing)


async def counts(db: Database) -> Row:
    """What waits in the queue."""
    return await db.one(_sql.counts) or {}


async def queue_page(
    db: Database, *, rank: int | None, at: datetime | None, after: int | None, most: int
) -> list[Row]:
    """Rows of the queue behind the one of that rank, time and id; the first ones where they are None."""
    return await db.all(_sql.queue_page, rank=rank, at=at, after=after, most=most)


async def queue_rows(db: Database, ids: Sequence[int]) -> list[Row]:
    """These changes as they are now, whether they still wait or not."""
    return await db.all(_sql.queue_rows, ids=list(ids))


async def change(db: Database, change_id: int) -> Row | None:
    """One change with its passages and its newest analysis."""
    return await db.one(_sql.change, change_id=change_id)


async def change_notes(db: Database, change_id: int) -> list[Row]:
    """What people wrote about it, the oldest first."""
    return await db.all(_sql.change_notes, change_id=change_id)


async def segments(db: Database) -> list[str]:
    """The keys of the segments as they are defined now."""
    return [row["key"] for row in await db.all(_sql.segments)]


async def drafts(db: Database) -> list[Row]:
    """Drafts that are not closed, the newest first."""
    return await db.all(_sql.drafts)


async def draft(db: Database, draft_id: int) -> Row | None:
    """One draft in its newest wording."""
    return await db.one(_sql.draft, draft_id=draft_id)


async def approvals(db: Database) -> list[Row]:
    """Requests that wait, the oldest first, with what each rests on."""
    return await db.all(_sql.approvals)


async def publications(db: Database) -> list[Row]:
    """The last publications, those in grace and on their way first."""
    return await db.all(_sql.publications)
