"""A scratch database for benchmarks: on the server of the settings, or on an embedded one of its own; dropped after.

Database and logins have names of their own (`pwb_...`). What a benchmark does in it is its own business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets as random_source
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.conninfo import make_conninfo

from policywatch.db import connect, logins, migrate
from policywatch.db.embedded import Server
from policywatch.db.pool import Database
from policywatch.db.queries import Query, load
from policywatch.db.statements import compose
from policywatch.errors import PolicyWatchError

if TYPE_CHECKING:
    from policywatch.settings import Settings

__all__ = ["Scratch", "maintenance", "open_one", "scratch"]

_sql = load("bench")
_server = load("server")


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where the database is: connection strings of its owner (a superuser), an administrator and a daemon.

    `postmaster` is the process of the server where it is one of ours.
    """

    name: str
    owner: str
    person: str
    daemon: str
    postmaster: int | None


async def maintenance(
    settings: Settings,
    ends: contextlib.AsyncExitStack,
    *,
    extra: Mapping[str, str],
    keep: bool = False,
    say: Callable[[str], None] = lambda _sentence: None,
) -> tuple[str, int | None]:
    """A superuser's connection string, and the server's process; a server of our own is cleared away by `ends`.

    `extra`: server settings of a server of our own.
    """
    if settings.database.mode == "dsn":
        return await asyncio.to_thread(connect.owner, settings), None
    folder = Path(tempfile.mkdtemp(prefix="policywatch-bench-"))
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    server = Server(folder, dbname="postgres", extra=dict(extra), say=say)

    def clear() -> None:
        if keep:
            return
        sockets = server.status().socket_folder
        server.stop()
        if sockets is not None and folder not in sockets.parents:
            shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)

    ends.push_async_callback(asyncio.to_thread, clear)
    await asyncio.to_thread(server.start)
    return server.conninfo("postgres", "postgres"), server.status().pid


async def scratch(
    superuser: str, ends: contextlib.AsyncExitStack, *, keep: bool = False, postmaster: int | None = None
) -> Scratch:
    """A migrated database with an administrator and a daemon's login, dropped at the end."""
    run = random_source.token_hex(6)
    name, person, daemon = f"pwb_{run}", f"pwb_{run}_person", f"pwb_{run}_daemon"
    async with await open_one(superuser) as server:
        facts = await server.one(_sql.facts) or {}
        if not facts.get("superuser"):
            raise PolicyWatchError(
                "Only a superuser can seed a benchmark: triggers and foreign keys are off meanwhile.",
                remedy="Name one in database.owner_dsn, or use database.mode: embedded (a server of its own).",
            )
        if not keep:
            ends.push_async_callback(_drop, superuser, name, (person, daemon))
        await _run(server, _server.create_database, name)
        owner = make_conninfo(superuser, dbname=name)
        await migrate.up(owner, admin_name=person)
        await _run(server, _sql.create_daemon, daemon)
        passwords = {login: random_source.token_hex(16) for login in (person, daemon)}
        for login, password in passwords.items():
            await logins.set_password(owner, login, password)
    async with await open_one(owner) as db:
        await db.run(_sql.unlock_admin, name=person)
    logged_in = [make_conninfo(owner, user=login, password=password) for login, password in passwords.items()]
    return Scratch(name, owner, logged_in[0], logged_in[1], postmaster)


async def open_one(conninfo: str) -> Database:
    """One connection for a benchmark."""
    return await Database.open(conninfo, max_size=1, application="policywatch bench")


async def _drop(superuser: str, name: str, roles: tuple[str, ...]) -> None:
    async with await open_one(superuser) as server:
        await _run(server, _server.drop_database, name)
        for role in roles:
            await _run(server, _sql.drop_role, role)


async def _run(db: Database, query: Query, name: str) -> None:
    await db.run(Query(query.name, compose(query, names={"name": name}).as_string()))
