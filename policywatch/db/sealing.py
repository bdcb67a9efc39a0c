"""Sealing the audit log, as the daemon: which rows no running transaction can add to, their root, the chain.

A seal takes the rows of transactions that had all ended, by the server's own horizon; a slow writer's row waits
for the seal after its commit and is never passed over. In another cluster than the newest seal's (a restored
database, a first start) transaction numbers begin anew: one seal under a short lock names every row that has
none, and a new epoch begins. Checking is in `policywatch.db.audit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from policywatch.db.audit import seal_of
from policywatch.db.pool import Database, Row, Tx
from policywatch.db.queries import load
from policywatch.domain.audit import GENESIS, Seal, Tree, seal_chain

__all__ = ["Waiting", "seal", "waiting"]

_sql = load("audit")

_LOCK = 0x61756469747365  # "auditse"; advisory locks are the database's own
_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """What no seal names yet. `opening`: the next seal begins an epoch. `rows` is counted up to the limit asked for;
    `age` is that of the oldest row that could be sealed now, `oldest` that of the oldest row at all."""

    opening: bool
    rows: int
    age: timedelta
    oldest: timedelta


async def waiting(db: Database, *, limit: int) -> Waiting:
    """How much waits for a seal, by the clock of the database."""
    row = await db.one(_sql.waiting, limit=limit)
    assert row is not None
    none = timedelta(0)
    if row["opening"]:
        oldest = await db.value(_sql.unsealed_age) or none
        return Waiting(True, 0, oldest, oldest)
    return Waiting(False, row["rows"], row["age"] or none, row["oldest"] or none)


async def seal(db: Database) -> Seal | None:
    """Seal what can be sealed now. None: there is nothing, or another daemon is at it.

    Raises PolicyWatchError where the first seal of an epoch would have to wait for a slow writer.
    """
    async with db.transaction() as tx:
        # The lock first: the statements after it see what the one who had it before has committed.
        if not await tx.value(_sql.try_sealing, key=_LOCK):
            return None
        head = await _head(tx)
        if head["system_identifier"] != head["here"]:
            await tx.run(_sql.hold)
            return await _open_epoch(tx, await _head(tx))
        members = await tx.one(
            _sql.members, low=head["high"], high=head["horizon"], boundary=head["boundary"]
        )
        assert members is not None
        if not members["row_count"]:
            return None
        return await _add(tx, head, head["epoch"], head["high"], members)


async def _head(tx: Tx) -> Row:
    head = await tx.one(_sql.head)
    assert head is not None
    return head


async def _open_epoch(tx: Tx, head: Row) -> Seal:
    """Under the lock nobody has an open audit row: whatever comes later has a higher number than `last_id`."""
    members = await tx.one(_sql.members_opening)
    assert members is not None
    return await _add(tx, head, (head["epoch"] or 0) + 1, "0", members)


async def _add(tx: Tx, head: Row, epoch: int, low: str, members: Row) -> Seal:
    tree, after = Tree(), (members["first_id"] or 0) - 1
    while tree.count < members["row_count"]:
        page = await tx.all(
            _sql.leaves, after=after, last=members["last_id"], ids=members["ids"], limit=_PAGE
        )
        if not page:
            break
        for row in page:
            tree.add(row["leaf"])
        after = page[-1]["id"]
    root = tree.root()
    chain = seal_chain(
        head["chain"] or GENESIS,
        epoch=epoch,
        system_identifier=head["here"],
        low=int(low),
        high=int(head["horizon"]),
        count=tree.count,
        root=root,
    )
    said: dict[str, Any] = {"epoch": epoch, "low": low, "root": root, "chain": chain}
    made = await tx.one(
        _sql.add_seal, here=head["here"], high=head["horizon"], **{**members, "row_count": tree.count}, **said
    )
    assert made is not None
    return seal_of(made)
