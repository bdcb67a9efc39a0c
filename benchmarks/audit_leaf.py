"""What the hash of each audit row costs, and how fast the log is sealed and checked. Prints one JSON object.

    .venv/bin/python benchmarks/audit_leaf.py [--seconds 3] [--runs 7] [--writers 10] [--rows 100000]

A scratch server with the program's own schema; pgbench with ten writers, one insert a transaction, the trigger on
and off in turn, so that whatever else the machine does falls on both. Nothing waits for the disk: that would hide
the cost. Hold: the median with hashes is at least 80 % of the median without.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from policywatch.db import audit, migrate, sealing, servers
from policywatch.db.embedded import Server
from policywatch.db.pool import Database

QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
INSERT = """\\set n random(1, 1000000)
INSERT INTO app.audit_log (actor, action, object_kind, object_id, outcome, before, after, leaf)
VALUES ('person-1', 'change.verdict', 'change', (:n)::text, 'done', '{"status": "queued", "version": 3}',
        jsonb_build_object('verdict', 'accepted', 'version', 4, 'note', 'the fee of this clause is new', 'change', (:n)::integer), '\\x00');
"""


def pgbench() -> Path:
    """The program of an installed server."""
    usable, _ = servers.find()
    for installation in usable:
        if (installation.bin / "pgbench").is_file():
            return installation.bin / "pgbench"
    sys.exit("no pgbench beside any PostgreSQL here")


def writers(program: Path, conninfo: str, script: Path, count: int, seconds: int) -> float:
    """Transactions a second of one run."""
    parts = conninfo_to_dict(conninfo)
    done = subprocess.run(
        [
            *(str(program), "-n", "-M", "prepared", "-f", str(script), "-T", str(seconds)),
            *("-c", str(count), "-j", "2", make_conninfo("", **{k: str(v) for k, v in parts.items()})),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    return float(found[1])


def run_pairs(conninfo: str, script: Path, options: argparse.Namespace) -> dict[str, Any]:
    program, seen = pgbench(), {"plain": list[float](), "leaf": list[float]()}
    with psycopg.connect(conninfo, autocommit=True) as owner:
        for turn in range(options.runs + 1):
            for kind, word in (("plain", b"DISABLE"), ("leaf", b"ENABLE"))[:: 1 if turn % 2 else -1]:
                owner.execute(b"ALTER TABLE app.audit_log " + word + b" TRIGGER leaf")
                owner.execute("TRUNCATE app.audit_log")
                owner.execute("CHECKPOINT")
                speed = writers(program, conninfo, script, options.writers, options.seconds)
                if turn:  # the first pair warms up
                    seen[kind].append(speed)
        owner.execute("ALTER TABLE app.audit_log ENABLE TRIGGER leaf")
    medians = {kind: statistics.median(speeds) for kind, speeds in seen.items()}
    costs = sorted(1 - leaf / plain for plain, leaf in zip(seen["plain"], seen["leaf"], strict=True))
    return {
        "rows_per_second": {k: round(v) for k, v in medians.items()},
        "cost_of_medians": round(1 - medians["leaf"] / medians["plain"], 3),
        "cost_of_pairs": {
            "median": round(statistics.median(costs), 3),
            "lowest": round(costs[0], 3),
            "highest": round(costs[-1], 3),
        },
    }


async def seal_and_check(conninfo: str, rows: int) -> dict[str, Any]:
    """Seals of a thousand rows, then the check of everything."""
    spent = 0.0
    with psycopg.connect(conninfo, autocommit=True) as owner:
        owner.execute("TRUNCATE app.audit_log, app.audit_seals")
    async with await Database.open(conninfo) as db:
        for _ in range(max(1, rows // 1000)):
            with psycopg.connect(conninfo, autocommit=True) as owner:
                owner.execute(
                    "SELECT count(app.write_audit('change.verdict', 'change', n::text, 'done', NULL,"
                    """ '{"status": "queued"}', jsonb_build_object('verdict', 'accepted', 'change', n)))"""
                    " FROM generate_series(1, 1000) n"
                )
            began = time.perf_counter()
            await sealing.seal(db)
            spent += time.perf_counter() - began
        began = time.perf_counter()
        report = await audit.check(db)
        checked = time.perf_counter() - began
    assert report.ok, report.faults
    return {
        "rows": report.rows,
        "seals": report.seals,
        "ms_per_seal_of_1000": round(1000 * spent / report.seals, 1),
        "checked_rows_per_second": round(report.rows / checked),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, default in (("seconds", 3), ("runs", 7), ("writers", 10), ("rows", 100_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="policywatch-bench-") as folder:
        Path(folder).chmod(0o711)
        server = Server(Path(folder), extra=QUICK)
        server.start()
        try:
            superuser = server.conninfo("postgres", "postgres")
            with psycopg.connect(superuser, autocommit=True) as owner:
                owner.execute("CREATE DATABASE audit_leaf TEMPLATE template0 ENCODING 'UTF8'")
            conninfo = make_conninfo(superuser, dbname="audit_leaf")
            asyncio.run(migrate.up(conninfo))
            with psycopg.connect(conninfo, autocommit=True) as owner:
                owner.execute("ALTER TABLE app.audit_log DISABLE TRIGGER no_truncate")
                owner.execute("ALTER TABLE app.audit_seals DISABLE TRIGGER no_truncate")
            script = Path(folder) / "insert.sql"
            script.write_text(INSERT, encoding="utf-8")
            found = run_pairs(conninfo, script, options)
            found |= asyncio.run(seal_and_check(conninfo, options.rows))
        finally:
            server.stop()
    print(json.dumps(found, indent=2))
    sys.exit(0 if found["cost_of_medians"] <= 0.2 else 1)


if __name__ == "__main__":
    main()
