"""An import that dies leaves whole batches behind, and the next one finishes its work."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from policywatch.db.pool import Database
from policywatch.settings import load
from policywatchd.collect.archives.importing import import_source
from policywatchd.upkeep.reconcile import reconcile
from tests.daemon.archives import told_history
from tests.databases import Scratch

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]

ROOT = Path(__file__).parents[2]
ROWS = """
SELECT p.key, d.key, s.kind, s.fetched_at, s.origin, s.text_sha256, c.noise_kind, c.passages, t.status, a.summary,
       d.newest_snapshot = s.id AS newest, w.snapshot_id = s.id AS searched
FROM app.policy_snapshots s
JOIN app.policy_documents d ON d.id = s.document_id JOIN app.platforms p ON p.id = d.platform_id
LEFT JOIN app.policy_changes c ON c.after_snapshot = s.id
LEFT JOIN app.change_states t ON t.change_id = c.id
LEFT JOIN app.change_analyses a ON a.change_id = c.id
LEFT JOIN app.document_search w ON w.document_id = d.id
ORDER BY s.id
"""


def is_gone(pid: int) -> bool:
    """Ended, or waiting for a parent that does not ask."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def import_and_kill(scratch: Scratch, folder: Path) -> None:
    """Start an import of its own process and kill it when nine versions are committed; its children must end too."""
    argv = [sys.executable, "-m", "tests.daemon.import_until_killed", scratch.daemon, str(folder)]
    process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(60):
        children = [int(pid) for pid in (await process.stdout.readline()).split()]
        process.kill()
        await process.wait()
        assert children
        while not all(is_gone(pid) for pid in children):  # noqa: ASYNC110 (they are not our children)
            await asyncio.sleep(0.05)


async def test_an_import_killed_in_the_middle_is_finished_by_the_next(
    database: Scratch, module_database: Scratch, tmp_path: Path
) -> None:
    # Given an import that was killed after three of four batches
    settings = load(None, {})
    told_history(tmp_path)
    async with await Database.open(database.daemon) as db:
        await reconcile(db, settings)
        await import_and_kill(database, tmp_path)

        # Then what it committed is whole: every change has its state and analysis
        half = database.run(ROWS)
        assert len(half) == 9
        assert all(row["summary"] and row["status"] for row in half if row["noise_kind"])
        (trace,) = database.run("SELECT action FROM app.audit_log WHERE action LIKE 'archive%'")
        assert trace["action"] == "archive.import_begun"

        # When it is run again, then it passes over what is there
        report = await import_source(settings, db, str(tmp_path))
        assert (report.skipped, report.snapshots_added) == (9, 3)

    # And all is as in a database where nothing happened
    async with await Database.open(module_database.daemon) as calm:
        await reconcile(calm, settings)
        await import_source(settings, calm, str(tmp_path))
    whole = database.run(ROWS)
    assert whole == module_database.run(ROWS)
    assert [row["newest"] for row in whole] == [row["searched"] for row in whole]
    assert sum(row["newest"] for row in whole) == 3
