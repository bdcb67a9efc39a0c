"""What the daemon says of itself and keeps in order: heartbeat, figures, alerts, audit rows, stale rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = [
    "Forgotten",
    "audit",
    "beat",
    "clock",
    "close_alert",
    "config_value",
    "end_stale_sessions",
    "expire_approvals",
    "forget",
    "hint",
    "open_alert",
    "stop_worker",
]

_sql = load("workers")

_BATCH = 20_000  # rows of one DELETE: a fraction of a second


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How old figures went: `rows` and `chunks` are counted in `gone`; with `policy` it is 1 when the server's job was set anew."""

    way: str
    gone: int


async def beat(
    db: Database,
    worker: str,
    *,
    boot: str,
    pid: int,
    host: str,
    program: str,
    progress: Mapping[str, Any],
) -> None:
    """The daemon lives; committed when this returns."""
    await db.run(
        _sql.beat,
        worker=worker,
        boot=boot,
        pid=pid,
        host=host,
        program=program,
        progress=json.dumps(dict(progress)),
    )


async def stop_worker(db: Database, worker: str) -> None:
    """The daemon ended cleanly."""
    await db.run(_sql.stop_worker, worker=worker)


async def expire_approvals(db: Database) -> int:
    """Close approval requests that nobody answered in time; returns how many."""
    return int(await db.value(_sql.expire_approvals))


async def end_stale_sessions(db: Database, silence: timedelta) -> int:
    """End sessions that have been silent for so long; returns how many."""
    return int(await db.value(_sql.end_stale_sessions, silence=silence))


async def forget(db: Database, keep_measures: timedelta) -> Forgotten:
    """Drop figures beyond their retention, and daemons that have long been gone.

    Plain tables lose rows in batches, each a short transaction; hypertables whole chunks, or by the server's own job.
    """
    rows = 0
    while True:
        row = await db.one(_sql.forget_measures, keep=keep_measures, most=_BATCH)
        assert row is not None
        rows += row["gone"]
        if row["way"] != "rows" or row["gone"] < _BATCH:
            break
    await db.run(_sql.forget_workers)
    return Forgotten(row["way"], rows)


async def clock(db: Database | Tx) -> datetime:
    """The time by the database's clock, the only one that counts."""
    found: datetime = await db.value(_sql.clock)
    return found


async def config_value(db: Database, key: str) -> Any:
    """One fact of system_config; None where there is no such key."""
    return await db.value(_sql.config_value, key=key)


async def open_alert(
    db: Database | Tx,
    kind: str,
    subject: str,
    sentence: str,
    *,
    level: str = "warning",
    audience: str = "operators",
) -> int:
    """Open an alert, or count one that is open already; returns its number."""
    return int(
        await db.value(
            _sql.open_alert, kind=kind, subject=subject, sentence=sentence, level=level, audience=audience
        )
    )


async def close_alert(db: Database | Tx, kind: str, subject: str) -> bool:
    """The matter is over. False: no such alert was open."""
    return bool(await db.run(_sql.close_alert, kind=kind, subject=subject))


async def audit(
    tx: Database | Tx,
    action: str,
    kind: str,
    id: str,
    *,
    outcome: str = "done",
    code: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write an audit row; actor, time and hash are the database's own."""
    await tx.value(
        _sql.write_audit,
        action=action,
        kind=kind,
        id=id,
        outcome=outcome,
        code=code,
        before=None if before is None else json.dumps(dict(before)),
        after=None if after is None else json.dumps(dict(after)),
    )


async def hint(tx: Database | Tx, kind: str, id: int, version: int = 0) -> None:
    """Tell listeners to look; sent when the transaction commits."""
    await tx.value(_sql.hint, kind=kind, id=id, version=version)
