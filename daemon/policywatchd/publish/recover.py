"""Rows that a dead daemon left: what never left is queued again, what may have left becomes uncertain.

Nothing here sends anything. A row that was marked as on its way is queued again only where the journal of its
daemon proves that it was never handed over.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from policywatch.db import publishing, workers
from policywatch.db.pool import Database
from policywatch.db.publishing import Holder
from policywatchd.publish.journal import left_behind

__all__ = ["boot_id", "gone", "recover"]

log = logging.getLogger("policywatch.publish")


def boot_id() -> str:
    """The name of this machine's current run, or nothing where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def gone(
    holders: Iterable[Holder],
    worker: str,
    *,
    host: str,
    boot: str,
    runs: Callable[[int], bool] = _runs,
    own_pid: int | None = None,
) -> list[str]:
    """The workers that provably run no more: they said so, or their process on this machine is not there.

    Of all others only the end of a lease is known. A process that has our own pid is us, so a worker of
    another name with it is dead.
    """
    own_pid = os.getpid() if own_pid is None else own_pid
    dead = []
    for holder in holders:
        if holder.owner == worker:
            continue
        here = bool(boot) and holder.host == host and holder.boot_id == boot and holder.pid is not None
        rebooted = bool(boot) and holder.host == host and bool(holder.boot_id) and holder.boot_id != boot
        vanished = here and holder.pid is not None and (holder.pid == own_pid or not runs(holder.pid))
        if holder.stopped or rebooted or vanished:
            dead.append(holder.owner)
    return dead


async def recover(db: Database, worker: str, journals: Path, *, starting: bool = False) -> int:
    """Free what dead workers hold; how many rows are uncertain now.

    `journals`: the folder where daemons of this machine write down what they hand over. `starting`: nothing was
    marked by this process yet, so rows under our own name are of an earlier one.
    """
    held = await publishing.holders(db)
    dead = gone(held, worker, host=socket.gethostname(), boot=boot_id())
    if starting:
        dead.append(worker)
    install = str(await workers.config_value(db, "install_id"))
    with left_behind(journals, boot=boot_id(), install=install) as left:
        for journal in left:
            if journal.worker == worker and not starting:
                continue
            sent, queued = await publishing.resolve_by_journal(
                db, journal.worker, claims=journal.claims, handed=journal.handed, accepted=journal.accepted
            )
            dead.append(journal.worker)  # its lock is free: the process is gone
            log.info("journal_read worker=%s sent=%d queued=%d", journal.worker, sent, queued)
        queued, uncertain = await publishing.recover(db, worker=worker, dead=dead)
    for publication, count in uncertain.items():
        log.warning("recipients_uncertain publication=P-%d count=%d", publication, count)
        await workers.open_alert(
            db,
            "recipients_uncertain",
            f"publication P-{publication}",
            f"{count} mails of P-{publication} were on their way when a daemon ended; whether they arrived is not known.",
        )
    if queued:
        log.info("recipients_queued_again count=%d", queued)
    return sum(uncertain.values())
