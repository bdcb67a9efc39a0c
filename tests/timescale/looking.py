"""What the tests ask of a migrated TimescaleDB server: its chunks, every row of every view, compression by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.timescale.wasm import Connection, person

__all__ = ["CHUNKS", "MONTH", "ask", "chunks", "compress_all", "seen", "views"]

MONTH = timedelta(days=30)
CHUNKS = {
    "policy_snapshots": MONTH,
    "policy_changes": MONTH,
    "delivery_events": MONTH,
    "audit_log": MONTH,
    "system_metrics": timedelta(days=1),
}
# Figures of the server itself, which compression is there to change.
SIZES = ("table_sizes",)


def ask(connection: Connection, statement: Any, *values: Any, **named: Any) -> list[dict[str, Any]]:
    return list(connection.execute(statement, values or named or None).fetchall())


def chunks(connection: Connection) -> dict[str, timedelta]:
    found = ask(
        connection,
        "SELECT hypertable_name, time_interval FROM timescaledb_information.dimensions WHERE hypertable_schema = 'app'",
    )
    return {row["hypertable_name"]: row["time_interval"] for row in found}


def views(connection: Connection) -> list[str]:
    """Those that whoever the connection is may read."""
    return [
        row["relname"]
        for row in ask(
            connection,
            "SELECT relname FROM pg_class WHERE relnamespace = 'read'::regnamespace AND relkind = 'v'"
            " AND has_table_privilege(oid, 'SELECT') ORDER BY relname",
        )
        if row["relname"] not in SIZES
    ]


def seen(connection: Connection, who: str) -> dict[str, list[str]]:
    """Every row of every view as this person reads it; the clock stands still meanwhile."""
    rows = {}
    connection.execute("BEGIN")
    connection.execute(
        "CREATE OR REPLACE FUNCTION app.pw_now() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER"
        " SET search_path = pg_catalog, app, pg_temp AS $$ SELECT timestamptz '2100-01-01' $$"
    )
    with person(connection, who):
        for name in views(connection):
            rows[name] = sorted(
                row["text"] for row in ask(connection, f"SELECT v::text AS text FROM read.{name} v")
            )
    connection.execute("ROLLBACK")
    return rows


def compress_all(connection: Connection) -> int:
    """Every chunk of every series that has a columnstore, today's too; how many."""
    done = ask(
        connection,
        "SELECT compress_chunk(format('%I.%I', c.chunk_schema, c.chunk_name)::regclass)"
        " FROM timescaledb_information.chunks c JOIN timescaledb_information.hypertables h USING (hypertable_schema, hypertable_name)"
        " WHERE c.hypertable_schema = 'app' AND h.compression_enabled AND NOT c.is_compressed",
    )
    return len(done)
