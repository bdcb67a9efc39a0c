"""Sessions and questions that nobody ended: desks that fell silent, approvals that nobody gave."""

from __future__ import annotations

import logging
from datetime import timedelta

from policywatch.db import workers
from policywatch.db.pool import Database

__all__ = ["SILENCE", "end_silent"]

log = logging.getLogger("policywatch.upkeep")

SILENCE = timedelta(minutes=15)


async def end_silent(db: Database) -> None:
    """Expire what is over its time; each end has its audit row, written by the database."""
    approvals = await workers.expire_approvals(db)
    sessions = await workers.end_stale_sessions(db, SILENCE)
    if approvals or sessions:
        log.info("expired approvals=%d sessions=%d", approvals, sessions)
