"""The store of texts at size: a recorded history imported into a scratch database, and read back.

Prints what the history takes in `contents` (rows, TOAST, indexes) beside git's packed size of the same, whether
every version comes back byte for byte, and how long a random one takes. The scratch database is an embedded server
of its own in a temporary folder, which goes at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from policywatch.db import connect, contents
from policywatch.db.pool import Database
from policywatch.db.queries import load
from policywatch.errors import PolicyWatchError, UsageError

__all__ = ["BYTES", "READ_MS", "Report", "run"]

_sql = load("bench_storage")

BYTES = 5 * 1000 * 1000  # what the history may take
READ_MS = 10.0  # what a random read may take, p95
_CLONE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Report:
    """Sizes in bytes, times in milliseconds. `unequal`: versions that did not come back as git has them."""

    versions: int
    suspect: int
    text_bytes: int
    bodies: int
    contents_bytes: int
    contents_parts: Mapping[str, int]
    payload_bytes: int
    deepest: int
    git_packed_bytes: int
    import_seconds: float
    unequal: tuple[str, ...]
    reads: int
    read_p50_ms: float
    read_p95_ms: float
    read_max_ms: float

    @property
    def held(self) -> bool:
        """Whether the budgets of the design hold."""
        return not self.unequal and self.contents_bytes <= BYTES and self.read_p95_ms <= READ_MS

    def to_json(self) -> dict[str, Any]:
        """Plain types, keys in snake_case."""
        return {**asdict(self), "held": self.held}


async def run(
    source: Path,
    importer: Callable[[Path, Path], Awaitable[Mapping[str, Any]]],
    *,
    reads: int = 1000,
    seed: int = 1,
    say: Callable[[str], None] = lambda _sentence: None,
) -> Report:
    """Import, weigh, read back. `importer` takes a settings file and a source, and gives the import's report."""
    from policywatch.settings import load as load_settings

    async with contextlib.AsyncExitStack() as ends:
        folder = Path(tempfile.mkdtemp(prefix="policywatch-bench-"))
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        say("Unpacking the history ...")
        clone = await asyncio.to_thread(_clone, source, folder / "history.git")
        file = folder / "policywatch.yaml"
        file.write_text(f"database: {{state_folder: {folder / 'state'}}}\n", encoding="utf-8")
        settings = load_settings(file, {})
        server = connect.server(settings)
        ends.push_async_callback(asyncio.to_thread, server.stop)
        say("Importing it ...")
        imported = await importer(file, clone)
        conninfo = await asyncio.to_thread(connect.owner, settings)
        async with await Database.open(conninfo, max_size=1, application="policywatch bench") as db:
            versions = await db.all(_sql.versions)
            sizes, sums = await db.one(_sql.sizes) or {}, await db.one(_sql.contents) or {}
            say(f"Reading {len(versions)} versions back ...")
            unequal, length = await _read_all(db, clone, versions)
            times = await _read_some(db, versions, reads, random.Random(seed))  # noqa: S311 (a sample)
        return Report(
            versions=len(versions),
            suspect=int(imported.get("suspect", 0)),
            text_bytes=length,
            bodies=sums["bodies"],
            contents_bytes=sizes["total"],
            contents_parts={name: sizes[name] for name in ("rows", "toast", "indexes")},
            payload_bytes=sums["payload"],
            deepest=sums["depth"],
            git_packed_bytes=_packed(clone),
            import_seconds=float(imported.get("seconds", 0.0)),
            unequal=tuple(unequal),
            reads=len(times),
            read_p50_ms=round(statistics.median(times), 2),
            read_p95_ms=round(times[min(len(times) - 1, int(len(times) * 0.95))], 2),
            read_max_ms=round(times[-1], 2),
        )


def _clone(source: Path, clone: Path) -> Path:
    """The history as git packs it best: one pack."""
    git = shutil.which("git")
    if git is None:
        raise PolicyWatchError(
            "git is not installed; it is what the store is held against.", remedy="Install git."
        )
    if not source.exists():
        raise UsageError(
            f"{source} is not there.", remedy="Name a clone or bundle of an archive by --corpus."
        )
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "LC_ALL": "C",
    }
    for argv in (
        [git, "clone", "--quiet", "--bare", "--", str(source.resolve()), str(clone)],
        [git, "-C", str(clone), "repack", "-a", "-d", "--quiet"],
    ):
        try:
            subprocess.run(
                argv,
                check=True,
                capture_output=True,
                timeout=_CLONE_SECONDS,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise UsageError(
                f"{source} is no history that git can read.",
                remedy="Name a clone or bundle of an archive by --corpus.",
            ) from error
    return clone


def _packed(clone: Path) -> int:
    return sum(pack.stat().st_size for pack in (clone / "objects" / "pack").glob("*.pack"))


async def _read_all(
    db: Database, clone: Path, versions: Sequence[Mapping[str, Any]]
) -> tuple[list[str], int]:
    """Every version from both stores: where they differ, and the bytes of all."""
    unequal: list[str] = []
    length = 0
    with subprocess.Popen(
        ["git", "-C", str(clone), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as git:
        assert git.stdin is not None
        assert git.stdout is not None
        for row in versions:
            name = f"{row['commit']}:{row['path']}"
            git.stdin.write(name.encode() + b"\n")
            git.stdin.flush()
            head = git.stdout.readline().split()
            body = git.stdout.read(int(head[2]) + 1)[:-1] if len(head) == 3 else None
            stored = await contents.fetch(db, bytes(row["text_sha256"]))
            length += len(stored)
            if body != stored:
                unequal.append(name)
        git.stdin.close()
    return unequal, length


async def _read_some(
    db: Database, versions: Sequence[Mapping[str, Any]], reads: int, draw: random.Random
) -> list[float]:
    """Milliseconds of random reads, sorted."""
    times: list[float] = []
    for _ in range(reads):
        sha256 = bytes(draw.choice(versions)["text_sha256"])
        began = time.perf_counter()
        await contents.fetch(db, sha256)
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)
