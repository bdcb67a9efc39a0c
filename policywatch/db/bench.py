"""The database at size: a scratch database filled in proportion to N changes, and every question of desk and daemon.

On the server of the settings where `database.mode` is dsn, else on an embedded one of its own in a temporary
folder. Database and logins have names of their own (`pwb_...`) and are dropped at the end, also after a fault.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from policywatch.db import bench_measure, bench_seed
from policywatch.db.bench_measure import DAEMON, PERSON, Figure, World
from policywatch.db.queries import load
from policywatch.db.scratch import maintenance, open_one, scratch
from policywatch.errors import PolicyWatchError

if TYPE_CHECKING:
    from policywatch.settings import Settings

__all__ = ["BUDGETS", "Budget", "Report", "run"]

_sql = load("bench")

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
        superuser, _ = await maintenance(settings, ends, extra=_OWN, keep=keep, say=say)
        made = await scratch(superuser, ends, keep=keep)
        say(f"Filling {made.name} in proportion to {scale:,} changes ...")
        seeded = await bench_seed.seed(made.owner, scale, now, say)
        async with await open_one(made.owner) as owner:
            facts = await owner.one(_sql.facts) or {}
            places = await owner.all(_sql.places)
            views = await bench_measure.views(owner)
        world = World(scale, now, places)
        figures, left_out = list[Figure](), dict[str, str]()
        for login, conninfo, queries in (
            ("person", made.person, [*bench_measure.statements(PERSON), _sql.guidance_metrics, *views]),
            ("daemon", made.daemon, bench_measure.statements(DAEMON)),
        ):
            async with await open_one(conninfo) as db:
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
            database=made.name,
            kept=made.owner if keep else None,
        )


def _budgets(figures: list[Figure]) -> tuple[Budget, ...]:
    by_name = {figure.query: figure.p95_ms for figure in figures}
    found = list[Budget]()
    for name, queries, limit in BUDGETS:
        slowest = max(by_name[query] for query in queries)
        found.append(Budget(name, limit, slowest, slowest <= limit))
    return tuple(found)
