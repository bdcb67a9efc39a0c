"""Waiting for what the daemon answers to a request of a command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from policywatch.errors import PolicyWatchError, ServiceAway

if TYPE_CHECKING:
    from policywatch.db.pool import Database, Outcome

__all__ = ["answered", "result_of"]

_LOOK = 0.5  # seconds between two looks
_NOBODY = 6  # looks after which a request without a daemon is given up: one may be starting


async def answered(db: Database, request: int, seconds: float) -> dict[str, Any]:
    """The request as it ended; ServiceAway when the daemon did not serve it in time."""
    from policywatch.db import listing

    for look in range(int(seconds / _LOOK)):
        row = await listing.request(db, request)
        if row and row["state"] not in ("waiting", "serving"):
            return row
        if look == _NOBODY and row and row["state"] == "waiting" and not await listing.workers(db):
            raise ServiceAway(
                "No daemon runs, so nobody serves the request.",
                remedy="Start one, it stays asked for: policywatch daemon run",
            )
        await asyncio.sleep(_LOOK)
    raise ServiceAway(
        "The daemon has not served the request yet.", remedy="It stays asked for; see: policywatch status"
    )


async def result_of(db: Database, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """What came of a request that an act left. Raises PolicyWatchError with the daemon's own words where it failed."""
    if outcome.id is None:
        raise PolicyWatchError(outcome.sentence)
    row = await answered(db, outcome.id, seconds)
    result = dict(row["result"] or {})
    if row["state"] != "done":
        raise PolicyWatchError(
            str(result.get("fault") or f"The request ended as {row['state']}."),
            remedy=str(result.get("remedy") or "See: policywatch status"),
        )
    return result
