"""Lanes of hosts in the database: one request at a time per host over all daemons, gap, back-off, breaker, robots.txt.

All of it stands in one row a host and is kept over restarts. When a request may be made, and what its answer means
for the next one, is decided here by single statements; waiting and asking are the business of `policywatchd.collect`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = ["Left", "Taken", "Wait", "keep_robots", "lane_wait", "leave_lanes", "robots_of", "take_lanes"]

_sql = load("lanes")


@dataclass(frozen=True, slots=True)
class Taken:
    """A lane that is ours, and what is known of its host's robots.txt (`robots_age` in seconds; None: nothing)."""

    host: str
    robots_status: int | None
    robots_at: datetime | None
    robots_age: float | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a lane is not free. `gap`, `shut` (the breaker): seconds; `until`: hours and minutes, UTC."""

    gap: float
    shut: float
    held: bool
    cause: str | None
    until: str | None


@dataclass(frozen=True, slots=True)
class Left:
    """A turn that ended. `failed`, `asked`: why it counts as a failure, or as a wish to wait; `wait` as it was named."""

    host: str
    holder: str
    gap: timedelta
    used: bool = False
    failed: str | None = None
    asked: str | None = None
    wait: timedelta | None = None


async def take_lanes(db: Database, asked: Sequence[tuple[str, str]], lease: timedelta) -> dict[str, Taken]:
    """Take the one place at each host for its holder; what is not in the answer was not free. A host comes once."""
    rows = await db.all(
        _sql.take_lanes,
        hosts=[host for host, _ in asked],
        holders=[holder for _, holder in asked],
        lease=lease,
    )
    return {row["host"]: Taken(**row) for row in rows}


async def lane_wait(db: Database, host: str) -> Wait | None:
    """Why the lane of a host is not free; None for a host that was never asked."""
    row = await db.one(_sql.lane_wait, host=host)
    return (
        None if row is None else Wait(row["gap"], row["shut"] or 0.0, row["held"], row["cause"], row["until"])
    )


async def leave_lanes(db: Database, turns: Sequence[Left]) -> dict[str, float]:
    """End turns; returns for each that was still ours the seconds until its host may be asked again."""
    rows = await db.all(
        _sql.leave_lanes,
        hosts=[turn.host for turn in turns],
        holders=[turn.holder for turn in turns],
        gaps=[turn.gap for turn in turns],
        used=[turn.used for turn in turns],
        failed=[turn.failed for turn in turns],
        asked=[turn.asked for turn in turns],
        waits=[turn.wait for turn in turns],
    )
    return {row["host"]: row["wait"] for row in rows}


async def robots_of(db: Database, host: str) -> dict[str, Any]:
    """robots, robots_status, robots_at of a host."""
    return await db.one(_sql.robots_of, host=host) or {}


async def keep_robots(db: Database, host: str, status: int | None, text: str) -> None:
    """Keep what was fetched for robots.txt; without a status `text` says why nothing was."""
    await db.run(_sql.keep_robots, host=host, status=status, text=text)
