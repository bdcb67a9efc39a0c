"""The database at size: a scratch database filled in proportion to N changes, and every question of desk and daemon.

On the server of the settings where `database.mode` is dsn, else on an embedded one of its own in a temporary
folder. Database and logins have names of their own (`pwb_...`) and are dropped at the end, also after a fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets as random_source
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import make_conninfo

from policywatch.db import bench_measure, bench_seed, connect, logins, migrate
from policywatch.db.bench_measure import DAEMON, PERSON, Figure, World
from policywatch.db.embedded import Server
from policywatch.db.pool import Database
from policywatch.db.queries import Query, load
from policywatch.db.statements import compose
from policywatch.errors import PolicyWatchError

if TYPE_CHECKING:
    from policywatch.settings import Settings

__all__ = ["BUDGETS", "Budget", "Report", "run"]

_sql = load("bench")
_server = load("server")

# The server of its own: nothing here has to survive a power cut. What reading depends on stays as everywhere.
_OWN = {"fsync": "off", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}

#: What has to hold at 1,000,000 changes: words, the statements they mean, milliseconds at p95.
BUDGETS: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("queue page", ("desk.queue_page",), 20.0),
    ("counts", ("desk.counts", "listing.queue_counts"), 20.0),
    ("change view", ("desk.change", "desk.change_notes", "listing.change"), 20.0),
    ("approvals", ("desk.approvals", "listing.approvals"), 20.0),
    ("platform status", ("listing.platforms", "desk.standing"), 20.0),
    ("publications", ("desk.publications", "listing.publications"), 20.0),
    ("guidance metrics", ("bench.guidance_metrics",), 50.0),
)


@dataclass(frozen=True, slots=True)
class Budget:
    """One line of what has to hold: the slowest p95 of its statements, in milliseconds."""

    name: str
    limit_ms: float
    p95_ms: float
    held: bool


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of a run."""

    scale: int
    server_version: str
    timescaledb: str | None
    shared_buffers: str
    processors: int
    seed: bench_seed.Seeded
    figures: tuple[Figure, ...]
    budgets: tuple[Budget, ...]
    left_out: dict[str, str]
    """Statements that were not measured, with the reason."""
    database: str
    kept: str | None
    """Where the database is, when it was to be kept."""

    def to_json(self) -> dict[str, Any]:
        """Plain types, keys in snake_case."""
        return asdict(self)


async def run(
    settings: Settings,
    *,
    scale: int,
    runs: int = 50,
    keep: bool = False,
    say: Callable[[str], None] = lambda _sentence: None,
) -> Report:
    """Make, fill, measure, drop. `say` gets one sentence per step."""
    now = datetime.now(UTC)
    async with contextlib.AsyncExitStack() as ends:
        maintenance = await _maintenance(settings, ends, keep=keep, say=say)
        scratch = await _scratch(maintenance, ends, keep=keep)
        say(f"Filling {scratch.name} in proportion to {scale:,} changes ...")
        seeded = await bench_seed.seed(scratch.owner, scale, now, say)
        async with await _open(scratch.owner) as owner:
            facts = await owner.one(_sql.facts) or {}
            places = await owner.all(_sql.places)
            views = await bench_measure.views(owner)
        world = World(scale, now, places)
        figures, left_out = list[Figure](), dict[str, str]()
        for login, conninfo, queries in (
            ("person", scratch.person, [*bench_measure.statements(PERSON), _sql.guidance_metrics, *views]),
            ("daemon", scratch.daemon, bench_measure.statements(DAEMON)),
        ):
            async with await _open(conninfo) as db:
                for query in queries:
                    try:
                        figure = await bench_measure.measure(db, login, query, world, runs=runs)
                    except PolicyWatchError as fault:  # one faulty statement does not cost the others
                        left_out[query.name] = fault.what
                        continue
                    figures.append(figure)
                    say(f"{login} {query.name}: p95 {figure.p95_ms:.2f} ms")
        return Report(
            scale=scale,
            server_version=facts["server_version"],
            timescaledb=facts["timescaledb"],
            shared_buffers=facts["shared_buffers"],
            processors=os.cpu_count() or 1,
            seed=seeded,
            figures=tuple(figures),
            budgets=_budgets(figures),
            left_out=left_out,
            database=scratch.name,
            kept=scratch.owner if keep else None,
        )


def _budgets(figures: list[Figure]) -> tuple[Budget, ...]:
    by_name = {figure.query: figure.p95_ms for figure in figures}
    found = list[Budget]()
    for name, queries, limit in BUDGETS:
        slowest = max(by_name[query] for query in queries)
        found.append(Budget(name, limit, slowest, slowest <= limit))
    return tuple(found)


# The scratch database ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scratch:
    name: str
    owner: str
    person: str
    daemon: str


async def _maintenance(
    settings: Settings, ends: contextlib.AsyncExitStack, *, keep: bool, say: Callable[[str], None]
) -> str:
    """A superuser's connection string on the server to be used."""
    if settings.database.mode == "dsn":
        return await asyncio.to_thread(connect.owner, settings)
    folder = Path(tempfile.mkdtemp(prefix="policywatch-bench-"))
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    server = Server(folder, dbname="postgres", extra=_OWN, say=say)

    def clear() -> None:
        if keep:
            return
        sockets = server.status().socket_folder
        server.stop()
        if sockets is not None and folder not in sockets.parents:
            shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)

    ends.push_async_callback(asyncio.to_thread, clear)
    await asyncio.to_thread(server.start)
    return server.conninfo("postgres", "postgres")


async def _scratch(maintenance: str, ends: contextlib.AsyncExitStack, *, keep: bool) -> _Scratch:
    """A migrated database with an administrator and a daemon's login, dropped at the end."""
    run = f"{int(time.time()):x}{os.getpid():x}"
    name, person, daemon = f"pwb_{run}", f"pwb_{run}_person", f"pwb_{run}_daemon"
    async with await _open(maintenance) as server:
        facts = await server.one(_sql.facts) or {}
        if not facts.get("superuser"):
            raise PolicyWatchError(
                "Only a superuser can seed a benchmark: triggers and foreign keys are off meanwhile.",
                remedy="Name one in database.owner_dsn, or use database.mode: embedded (a server of its own).",
            )
        if not keep:
            ends.push_async_callback(_drop, maintenance, name, (person, daemon))
        await _run(server, _server.create_database, name)
        owner = make_conninfo(maintenance, dbname=name)
        await migrate.up(owner, admin_name=person)
        await _run(server, _sql.create_daemon, daemon)
        passwords = {login: random_source.token_hex(16) for login in (person, daemon)}
        for login, password in passwords.items():
            await logins.set_password(owner, login, password)
    async with await _open(owner) as db:
        await db.run(_sql.unlock_admin, name=person)
    return _Scratch(name, owner, *(make_conninfo(owner, user=u, password=p) for u, p in passwords.items()))


async def _drop(maintenance: str, name: str, roles: tuple[str, ...]) -> None:
    async with await _open(maintenance) as server:
        await _run(server, _server.drop_database, name)
        for role in roles:
            await _run(server, _sql.drop_role, role)


async def _run(db: Database, query: Query, name: str) -> None:
    await db.run(Query(query.name, compose(query, names={"name": name}).as_string()))


async def _open(conninfo: str) -> Database:
    return await Database.open(conninfo, max_size=1, application="policywatch bench")
