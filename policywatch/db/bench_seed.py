"""The rows of a benchmark's scratch database: how they come in, in which order, over two connections.

The rows themselves are made by the server (`sql/bench_seed.sql`). Secondary indexes are taken away first and made
again at the end; triggers and foreign keys are off meanwhile, so that only a superuser can do it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from policywatch.db.pool import Database
from policywatch.db.queries import Query, load
from policywatch.db.statements import compose

__all__ = ["DOCUMENTS", "Seeded", "publications_of", "seed"]

_sql = load("bench")
_rows = load("bench_seed")

#: Documents of the pretend catalogue; `bench_seed.sql` counts on the number.
DOCUMENTS = 53

_FIRST = (_rows.origin, _rows.users, _rows.documents, _rows.rules, _rows.pages, _rows.hosts, _rows.workers)
# Two lanes that need nothing of each other, about equally long.
_COLLECTED = (
    _rows.contents,
    _rows.snapshot_keys,
    _rows.snapshots,
    _rows.newest,
    _rows.search,
    _rows.captures,
    _rows.change_states,
    _rows.changes,
    _rows.analyses,
    _rows.verdicts,
)
_MAILED = (
    _rows.audit,
    _rows.seals,
    _rows.metrics,
    _rows.acts,
    _rows.sessions,
    _rows.requests,
    _rows.alerts,
    _rows.suppressions,
    _rows.inbound,
    _rows.drafts,
    _rows.revisions,
    _rows.evidence,
    _rows.approvals,
    _rows.decisions,
    _rows.publications,
    _rows.recipients,
    _rows.events,
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What came in: seconds in all and by step, rows by table (as the planner estimates them), bytes on disk."""

    seconds: float
    steps: dict[str, float]
    rows: dict[str, int]
    bytes: int


def publications_of(scale: int) -> int:
    """How many publications belong to so many changes: their mean is 2,000 recipients, two for each change."""
    return max(12, scale // 1000)


async def seed(owner: str, scale: int, now: datetime, say: Callable[[str], None]) -> Seeded:
    """Fill the empty, migrated database of `owner` (a superuser there) in proportion to `scale` changes."""
    began, steps = time.monotonic(), dict[str, float]()
    params = {"n": scale, "now": now, "publications": publications_of(scale)}

    async def timed(name: str, db: Database, query: Query) -> None:
        started = time.monotonic()
        wanted = {key: params[key] for key in query.parameters}
        await db.run(query, **wanted)
        steps[name] = round(time.monotonic() - started, 2)
        say(f"{name}: {steps[name]:.1f} s ({time.monotonic() - began:.0f} s in all)")

    async with await _lane(owner) as one, await _lane(owner) as other:

        async def fill(db: Database, queries: Sequence[Query]) -> None:
            for query in queries:
                await timed(query.name.partition(".")[2], db, query)

        taken = await _take_indexes(one)
        await fill(one, _FIRST)
        await asyncio.gather(fill(one, _COLLECTED), fill(other, _MAILED))

        # The tables that hold most come first, so that the lanes end together; never two of one table at once.
        waiting = sorted(taken, key=lambda relation: -len(taken[relation]))

        async def index(db: Database) -> None:
            while waiting:
                for name, definition in taken[waiting.pop(0)]:
                    await timed(f"index {name.removeprefix('app.')}", db, Query("bench.index", definition))

        await asyncio.gather(index(one), index(other))
        await timed("recount", one, _sql.recount)
        await timed("vacuum and analyze", one, _sql.vacuum)
        sizes = await one.all(_sql.rows)
        return Seeded(
            round(time.monotonic() - began, 1),
            steps,
            {row["relation"]: row["rows"] for row in sizes},
            int(await one.value(_sql.size)),
        )


async def _lane(owner: str) -> Database:
    """One connection for seeding; its settings go with it."""
    db = await Database.open(owner, max_size=1, application="policywatch bench")
    await db.all(_sql.quick)
    return db


async def _take_indexes(db: Database) -> dict[str, list[tuple[str, str]]]:
    """Drop what can be made again, by table: name and definition."""
    taken = dict[str, list[tuple[str, str]]]()
    for row in await db.all(_sql.indexes):
        taken.setdefault(row["relation"], []).append((row["name"], row["definition"]))
        schema, _, name = row["name"].rpartition(".")
        statement = compose(_sql.drop_index, names={"schema": schema or "app", "name": name})
        await db.run(Query("bench.drop_index", statement.as_string()))
    return taken
