"""What the benchmark of collecting asks of its own scratch database, as its owner: the clock, and what was found.

Nothing here serves a real installation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policywatch.db import contents, demo
from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = ["Waiting", "captures", "changes", "make_due", "move_clock", "now", "prepare", "snapshots", "standing", "text", "waiting"]  # fmt: skip

_sql = load("bench_collect")


@dataclass(frozen=True, slots=True)
class Waiting:
    """How the schedule stands: visited just now, due now, and when the next document is due (None: none is)."""

    held: int
    due: int
    next_at: datetime | None


async def prepare(db: Database) -> None:
    """Put the clock into our hands and mark the database as made for this."""
    for query in (_sql.clock_table, _sql.clock_row, _sql.clock_grant, _sql.clock_function):
        await db.run(query)
    await demo.set_origin(db, "bench")


async def move_clock(db: Database, at: datetime) -> None:
    """Bring the database's clock forward to that moment; it never goes back."""
    await db.run(_sql.move_clock, at=at)


async def now(db: Database) -> datetime:
    """Now, by the database."""
    found: datetime = await db.value(_sql.now)
    return found


async def waiting(db: Database) -> Waiting:
    """What is due and what is visited at this moment."""
    row = await db.one(_sql.waiting)
    assert row is not None
    return Waiting(**row)


async def make_due(db: Database) -> None:
    """Every document becomes due now."""
    await db.run(_sql.make_due)


async def changes(db: Database) -> list[dict[str, Any]]:
    """All changes, oldest first: id, document, status, same_as, reverts, alternates, looks, both texts' hashes."""
    return await db.all(_sql.changes)


async def snapshots(db: Database, after: int) -> list[dict[str, Any]]:
    """Snapshots with an id above `after`, oldest first: id, document, kind, partial, text_sha256."""
    return await db.all(_sql.snapshots, after=after)


async def standing(db: Database) -> list[dict[str, Any]]:
    """Each document: health, cause, blind_since, failures, text_sha256, partial, alerted."""
    return await db.all(_sql.standing)


async def captures(db: Database, after: int) -> Mapping[str, int]:
    """Captures above `after`: last, captures, failed, suspect, not_modified."""
    row = await db.one(_sql.captures, after=after)
    assert row is not None
    return {name: int(value) for name, value in row.items()}


async def text(db: Database, sha256: bytes) -> str:
    """A stored text."""
    return await contents.fetch_text(db, bytes(sha256))
