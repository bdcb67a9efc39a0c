"""Who connects where: connection strings from the settings, for a person, the daemon and the owner.

On the embedded server the account that made it is `admin`, `pw_daemon` and `postgres` by its operating system
account and gives no password; other people there, and everybody on an administrator's server, have a login and
a password by reference. These functions block (they may start the server): call them in a thread from a loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from psycopg import Error
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from policywatch.db.embedded import Server
from policywatch.errors import SettingsError
from policywatch.settings import account_name

if TYPE_CHECKING:
    from policywatch.settings import SecretRef, Settings

__all__ = ["daemon", "owner", "person", "server"]


def server(settings: Settings, *, say: Callable[[str], None] = lambda _sentence: None) -> Server:
    """The embedded server of these settings, started or not. SettingsError where the mode is dsn."""
    if settings.database.mode != "embedded":
        raise SettingsError(
            "database.mode is dsn: the server is an administrator's, not this program's.",
            remedy="Ask whoever runs it, or set database.mode: embedded.",
            key="database.mode",
        )
    return Server(settings.database.state_folder, dbname=settings.database.name, say=say)


def person(
    settings: Settings, *, say: Callable[[str], None] = lambda _sentence: None, ask: bool = False
) -> str:
    """The connection string of the person at this terminal; starts the embedded server where that is the mode.

    `ask`: where no place has the password that the settings name, it is asked for at the terminal.
    """
    database = settings.database
    password = _secret(database.password, settings, ask=ask)
    if database.mode == "embedded":
        local = server(settings, say=say)
        local.start()
        user = database.user
        if user == account_name() and password is None and local.is_keeper():
            user = "admin"
        return local.conninfo(user, password=password)
    return _at(database.dsn, password, user=None if database.user == account_name() else database.user)


def daemon(settings: Settings, *, say: Callable[[str], None] = lambda _sentence: None) -> str:
    """The connection string of the daemon; starts the embedded server where that is the mode."""
    database = settings.database
    password = _secret(database.daemon_password, settings, keyring=False)
    if database.mode == "embedded":
        local = server(settings, say=say)
        local.start()
        return local.conninfo(database.daemon_user, password=password)
    return _at(database.dsn, password, user=database.daemon_user)


def owner(settings: Settings, *, say: Callable[[str], None] = lambda _sentence: None) -> str:
    """The connection string of whoever may change the schema: postgres on the embedded server, else owner_dsn."""
    database = settings.database
    if database.mode == "embedded":
        local = server(settings, say=say)
        local.start()
        return local.conninfo("postgres")
    return _at(database.owner_dsn or database.dsn, _secret(database.owner_password, settings), user=None)


def _at(dsn: str | None, password: str | None, *, user: str | None) -> str:
    """The dsn as `user`. None: as the dsn says, else as the account (libpq's own rule)."""
    try:
        named = conninfo_to_dict(dsn or "").get("user")
        return make_conninfo(dsn or "", user=user or named or account_name(), password=password)
    except Error as error:
        raise SettingsError(
            f"database.dsn is no connection string: {' '.join(str(error).split())}",
            remedy='Write it like "postgresql://db.example:5432/policywatch".',
            key="database.dsn",
        ) from error


def _secret(
    ref: SecretRef | None, settings: Settings, *, keyring: bool = True, ask: bool = False
) -> str | None:
    """The secret's value; None without a reference, so that libpq's own places (~/.pgpass) are asked."""
    if ref is None:
        return None
    from policywatch.secrets import resolve  # late: it brings cryptography, and most connections need none

    return str(resolve(ref, settings, env=os.environ, keyring=keyring, ask=ask))
