"""TimescaleDB: which edition a database stands on, and how a plain one is converted once the extension appears.

What each edition gives stands in `migrations/api/012_series.sql`; the same schema works without any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from psycopg import errors

from policywatch.db import migrate, setup
from policywatch.db.queries import load
from policywatch.db.steps import api_files, shipped
from policywatch.errors import PolicyWatchError, ServiceAway

__all__ = ["Converted", "Edition", "convert", "edition"]

_sql = load("migrate")

_SERIES = 5
Kind = Literal["plain", "apache", "timescale"]
_FOLLOWS: dict[Kind, str] = {
    "plain": "plain tables; the daemon drops old figures row by row",
    "apache": "hypertables of the Apache edition; the daemon drops old chunks, nothing is compressed",
    "timescale": "hypertables with columnstore, retention and daily figures, kept by the server's own jobs",
}


@dataclass(frozen=True, slots=True)
class Edition:
    """What this database stands on. `version` is the extension's, None where the database lacks it."""

    kind: Kind
    version: str | None
    offered: bool
    loaded: bool

    @property
    def sentence(self) -> str:
        """`TimescaleDB 2.28.3: hypertables ...`."""
        return f"TimescaleDB {self.version or 'not used'}: {_FOLLOWS[self.kind]}"

    @property
    def convertible(self) -> bool:
        """Plain, though the server could do more."""
        return self.kind == "plain" and self.offered and self.loaded


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion did: how many series moved into chunks (0: it was done before)."""

    edition: Edition
    made: int


async def edition(conninfo: str) -> Edition:
    """Which edition it is, as any person may see."""
    async with migrate.connected(conninfo) as connection:
        return await _edition(connection)


async def _edition(connection: migrate.Connection) -> Edition:
    facts = await (await connection.execute(_sql.timescale_facts.text)).fetchone()
    assert facts is not None
    kind: Kind = "plain"
    if facts["series"] == _SERIES:
        kind = "timescale" if facts["license"] == "timescale" else "apache"
    return Edition(kind, facts["version"], facts["offered"], facts["loaded"])


async def convert(conninfo: str, *, patience: float = 60.0) -> Converted:
    """Turn the plain series into hypertables, rows and all, and renew views and acts: one transaction, all or nothing.

    As whoever may change the schema. Writers wait meanwhile. Safe to repeat. Refuses a server without the extension, and
    a schema that is not this program's.
    """
    await setup.require_current(conninfo)
    async with migrate.locked(conninfo, patience) as connection:
        before = await _edition(connection)
        _refuse_without(before)

        made = 0

        async def once() -> None:
            nonlocal made
            async with connection.transaction():
                await connection.execute(_sql.quiet.text)
                await connection.execute(_sql.timescale_create.text)
                await connection.execute(_sql.as_owner.text)
                row = await (await connection.execute(_sql.make_series.text)).fetchone()
                made = row["made"] if row else 0
                await connection.execute(_sql.not_as_owner.text)
                # The daily figures change their kind, and views stand on them.
                wishes = {"admin_name": "", "timescale": "", "lock_timeout": "10s"}
                await migrate.apply_api(connection, api_files(shipped()), wishes)
                now = await _edition(connection)
                noted = await connection.execute(_sql.series_noted.text, {"version": now.version})
                if made or noted.rowcount:
                    await connection.execute(_sql.series_told.text, {"version": now.version, "made": made})

        try:
            await migrate.steady(once)
        except errors.LockNotAvailable as error:
            raise ServiceAway(
                "Somebody is using the series, and the conversion does not wait longer.",
                remedy="Stop the daemon (and desks) for the conversion, then run it again; nothing was changed.",
            ) from error
        except errors.InsufficientPrivilege as error:
            raise PolicyWatchError(
                f"The server refused: {error.diag.message_primary}.",
                remedy="Set database.owner_dsn to an administrator of the server; nothing was changed.",
            ) from error
        return Converted(await _edition(connection), made)


def _refuse_without(found: Edition) -> None:
    if found.version is not None:
        return
    if not found.offered:
        raise PolicyWatchError(
            "This server does not offer TimescaleDB; the plain tables stay as they are.",
            remedy="Install it (2.28 for PostgreSQL 15) and add timescaledb to shared_preload_libraries, or stay: all works without.",
        )
    if not found.loaded:
        raise PolicyWatchError(
            "TimescaleDB is installed on this server and not loaded; the plain tables stay as they are.",
            remedy="Add timescaledb to shared_preload_libraries, restart the server, then run this again.",
        )
