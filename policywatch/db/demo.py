"""What the demo asks of its own throwaway database, as its owner: where the story stands, and its numbers.

Nothing here serves a real installation: people read through views and act through acts.
"""

from __future__ import annotations

from datetime import datetime

from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = ["clock", "figures", "found", "set_origin", "unhealthy", "unsettled"]

_sql = load("demo")


async def set_origin(db: Database, origin: str) -> None:
    """Mark what made the database; "installation" is the word of real ones."""
    await db.run(_sql.set_origin, origin=origin)


async def clock(db: Database) -> datetime:
    """Now, by the database."""
    found: datetime = await db.value(_sql.clock)
    return found


async def unsettled(db: Database, since: datetime) -> list[str]:
    """Pages (`platform/document`) whose visit since then has not ended."""
    return [row["page"] for row in await db.all(_sql.unsettled, since=since)]


async def unhealthy(db: Database) -> list[str]:
    """Pages that could not be read, each with its cause."""
    return [f"{row['page']}: {row['cause']}" for row in await db.all(_sql.unhealthy)]


async def found(db: Database, after: int = 0) -> list[tuple[int, str, str]]:
    """Changes before reviewers with a number above `after`: number, platform, document."""
    rows = await db.all(_sql.found, after=after)
    return [(row["change_id"], row["platform"], row["document"]) for row in rows]


async def figures(db: Database) -> dict[str, int]:
    """The story in numbers, by the names of the demo's figures."""
    row = await db.one(_sql.figures)
    assert row is not None
    return {name: int(value) for name, value in row.items()}
