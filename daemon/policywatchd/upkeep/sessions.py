"""Sessions and questions that nobody ended, and connections of people that are to end."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from policywatch.db import connect, connections, peers, workers
from policywatch.db.pool import Database

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["IDLE", "SILENCE", "STATEMENT", "cut", "end_silent", "know_people"]

log = logging.getLogger("policywatch.upkeep")

SILENCE = timedelta(minutes=15)
#: How long a person's transaction may stand still, and a statement run. A login can lift the limits that are set for
#: it, so they are enforced from outside. A transaction that stands still holds seals and migrations back; an export
#: into a pager stands still too, for as long as its reader thinks.
IDLE = timedelta(minutes=5)
STATEMENT = timedelta(minutes=1)


async def end_silent(db: Database) -> None:
    """Expire what is over its time; each end has its audit row, written by the database."""
    approvals = await workers.expire_approvals(db)
    sessions = await workers.end_stale_sessions(db, SILENCE)
    if approvals or sessions:
        log.info("expired approvals=%d sessions=%d", approvals, sessions)


async def cut(db: Database, *, idle: timedelta = IDLE, statement: timedelta = STATEMENT) -> int:
    """Cut connections of ended sessions, of disabled people, and beyond the limits; how many. Each has its audit row."""
    rows = await connections.end_backends(db, idle, statement)
    refused = [row for row in rows if row["reason"] == "refused"]
    for row in rows:
        if row["reason"] != "refused":
            log.info("connection_cut pid=%d reason=%s", row["pid"], row["reason"].replace(" ", "_"))
    if refused:
        await workers.open_alert(
            db,
            "sessions",
            "signal",
            f"{len(refused)} connections of people should end and this database may not end them. "
            "Ask the server's administrator for: GRANT pg_signal_backend TO pw_owner;",
        )
    return len(rows) - len(refused)


async def know_people(service: Service) -> None:
    """On an embedded server that this account keeps: accounts of people connect as the logins that they were given."""
    if service.settings.database.mode != "embedded":
        return
    people = await connections.other_accounts(service.db)
    server = connect.server(service.settings)
    if await asyncio.to_thread(peers.know_people, server, people):
        log.info("accounts_known people=%d", len(people))
