"""The operating system account that an embedded server runs under, and what that account can reach.

PostgreSQL refuses to run as root. Root therefore drops to an account of its own; anybody else runs it himself.
Nobody's folders are opened up for it: programs below a folder that the account cannot reach are copied instead.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policywatch.errors import ServiceAway

__all__ = ["Account", "account_for", "can_reach", "open_for_reading", "own_name"]

OWN_ACCOUNT = "policywatch"


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server. `dropped`: root changes to it for every program it starts."""

    name: str
    uid: int
    gid: int
    dropped: bool

    def popen(self) -> dict[str, Any]:
        """Arguments for `subprocess` that run a program as this account, in / and with a small environment."""
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C",
            "HOME": "/",
            "TZ": "UTC",
        }
        chosen: dict[str, Any] = {"cwd": "/", "env": env, "stdin": subprocess.DEVNULL}
        if self.dropped:
            chosen |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return chosen


def own_name() -> str:
    """The account that runs this program; ServiceAway where the system has no name for it (initdb needs one)."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise ServiceAway(
            f"The account {os.geteuid()} has no name on this system; PostgreSQL cannot run under it.",
            remedy="Run under an account of /etc/passwd, or set database.dsn to a server of an administrator.",
        ) from None


def account_for(owner: int | None, env: Mapping[str, str] = os.environ) -> Account:
    """Who runs the server: the account itself; for root the owner of existing files (uid), else one of the system."""
    if os.geteuid() != 0:
        return Account(own_name(), os.geteuid(), os.getegid(), dropped=False)
    if owner is not None and owner != 0:
        entry = _entry(owner)
        if entry is None:
            raise ServiceAway(
                f"The database files belong to uid {owner}, an account that this system does not have.",
                remedy="Give the files to an account (chown -R) or restore a backup.",
            )
        return _account(entry)
    for name in ("postgres", OWN_ACCOUNT):
        if (entry := _named(name)) is not None:
            return _account(entry)
    useradd = shutil.which("useradd", path=env.get("PATH", "") + ":/usr/sbin:/sbin")
    if useradd is not None:
        subprocess.run(
            [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", OWN_ACCOUNT],
            check=False,
            capture_output=True,
        )
        if (entry := _named(OWN_ACCOUNT)) is not None:
            return _account(entry)
    if (entry := _named("nobody")) is not None:
        return _account(entry)
    raise ServiceAway(
        "PostgreSQL does not run as root, and no account to run it under is here or can be made.",
        remedy="Make one (useradd --system policywatch), run as an ordinary user, or set database.dsn.",
    )


def can_reach(path: Path, uid: int, gid: int) -> bool:
    """Whether the account, in no further groups, may pass every folder down to `path` and use `path` itself."""
    path = path.resolve()
    for folder in (*reversed(path.parents), path):
        try:
            seen = folder.stat()
        except OSError:
            return False
        if seen.st_uid == uid:
            allowed = seen.st_mode & stat.S_IXUSR
        elif seen.st_gid == gid:
            allowed = seen.st_mode & stat.S_IXGRP
        else:
            allowed = seen.st_mode & stat.S_IXOTH
        if not allowed and (folder != path or folder.is_dir()):
            return False
    return True


def open_for_reading(tree: Path) -> None:
    """A copy of programs is for everybody to read and run, whatever the umask of their installation was."""
    for folder, _, names in os.walk(tree):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | 0o044 | (mode & 0o100) >> 3 | (mode & 0o100) >> 6)


def _named(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _account(entry: pwd.struct_passwd) -> Account:
    try:
        group = grp.getgrgid(entry.pw_gid).gr_gid
    except KeyError:
        group = entry.pw_gid
    return Account(entry.pw_name, entry.pw_uid, group, dropped=True)
