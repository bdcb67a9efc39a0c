"""Version repositories that are followed live: leases, the documents they hold, what was seen of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from policywatch.db.judging import Snapshot
from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = [
    "Claim",
    "Followed",
    "archives",
    "claim_due",
    "declare",
    "documents",
    "finish",
    "is_ours",
    "lock_document",
    "make_due",
    "mark_step",
    "note_failing",
    "note_good",
    "note_seen",
    "now",
    "stored",
]

_sql = load("archives")


@dataclass(frozen=True, slots=True)
class Claim:
    """A repository that is ours to look at, for as long as the fence holds. `head` is what was read last."""

    repository: str
    fence: int
    head: str | None
    failures: int


@dataclass(frozen=True, slots=True)
class Followed:
    """A document of a followed repository.

    `blocked`: it has pages and none of them can be read. `last_look` is the last good look at a page of it (at the
    archive, where it has no pages).
    """

    id: int
    platform: str
    document: str
    platform_name: str
    document_name: str
    language: str
    path: str
    archive_commit: str | None
    newest_snapshot: int | None
    has_pages: bool
    blocked: bool
    last_look: datetime | None

    @property
    def name(self) -> str:
        """platform/document, as people write it."""
        return f"{self.platform}/{self.document}"


async def declare(db: Database, repositories: Sequence[str]) -> None:
    """Make rows for the repositories that the settings name."""
    await db.run(_sql.declare, repositories=list(repositories))


async def claim_due(db: Database, worker: str, repositories: Sequence[str], lease: timedelta) -> Claim | None:
    """Claim one that is due; None where nothing is."""
    row = await db.one(_sql.claim_due, worker=worker, repositories=list(repositories), lease=lease)
    return None if row is None else Claim(**row)


async def finish(
    tx: Database | Tx, claim: Claim, worker: str, *, wait: timedelta, head: str | None, cause: str | None
) -> int | None:
    """End a look; returns how often in a row it failed by now, None where the fence is another's."""
    row = await tx.one(
        _sql.finish,
        repository=claim.repository,
        worker=worker,
        fence=claim.fence,
        wait=wait,
        head=head,
        cause=cause,
    )
    return None if row is None else int(row["failures"])


async def is_ours(tx: Tx, claim: Claim, worker: str) -> bool:
    """Whether the fence holds until this transaction ends."""
    row = await tx.one(_sql.is_ours, repository=claim.repository, worker=worker, fence=claim.fence)
    return row is not None


async def make_due(db: Database, repositories: Sequence[str]) -> None:
    """Have repositories looked at soon."""
    await db.run(_sql.make_due, repositories=list(repositories))


async def documents(db: Database | Tx, repository: str, document: int | None = None) -> list[Followed]:
    """The active documents of a repository, or one of them."""
    rows = await db.all(_sql.documents, repository=repository, document=document)
    return [Followed(**row) for row in rows]


async def lock_document(tx: Tx, document: int) -> None:
    """Hold a document until the transaction ends."""
    await tx.value(_sql.lock_document, document=document)


async def note_seen(tx: Database | Tx, document: int, commit: str | None) -> None:
    """How far the archive was read for a document."""
    await tx.run(_sql.note_seen, document=document, commit=commit)


async def note_good(tx: Database | Tx, document: int) -> None:
    """A document without pages was looked at."""
    await tx.run(_sql.note_good, document=document)


async def note_failing(tx: Database | Tx, document: int, health: str, cause: str) -> None:
    """A document without pages could not be looked at."""
    await tx.run(_sql.note_failing, document=document, health=health, cause=cause)


async def mark_step(tx: Tx, document: int) -> None:
    """The words of its pages come from the archive for now."""
    await tx.run(_sql.mark_step, document=document)


async def stored(db: Database | Tx, document: int, source_ref: str) -> Snapshot | None:
    """The snapshot of a version, if it is in the history."""
    row = await db.one(_sql.stored, document=document, source_ref=source_ref)
    return None if row is None else Snapshot(row["id"], row["fetched_at"], bytes(row["text_sha256"]))


async def now(db: Database) -> datetime:
    """The database's clock."""
    found = await db.value(_sql.now)
    assert isinstance(found, datetime)
    return found


async def archives(db: Database | Tx) -> list[dict[str, Any]]:
    """repository, due_at, head, failures, cause, failing_since, last_good_at of all of them."""
    return await db.all(_sql.archives)
