"""The daily digests in the database: figures, recipients, and the row that lets each go out once.

Addresses pass through here and are kept nowhere. Wording and mail are the business of `policywatchd.upkeep.digest`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = [
    "Figures",
    "State",
    "claim",
    "count_one",
    "figures",
    "finish",
    "give_up_stale",
    "is_decided",
    "open_alerts",
    "reviewers",
    "state",
]

_sql = load("digests")


@dataclass(frozen=True, slots=True)
class State:
    """The database's time, whether the system is frozen, and when each audience had its last digest."""

    at: datetime
    frozen: bool
    last: Mapping[str, datetime | None]


@dataclass(frozen=True, slots=True)
class Figures:
    """What waits now, and what happened since the last digest (found, decided, published, opened, closed)."""

    waiting: int
    critical: int
    approvals: int
    documents: int
    blind: int
    late: int
    found: int
    decided: int
    published: int
    alerts: int
    opened: int
    closed: int

    def to_json(self) -> dict[str, int]:
        """Plain types."""
        return asdict(self)


async def state(db: Database) -> State:
    """Where the day stands."""
    row = await db.one(_sql.state)
    assert row is not None
    last = {audience: row[audience] for audience in ("operators", "reviewers")}
    return State(row["at"], bool(row["frozen"]), last)


async def is_decided(db: Database, audience: str, day: date) -> bool:
    """Whether nothing is left to do for that audience and day."""
    return bool(await db.value(_sql.decided, audience=audience, day=day))


async def figures(db: Database, since: datetime) -> Figures:
    """The counts of now and since then."""
    row: dict[str, Any] = await db.one(_sql.figures, since=since) or {}
    return Figures(**row)


async def open_alerts(db: Database, since: datetime, most: int) -> list[dict[str, Any]]:
    """level, sentence, opened_at, reminders of what operators are told of."""
    return await db.all(_sql.open_alerts, since=since, most=most)


async def reviewers(db: Database) -> list[str]:
    """The addresses of those who review, write and approve."""
    return [row["mail"] for row in await db.all(_sql.reviewers)]


async def claim(db: Database, audience: str, day: date, counts: Figures) -> int | None:
    """Take the digest of that day upon oneself; None where another daemon did, or it went out."""
    found = await db.value(_sql.claim, audience=audience, day=day, figures=json.dumps(counts.to_json()))
    return None if found is None else int(found)


async def count_one(db: Database, digest: int) -> bool:
    """One more mail is about to leave. False: the digest is no longer ours to send."""
    return bool(await db.run(_sql.count_one, digest=digest))


async def finish(db: Database, digest: int, *, sent: bool, cause: str | None = None) -> None:
    """How it ended."""
    await db.run(_sql.finish, digest=digest, state="sent" if sent else "failed", cause=cause)


async def give_up_stale(db: Database) -> int:
    """Digests of daemons that ended in the middle of them; how many."""
    return await db.run(_sql.give_up_stale)
