"""The configuration files of an embedded server, as text. They lie outside its data folder, so that root never
writes into a folder that belongs to the account the server runs under.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from policywatch.db.servers import Installation

__all__ = ["ACCOUNT", "PORT", "hba", "ident", "postgresql_conf", "socket_fits", "write"]

#: Part of the socket's file name; every server has a socket folder of its own, so one number serves all.
PORT = 5432

#: What an account of the operating system may be called, to be written into pg_ident.conf.
ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?")
_LOGIN = re.compile(r"(?!pw_|pg_)[a-z_][a-z0-9_.-]{0,62}")

_LONGEST_SOCKET = 107  # bytes of sun_path without its end, on Linux; macOS has 103
_MACOS_SHORTER = 4


def socket_fits(folder: Path) -> bool:
    """Whether the server's socket in `folder` has a path that the system can hold (a longer one fails at start)."""
    return len(bytes(folder / f".s.PGSQL.{PORT}")) <= _LONGEST_SOCKET - _MACOS_SHORTER


def hba() -> str:
    """Who may connect how: no network at all; peers are known by their account, everybody else by password."""
    return (
        "# Written by policywatch at every start.\n"
        "local all postgres  peer map=pw\n"
        "local all pw_daemon peer map=pw\n"
        "local all +pw_peer  peer map=pw\n"
        "local all all       scram-sha-256\n"
    )


def ident(keepers: Iterable[str], people: Mapping[str, str] = MappingProxyType({})) -> str:
    """Which account may be which login: the keepers are the machine; a person with a peer login is their own name.

    `people` are logins whose account has another name (login -> account): a line each, and the account that has
    the login's name is kept out of it. The last line maps no account to an administrative login, whatever the
    account is called. Names that mean something else in this file (a pattern, a group) are left out.
    """
    lines = ["# Written by policywatch at every start, and when people change."]
    for keeper in sorted(set(keepers)):
        quoted = '"' + keeper.replace('"', '""') + '"'
        lines += [f"pw {quoted} {login}" for login in ("postgres", "admin", "pw_daemon")]
    elsewhere = ["postgres$", "admin$", "pw_", "pg_"]
    for login, account in sorted(people.items()):
        if _LOGIN.fullmatch(login) and login not in ("postgres", "admin"):
            elsewhere.append(login.replace(".", r"\.") + "$")
            if ACCOUNT.fullmatch(account):
                lines.append(f'pw "{account}" "{login}"')
    lines.append(rf'pw "/^(?!{"|".join(elsewhere)})(.*)$" \1')
    return "\n".join(lines) + "\n"


def postgresql_conf(
    installation: Installation, *, data: Path, sockets: Path, conf: Path, extra: Mapping[str, str]
) -> str:
    """The server's settings: what initdb chose for this machine, then ours, then `extra` (tests: fsync off)."""
    preload = [name for name in ("timescaledb", "pg_stat_statements") if name in installation.extensions]
    settings: dict[str, str] = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": f'"{sockets}"',
        "hba_file": str(conf / "pg_hba.conf"),
        "ident_file": str(conf / "pg_ident.conf"),
        "shared_preload_libraries": ",".join(preload),
        "password_encryption": "scram-sha-256",
        # Bound values are secrets and texts of others: none of them belongs into the server's log.
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "jit": "off",  # short statements: compiling them costs more than it saves
        # Seven files at most, for a server that runs for months.
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "server-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_checkpoints": "off",
    }
    if "pg_stat_statements" in preload:
        # Utility statements are kept whole by it, and ALTER ROLE holds a password's verifier.
        settings["pg_stat_statements.track_utility"] = "off"
    if "timescaledb" in preload:
        settings["timescaledb.telemetry_level"] = "off"
    settings |= extra
    lines = [
        "# Written by policywatch at every start; add nothing here.",
        f"include {_quote(str(data / 'postgresql.conf'))}",
    ]
    lines += [f"{name} = {_quote(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def write(path: Path, text: str) -> None:
    """Replace the file whole, readable for everybody: nothing secret stands in it."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(path)
