"""From settings to a database that is ready to use: server, database, schema, administrator.

What `init`, `migrate`, the desk's first start and the demo call; it prints nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from policywatch.db import connect, migrate
from policywatch.db.embedded import Started
from policywatch.db.queries import load
from policywatch.db.refusals import away, place
from policywatch.db.statements import compose
from policywatch.errors import PolicyWatchError

if TYPE_CHECKING:
    from policywatch.settings import Settings

__all__ = ["Prepared", "ensure_database", "prepare", "require_current"]

_sql = load("server")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is ready. `started` is None on an administrator's server; `migrated.admin` may hold a password."""

    owner: str
    started: Started | None
    database_made: bool
    migrated: migrate.Migrated


async def prepare(settings: Settings, *, say: Callable[[str], None] = lambda _sentence: None) -> Prepared:
    """Start the embedded server (or reach the administrator's), make the database, bring the schema up.

    A first installation gets its master key too; later a missing one is never made anew, since what it sealed
    could not be read by another. Safe to repeat. `migrated.admin.one_time_password` is there exactly once: print it and keep it nowhere.
    """
    started = None
    if settings.database.mode == "embedded":
        started = await asyncio.to_thread(connect.server(settings, say=say).start)
    owner = await asyncio.to_thread(connect.owner, settings)
    made = await ensure_database(owner)
    migrated = await migrate.up(
        owner,
        timescale=settings.database.timescale,
        peer=settings.database.mode == "embedded",
        say=say,
        installing=lambda: _key(settings),
    )
    return Prepared(owner, started, made, migrated)


def _key(settings: Settings) -> None:
    from policywatch.secrets import (
        master_key,
    )  # late: it brings cryptography, and most programs need none here

    master_key(settings.database.state_folder, create=True)


async def ensure_database(conninfo: str) -> bool:
    """Make the database that `conninfo` names where the server lacks it; True when it was made.

    Asked through the server's maintenance database `postgres`; where that one is closed to this login, the
    database must be there already.
    """
    name = str(conninfo_to_dict(conninfo).get("dbname") or "")
    if not name:
        raise PolicyWatchError(
            f"{place(conninfo)} is named nowhere.",
            remedy='Name it in database.dsn: "postgresql://db.example/policywatch".',
        )
    try:
        async with await psycopg.AsyncConnection.connect(conninfo, connect_timeout=5):
            return False
    except psycopg.Error as error:
        if f'database "{name}" does not exist' not in str(error):
            raise away(conninfo, error) from error
    maintenance = make_conninfo(conninfo, dbname="postgres")
    try:
        async with await psycopg.AsyncConnection.connect(
            maintenance, autocommit=True, connect_timeout=5
        ) as connection:
            await connection.execute(compose(_sql.create_database, names={"name": name}))
    except psycopg.errors.DuplicateDatabase:
        return False
    except psycopg.Error as error:
        said = error.diag.message_primary or " ".join(str(error).split())
        raise PolicyWatchError(
            f'The database "{name}" does not exist and cannot be made: {said}',
            remedy=f'Ask the administrator of that server for: CREATE DATABASE "{name}" OWNER ...;',
        ) from error
    return True


async def require_current(conninfo: str, *, folder: Traversable | None = None) -> migrate.Schema:
    """The schema, if it is the one of this program; otherwise the error says both numbers and what to do."""
    schema = await migrate.status(conninfo, folder=folder)
    if schema.have > schema.want:
        raise PolicyWatchError(
            f"The database is at migration {schema.have}; this program knows {schema.want}.",
            remedy="Run the newer program, or restore a backup of before.",
        )
    if not schema.current:
        what = "its views and acts are another program's" if schema.have == schema.want else ""
        raise PolicyWatchError(
            f"The database is at migration {schema.have}; this program needs {schema.want}"
            + (f", and {what}." if what else "."),
            remedy="Run: policywatch migrate up",
        )
    return schema
