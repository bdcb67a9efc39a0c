"""Where things lie: the state folder, paths in the settings, the account's name.

A setting may say `auto`; what that means depends on the account, not on the file. The loader passes the
environment and the folder of the settings file as validation context; without it the process's own are used.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, ValidationInfo, WithJsonSchema

__all__ = ["AccountName", "FilePath", "InStateFolder", "StateFolder", "account_name", "default_state_folder"]

AUTO = Path("auto")
_SCHEMA = WithJsonSchema({"type": "string"})
_WRITTEN = PlainSerializer(str, return_type=str, when_used="json")


def default_state_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Where this account keeps what must outlive the program: never inside a clone of the source.

    /var/lib/policywatch for root, else $XDG_STATE_HOME/policywatch, else ~/.local/state/policywatch.
    """
    chosen = env.get("XDG_STATE_HOME", "")
    if Path(chosen).is_absolute():
        return Path(chosen) / "policywatch"
    if os.geteuid() == 0:
        return Path("/var/lib/policywatch")
    return _home(env) / ".local" / "state" / "policywatch"


def account_name() -> str:
    """The operating system's name for who runs this; `uid-N` where there is none (a container)."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid-{os.geteuid()}"


def _home(env: Mapping[str, str]) -> Path:
    chosen = env.get("HOME", "")
    if chosen:
        return Path(chosen)
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return Path("/nonexistent")


def _context(known: ValidationInfo) -> dict[str, Any]:
    return known.context if isinstance(known.context, dict) else {}


def _full(path: Path, known: ValidationInfo, base: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("must be a path")
    if path.parts and path.parts[0] == "~":
        path = _home(_context(known).get("env", os.environ)).joinpath(*path.parts[1:])
    return Path(os.path.normpath(path if path.is_absolute() else base / path))


def _state_folder(path: Path, known: ValidationInfo) -> Path:
    context = _context(known)
    if path == AUTO:
        path = default_state_folder(context.get("env", os.environ))
    chosen = _full(path, known, context.get("folder", Path.cwd()))
    context["state_folder"] = chosen  # read by `_in_state_folder`: `database` comes before what lies in it
    return chosen


def _beside_the_file(path: Path, known: ValidationInfo) -> Path:
    return _full(path, known, _context(known).get("folder", Path.cwd()))


def _in_state_folder(path: Path, known: ValidationInfo) -> Path:
    context = _context(known)
    state = context.get("state_folder") or default_state_folder(context.get("env", os.environ))
    return _full(path, known, state)


def _account(name: str) -> str:
    return account_name() if name == "auto" else name


StateFolder = Annotated[Path, AfterValidator(_state_folder), _WRITTEN, _SCHEMA]
"""`auto` or a path; relative ones count from the folder of the settings file."""
FilePath = Annotated[Path, AfterValidator(_beside_the_file), _WRITTEN, _SCHEMA]
"""A path; relative ones count from the folder of the settings file."""
InStateFolder = Annotated[Path, AfterValidator(_in_state_folder), _WRITTEN, _SCHEMA]
"""A path; relative ones count from the state folder."""
AccountName = Annotated[str, AfterValidator(_account)]
"""A login name; `auto` is the account of the operating system."""
