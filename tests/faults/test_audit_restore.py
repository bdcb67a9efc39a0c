"""A database restored in another cluster, whose transaction numbers begin anew: the log goes on and fits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from policywatch.db import audit, backup, migrate
from policywatch.db.embedded import Server
from policywatch.db.pool import Database
from policywatch.domain.audit import anchor_of_line
from policywatch.domain.audit_check import Report
from policywatchd.upkeep.seals import Sealer
from tests.databases import QUICK, Scratch, embedded_folder
from tests.db.audit_world import anchor, sealed, write

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]


async def test_a_restore_into_another_cluster_begins_an_epoch_and_verifies(
    database: Scratch, tmp_path: Path
) -> None:
    # given sealed rows, an anchor of them, and rows that had no seal when the backup was made
    write(database, 30)
    await sealed(database)
    kept = await anchor(database)
    write(database, 5)
    place, _ = await backup.create(database.owner, tmp_path, program="test")
    with embedded_folder() as folder:
        other = Server(folder, extra=QUICK)
        await asyncio.to_thread(other.start)
        try:
            await backup.restore(other.conninfo("postgres"), place, "moved", programs=other.programs())
            moved = other.conninfo("postgres", "moved")
            await migrate.up(moved, admin_name=database.cluster.role("admin"), peer=True)
            # then it verifies as it is, before anything is sealed there
            before = await _check(moved, kept)
            assert before.ok, before.faults
            assert before.epochs == 1
            assert before.unsealed >= 6  # those five, and what waking wrote
            # when its daemon seals
            async with await Database.open(other.conninfo("pw_daemon", "moved")) as db:
                opening = await Sealer().look(db)
                assert opening is not None
                assert (opening.epoch, opening.low) == (2, 0)
                with psycopg.connect(moved, autocommit=True) as owner:
                    owner.execute("SELECT app.write_audit('later.act', 'thing', '1')")
                following = await Sealer(rows=1).look(db)
                assert following is not None
                assert following.epoch == 2
            # then everything fits, the old anchor too
            after = await _check(moved, kept)
            assert after.ok, after.faults
            assert (after.epochs, after.unsealed, after.anchors_good) == (2, 0, 1)
            assert after.rows == before.rows + before.unsealed + 1
            # and so does the manifest of the backup
            told = [anchor_of_line(x) for x in (place / backup.MANIFEST).read_text().splitlines()]
            (remembered,) = [a for a in told if a is not None]
            assert (remembered.n, remembered.chain) == (kept.n, kept.chain)
            assert (await _check(moved, remembered)).anchors_good == 1
            # and a row of the first life that is changed there is found
            with psycopg.connect(moved) as owner:
                owner.execute("SET session_replication_role = replica")
                owner.execute("UPDATE app.audit_log SET actor = 'nobody' WHERE id = %s", [kept.last_id])
            broken = await _check(moved, kept)
            assert broken.faults[0].row == kept.last_id
        finally:
            await asyncio.to_thread(other.stop)


async def _check(conninfo: str, *anchors: object) -> Report:
    async with await Database.open(conninfo) as db:
        return await audit.check(db, list(anchors))  # type: ignore[arg-type]
