"""Connections of people, as the daemon keeps order among them: which are to end, and by which account they come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from policywatch.db.pool import Database
from policywatch.db.queries import load

__all__ = ["end_backends", "other_accounts"]

_sql = load("connections")


async def end_backends(db: Database, idle: timedelta, statement: timedelta) -> list[dict[str, Any]]:
    """Cut connections whose session was ended or that hold the database up: pid, login, reason of each.

    `idle` is how long a transaction may stand still, `statement` how long one may run. Reason `refused`: this
    database may not signal connections.
    """
    return await db.all(_sql.end_backends, idle=idle, statement=statement)


async def other_accounts(db: Database) -> dict[str, str]:
    """Logins whose person has an operating system account of another name: login -> account."""
    return {row["name"]: row["os_user"] for row in await db.all(_sql.other_accounts)}
