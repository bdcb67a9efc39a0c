"""The files of `migrations/`: numbered steps with their way back, the group roles, the views and acts of `api/`.

Reading only; the runner is `migrate`. Files are found by `importlib.resources`, so that they are the same ones
from a checkout and from an installed wheel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from policywatch.errors import PolicyWatchError

__all__ = ["ApiFile", "Step", "api_files", "roles", "shipped", "steps"]

_NUMBERED = re.compile(r"^(?P<number>\d{3})_(?P<name>[a-z0-9_]+)\.sql$")
_ALONE = "-- no-transaction"


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered migration. `down` is None where its way back is missing."""

    version: int
    name: str
    up: str = field(repr=False)
    down: str | None = field(repr=False)
    sha256: bytes = field(repr=False)

    @property
    def title(self) -> str:
        """`001_initial_schema`."""
        return f"{self.version:03d}_{self.name}"

    @property
    def transactional(self) -> bool:
        """False for a file that begins with `-- no-transaction`; it holds exactly one statement."""
        return not self.up.startswith(_ALONE)


@dataclass(frozen=True, slots=True)
class ApiFile:
    """One file of `api/`, applied again whenever any of them changed."""

    name: str
    text: str = field(repr=False)
    sha256: bytes = field(repr=False)


def shipped() -> Traversable:
    """The migrations that came with this program."""
    return files("policywatch.migrations")


def steps(folder: Traversable) -> tuple[Step, ...]:
    """The numbered steps in order. Raises PolicyWatchError for a gap or a number that stands twice."""
    found = dict[int, Step]()
    for path in folder.iterdir():
        match = _NUMBERED.match(path.name)
        if match is None:
            continue
        number = int(match["number"])
        if number in found:
            raise PolicyWatchError(
                f"Two migrations have the number {number:03d}.", remedy="Number one of them anew."
            )
        up = path.read_bytes()
        back = folder / path.name.replace(".sql", ".down.sql")
        found[number] = Step(
            number,
            match["name"],
            up.decode("utf-8"),
            back.read_text(encoding="utf-8") if back.is_file() else None,
            sha256(up).digest(),
        )
    ordered = tuple(found[n] for n in sorted(found))
    if [s.version for s in ordered] != list(range(1, len(ordered) + 1)):
        raise PolicyWatchError(
            f"The numbers of the migrations have a gap: {', '.join(f'{s.version:03d}' for s in ordered)}.",
            remedy="They count from 001 without gaps; this installation is incomplete.",
        )
    return ordered


def roles(folder: Traversable) -> str:
    """The statements of `roles.sql`, which make the cluster's group roles; empty where there is no such file."""
    path = folder / "roles.sql"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def api_files(folder: Traversable) -> tuple[ApiFile, ...]:
    """The files of `api/` in name order; none where there is no such folder."""
    api = folder / "api"
    if not api.is_dir():
        return ()
    found = [path for path in api.iterdir() if path.name.endswith(".sql")]
    contents = [(path.name, path.read_bytes()) for path in sorted(found, key=lambda p: p.name)]
    return tuple(ApiFile(name, raw.decode("utf-8"), sha256(raw).digest()) for name, raw in contents)
