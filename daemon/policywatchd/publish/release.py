"""The end of a grace period: the publication is released and its recipients are frozen into ledger rows.

All in one transaction under the lock that a take-back needs too: exactly one of them wins, and a crash leaves
either everything or nothing. A members file that cannot be read keeps the publication in its grace period.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence

from policywatch.db import publishing, workers
from policywatch.db.pool import Database
from policywatch.db.publishing import Due, Sealed
from policywatch.domain.guidance import Member
from policywatch.errors import UsageError
from policywatch.guidance.identity import NONCE_OCTETS, domain_hash, recipient_hash, seal_address
from policywatch.settings import Settings
from policywatchd.publish.audience import members_of
from policywatchd.publish.keys import KEY_VERSION, Keys

__all__ = ["BATCH", "release_due", "seal"]

log = logging.getLogger("policywatch.publish")

BATCH = 1000  # ledger rows a statement


def seal(
    keys: Keys,
    publication: int,
    members: Iterable[Member],
    octets: Callable[[int], bytes] = secrets.token_bytes,
) -> list[Sealed]:
    """The ledger rows of members: keyed hash, sealed address, keyed domain. `octets` must be random."""
    rows = []
    for member in members:
        name = recipient_hash(keys.hash, member.address)
        sealed = seal_address(
            keys.address, octets(NONCE_OCTETS), member.address, publication=publication, recipient=name
        )
        rows.append(Sealed(name, sealed, domain_hash(keys.hash, member.address)))
    return rows


async def release_due(db: Database, settings: Settings, keys: Keys) -> int:
    """Release every publication whose grace is over; how many left their grace period."""
    moved = 0
    for due in await publishing.due_releases(db):
        rows: Sequence[Sealed] = ()
        subject = f"publication P-{due.publication}"
        if not due.too_late:
            try:
                members = await members_of(db, settings, due.audience)
            except UsageError as fault:
                await workers.open_alert(db, "release_held", subject, fault.what, level="critical")
                log.error("release_held publication=P-%d reason=%r", due.publication, fault.what)
                continue
            rows = await asyncio.to_thread(seal, keys, due.publication, members)
        state = await _release(db, due, rows)
        await workers.close_alert(db, "release_held", subject)
        moved += state != "grace"
        log.info(
            "publication_released publication=P-%d state=%s members=%d", due.publication, state, len(rows)
        )
    return moved


async def _release(db: Database, due: Due, rows: Sequence[Sealed]) -> str:
    async with db.transaction() as tx:
        state, missing = await publishing.release(tx, due.publication)
        if not missing:
            return state  # taken back, lapsed, or frozen in the meantime
        for start in range(0, len(rows), BATCH):
            await publishing.insert_recipients(tx, due.publication, KEY_VERSION, rows[start : start + BATCH])
        return await publishing.freeze_recipients(tx, due.publication)
