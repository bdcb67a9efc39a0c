"""The folder of one demo: what lies where in it, and how it is cleared away."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from policywatch.errors import UsageError

__all__ = ["Place", "placed"]


@dataclass(frozen=True, slots=True)
class Place:
    """`kept`: the folder is the person's (--keep) and stays; otherwise it goes with the demo."""

    folder: Path
    kept: bool

    @property
    def state(self) -> Path:
        """State folder of the database: its files, keys and passwords."""
        return self.folder / "state"

    @property
    def settings(self) -> Path:
        """Settings of the daemon and the administrator."""
        return self.folder / "policywatch.yaml"

    def settings_of(self, person: str) -> Path:
        """The same settings with the login of a person."""
        return self.folder / f"{person}.yaml"

    @property
    def members(self) -> Path:
        """The pretend members."""
        return self.folder / "members.csv"

    @property
    def mails(self) -> Path:
        """One file for each mail that arrived."""
        return self.folder / "mails"

    @property
    def log(self) -> Path:
        """What the daemon said."""
        return self.folder / "policywatchd.log"

    def write(self, path: Path, text: str) -> None:
        """A file that only this account reads."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as f:
            f.write(text)


@contextlib.contextmanager
def placed(keep: Path | None) -> Iterator[Place]:
    """A temporary folder, removed at the end, or the person's empty one; UsageError for one in use."""
    if keep is None:
        folder = Path(tempfile.mkdtemp(prefix="policywatch-demo-"))
    else:
        folder = keep.absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            taken = any(folder.iterdir())
        except OSError as fault:
            raise UsageError(
                f"{folder} cannot be used: {fault.strerror}.", remedy="Name another folder."
            ) from None
        if taken:
            raise UsageError(
                f"{folder} is not empty, and the demo overwrites nothing.",
                remedy="Name a new or an empty folder.",
            )
    # PostgreSQL refuses to run as root; the account it runs under must pass through to its own files.
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        yield Place(folder, keep is not None)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
