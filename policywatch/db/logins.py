"""Login roles: one-time passwords, the verifiers that stand for them, and the administrator's login.

A password itself is never in a statement, a log or a table: the client makes a SCRAM verifier of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from psycopg import pq
from psycopg.rows import dict_row

from policywatch.db.queries import load
from policywatch.db.statements import compose

__all__ = ["AdminLogin", "ensure_admin", "one_time_password", "set_password", "verifier"]

_sql = load("logins")
_SYLLABLES = "bcdfghjkmnpqrstvwxz23456789"


@dataclass(frozen=True, slots=True)
class AdminLogin:
    """What became of the administrator's login; the password is there once, when it was made."""

    name: str
    made: bool
    remark: str = ""
    one_time_password: str | None = field(default=None, repr=False)


def one_time_password(choose: Callable[[str], str] = secrets.choice) -> str:
    """A password to be typed once: five groups of four, about 95 bits, no signs that look alike."""
    return "-".join("".join(choose(_SYLLABLES) for _ in range(4)) for _ in range(5))


def verifier(name: str, password: str) -> str:
    """The SCRAM-SHA-256 verifier that PostgreSQL stores for `password` (RFC 5803), made without a server."""
    unconnected = pq.PGconn.connect_start(b"host=/nonexistent")
    try:
        made = unconnected.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    finally:
        unconnected.finish()
    return made.decode("ascii")


async def set_password(conninfo: str, name: str, password: str) -> None:
    """Give the login `name` a password, as an administrator of the server (the daemon's login on a DSN)."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await connection.execute(
            compose(_sql.set_verifier, names={"name": name}, literals={"verifier": verifier(name, password)})
        )


async def ensure_admin(connection: psycopg.AsyncConnection[object], name: str, *, peer: bool) -> AdminLogin:
    """Make the login of the administrator whose row 001 inserted; call again as often as you like.

    `peer`: on the embedded server it is known by the account and has no password. Elsewhere it gets a one-time
    password that every act but its change refuses. An existing login keeps its password.
    """
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.admin_row.text, {"name": name})
        if await cursor.fetchone() is None:
            return AdminLogin(name, False, f"no active administrator is named {name} here: no login was made")
        await cursor.execute(_sql.role.text, {"name": name})
        role = await cursor.fetchone()
        if role is not None and role["administrative"]:
            return AdminLogin(
                name, False, f"{name} is an administrative role of this server: it is left as it is"
            )
        password: str | None = None
        names = {"name": name}
        if role is None:
            await cursor.execute(compose(_sql.create_login, names=names))
            if not peer:
                password = one_time_password()
                await cursor.execute(
                    compose(_sql.set_verifier, names=names, literals={"verifier": verifier(name, password)})
                )
                await cursor.execute(_sql.must_change.text, {"name": name})
        await cursor.execute(compose(_sql.grant_admin, names=names))
        await cursor.execute(compose(_sql.grant_to_rolemaker, names=names))
        if peer:
            await cursor.execute(compose(_sql.grant_peer, names=names))
    return AdminLogin(name, role is None, one_time_password=password)
