"""The health of the sources in the database: blind and late ones, and the alerts that wait for somebody.

When that is looked at, and what is said about it, is the business of `policywatchd.upkeep.health`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = ["Late", "Source", "close_settled", "doubt", "late", "look", "remind", "try_lock"]

_sql = load("health")


@dataclass(frozen=True, slots=True)
class Source:
    """A document that is blind (`since`), was blind (`was`), or turned `late`.

    `pages_blind` of `pages`; `cause` and `url` are of the first blind page, `last_good_at` of the one that has been
    blind longest; `told` is the sentence of the open alert.
    """

    id: int
    name: str
    was: datetime | None
    since: datetime | None
    pages_blind: int
    cause: str | None
    url: str | None
    last_good_at: datetime | None
    version: int
    late: bool
    told: str | None
    pages: int


@dataclass(frozen=True, slots=True)
class Late:
    """How many documents were not visited in time; `since`: when the first was due, `at`: now."""

    documents: int
    since: datetime | None
    at: datetime


async def try_lock(tx: Tx) -> bool:
    """Whether this transaction is the one that judges."""
    return bool(await tx.value(_sql.try_lock))


async def look(tx: Tx, blind_after: int) -> list[Source]:
    """Note who is blind and who is late after so many cadences; returns them, and those whose blindness ended."""
    return [Source(**row) for row in await tx.all(_sql.look, blind_after=blind_after)]


async def late(tx: Tx) -> Late:
    """The documents that are late."""
    row: dict[str, Any] = await tx.one(_sql.late) or {}
    return Late(**row)


async def doubt(tx: Tx, blind_after: int) -> list[dict[str, Any]]:
    """Show changes that a blind document keeps from their second look: change_id, version, severity, document, summary."""
    return await tx.all(_sql.doubt, blind_after=blind_after)


async def close_settled(tx: Tx) -> int:
    """Close alerts whose matter a person settled; returns how many."""
    return len(await tx.all(_sql.close_settled))


async def remind(db: Database | Tx) -> list[dict[str, Any]]:
    """Alerts whose reminder is due: id, kind, subject, reminders. The next one comes after twice the time."""
    return await db.all(_sql.remind)
