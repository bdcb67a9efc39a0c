"""Measurements in and out of the database: sizes, queue ages, replicas, and the series `system_metrics`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from policywatch.db.pool import QUERY_TIMES, Database
from policywatch.db.queries import load
from policywatch.metrics import Sample

__all__ = ["measure", "newest", "own_samples", "store"]

_sql = load("metrics")

#: Each has its sample also where no document is in it: a line that comes and goes cannot be watched.
SOURCE_STATES = ("ok", "late", "degraded", "blocked", "moved", "needs-rules", "gone", "paused", "never")


async def measure(db: Database) -> list[Sample]:
    """What the database says of itself now."""
    samples = [Sample("policywatch_up", 1.0)]
    for row in await db.all(_sql.table_sizes):
        labels = {"table": row["relation"]}
        samples.append(Sample("policywatch_table_bytes", float(row["bytes"]), labels))
        samples.append(Sample("policywatch_table_rows", float(row["rows"]), labels))
    for row in await db.all(_sql.queue_ages):
        labels = {"queue": row["queue"]}
        samples.append(Sample("policywatch_queue_waiting", float(row["waiting"]), labels))
        samples.append(Sample("policywatch_queue_oldest_seconds", float(row["oldest_seconds"]), labels))
    sources = {row["state"]: row for row in await db.all(_sql.sources)}
    for state in (*SOURCE_STATES, *(state for state in sources if state not in SOURCE_STATES)):
        count = sources[state]["documents"] if state in sources else 0
        samples.append(Sample("policywatch_sources", float(count), {"state": state}))
    samples.append(
        Sample("policywatch_blind_documents", float(sum(row["blind"] for row in sources.values())))
    )
    for row in await db.all(_sql.digest_ages):
        samples.append(
            Sample("policywatch_digest_age_seconds", row["seconds"], {"audience": row["audience"]})
        )
    for row in await db.all(_sql.replication):
        samples.append(
            Sample("policywatch_replication_lag_seconds", row["lag_seconds"], {"replica": row["replica"]})
        )
    return samples


def own_samples(db: Database) -> list[Sample]:
    """What this process measured itself: time per named query, its pool."""
    samples = []
    for name, times in QUERY_TIMES.items():
        labels = {"query": name}
        samples.append(Sample("policywatch_query_calls_total", float(times.count), labels))
        samples.append(Sample("policywatch_query_seconds_total", times.total, labels))
        samples.append(Sample("policywatch_query_max_seconds", times.longest, labels))
    for kind, value in db.stats().items():
        samples.append(Sample("policywatch_pool", float(value), {"kind": kind}))
    return samples


async def newest(db: Database) -> list[Sample]:
    """The newest stored value of each measurement, not older than 15 minutes."""
    return [Sample(r["name"], r["value"], dict(r["labels"])) for r in await db.all(_sql.newest)]


async def store(db: Database, samples: Sequence[Sample]) -> None:
    """Append samples to the series."""
    rows = [{"name": s.name, "labels": dict(s.labels), "value": s.value} for s in samples]
    await db.run(_sql.store, samples=json.dumps(rows))
