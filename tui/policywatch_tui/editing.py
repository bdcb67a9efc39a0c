"""A text given to the person's own editor, in a file that only this person can read."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from policywatch.errors import PolicyWatchError

__all__ = ["edit"]


def edit(
    text: str, folder: Path, environ: Mapping[str, str], away: Callable[[], AbstractContextManager[None]]
) -> tuple[str, Path] | None:
    """Let the person edit; None where nothing changed. The file (0600) stays until the caller removes it.

    `away` gives the terminal to the editor. Raises PolicyWatchError where there is no editor or it failed.
    """
    command = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="draft-", suffix=".txt", dir=folder)
    path = Path(name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    try:
        with away():
            code = subprocess.run([*command, str(path)], check=False).returncode
    except OSError as error:
        path.unlink(missing_ok=True)
        raise PolicyWatchError(
            f"the editor {command[0]} cannot be started: {error.strerror}",
            remedy="Set EDITOR to one that can.",
        ) from error
    edited = path.read_text(encoding="utf-8", errors="replace")
    if code != 0 or edited == text:
        path.unlink(missing_ok=True)
        if code != 0:
            raise PolicyWatchError(f"the editor ended with {code}: nothing was stored")
        return None
    return edited, path
