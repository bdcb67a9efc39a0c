"""What commands read: one function per listing, rows as mappings in the words of the views.

The desk has queries of its own (it pages and refreshes); both read the same views.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = [
    "UNDECIDED",
    "alerts",
    "all_pages",
    "approval",
    "approvals",
    "archives",
    "change",
    "change_history",
    "changes",
    "config",
    "digests",
    "documents",
    "draft",
    "draft_evidence",
    "drafts",
    "has_history",
    "me",
    "pages",
    "platforms",
    "publications",
    "queue_counts",
    "recipients",
    "request",
    "requests",
    "search",
    "segments",
    "sessions",
    "snapshot_at",
    "snapshots",
    "upcoming",
    "users",
    "workers",
]

Row = dict[str, Any]
_sql = load("listing")

UNDECIDED: tuple[str, ...] = ("queued", "unconfirmed")


async def me(db: Database) -> Row | None:
    """Who is connected; None without an active account."""
    return await db.one(_sql.me)


async def platforms(db: Database) -> list[Row]:
    """One row per platform, in the catalogue's order."""
    return await db.all(_sql.platforms)


async def queue_counts(db: Database) -> Row:
    """undecided, critical, snoozed, and the oldest undecided time."""
    return await db.one(_sql.queue_counts) or {}


async def workers(db: Database, *, everyone: bool = False) -> list[Row]:
    """Daemons that beat now, or all that ever did."""
    return await db.all(_sql.workers, all=everyone)


async def config(db: Database) -> list[Row]:
    """Facts and switches that acts read."""
    return await db.all(_sql.config)


async def documents(db: Database, platform: str | None = None, document: str | None = None) -> list[Row]:
    """Documents with health and times; filters are keys."""
    return await db.all(_sql.documents, platform=platform, document=document)


async def all_pages(db: Database, platform: str | None = None) -> list[Row]:
    """Every watched page with its health, in the order of the documents."""
    return await db.all(_sql.all_pages, platform=platform)


async def pages(db: Database, document_id: int) -> list[Row]:
    """Pages of a document in their order."""
    return await db.all(_sql.pages, document_id=document_id)


async def snapshots(db: Database, document_id: int, limit: int) -> list[Row]:
    """Newest snapshots first, by the order of history."""
    return await db.all(_sql.snapshots, document_id=document_id, limit=limit)


async def snapshot_at(db: Database, document_id: int, at: datetime | None) -> Row | None:
    """The snapshot believed at a time; None is now."""
    return await db.one(_sql.snapshot_at, document_id=document_id, at=at)


async def search(db: Database, words: str, limit: int) -> list[Row]:
    """Documents whose newest text holds the words (web search syntax), best first."""
    return await db.all(_sql.search, words=words, limit=limit)


async def changes(
    db: Database,
    *,
    statuses: Sequence[str],
    platform: str | None = None,
    document: str | None = None,
    historical: bool | None = None,
    noise: bool | None = None,
    by_rank: bool = False,
    limit: int = 1000,
) -> list[Row]:
    """Changes by status; by severity first when by_rank, else newest first."""
    return await db.all(
        _sql.changes_by_severity if by_rank else _sql.changes,
        statuses=list(statuses),
        platform=platform,
        document=document,
        historical=historical,
        noise=noise,
        limit=limit,
    )


async def upcoming(db: Database, limit: int) -> list[Row]:
    """Changes with a date to come, the nearest first."""
    return await db.all(_sql.upcoming, limit=limit)


async def change(db: Database, change_id: int) -> Row | None:
    """One change with analysis and passages."""
    return await db.one(_sql.change, change=change_id)


async def change_history(db: Database, change_id: int) -> list[Row]:
    """What people decided of a change, oldest first."""
    return await db.all(_sql.change_history, change=change_id)


async def drafts(db: Database, *, everything: bool, limit: int = 1000) -> list[Row]:
    """Drafts, the last touched first; closed ones only when everything is asked for."""
    return await db.all(_sql.drafts, all=everything, limit=limit)


async def draft(db: Database, draft_id: int) -> Row | None:
    """One draft with its newest revision."""
    return await db.one(_sql.draft, draft=draft_id)


async def draft_evidence(db: Database, draft_id: int) -> list[Row]:
    """Passages that a draft quotes."""
    return await db.all(_sql.draft_evidence, draft=draft_id)


async def approvals(db: Database, *, everything: bool, limit: int = 1000) -> list[Row]:
    """Approval requests, newest first; decided ones only when everything is asked for."""
    return await db.all(_sql.approvals, all=everything, limit=limit)


async def approval(db: Database, approval_id: int) -> Row | None:
    """What is signed, in full."""
    return await db.one(_sql.approval, approval=approval_id)


async def publications(db: Database, publication: int | None = None, limit: int = 1000) -> list[Row]:
    """Publications with their ledger in numbers, newest first."""
    return await db.all(_sql.publications, publication=publication, limit=limit)


async def recipients(db: Database, publication: int, state: str | None, limit: int) -> list[Row]:
    """Ledger rows by shortened hash, never an address."""
    return await db.all(_sql.recipients, publication=publication, state=state, limit=limit)


async def segments(db: Database) -> list[Row]:
    """Current segments."""
    return await db.all(_sql.segments)


async def users(db: Database) -> list[Row]:
    """People, without addresses."""
    return await db.all(_sql.users)


async def sessions(db: Database, *, everything: bool, limit: int = 1000) -> list[Row]:
    """One's own sessions; an administrator or auditor sees all."""
    return await db.all(_sql.sessions, all=everything, limit=limit)


async def digests(db: Database) -> list[Row]:
    """How the last digest of each audience ended; no addresses."""
    return await db.all(_sql.digests)


async def alerts(db: Database, *, everything: bool, limit: int = 1000) -> list[Row]:
    """Open alerts, or all."""
    return await db.all(_sql.alerts, all=everything, limit=limit)


async def request(db: Database, request_id: int) -> Row | None:
    """State and result of what was asked of the daemon."""
    return await db.one(_sql.request, request=request_id)


async def requests(db: Database) -> list[Row]:
    """What people asked of the daemon and waits or is served; and what expired unserved within the last hour."""
    return await db.all(_sql.requests)


async def has_history(db: Database) -> bool:
    """Whether there is a version of any document."""
    return bool(await db.value(_sql.has_history))


async def archives(db: Database) -> list[Row]:
    """repository, documents, head, cause, failures, failing_since, last_good_at, due_at of what is followed live."""
    return await db.all(_sql.archives)
