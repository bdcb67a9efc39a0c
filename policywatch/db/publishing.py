"""The daemon's side of a publication: audiences, release, the ledger of recipients, delivery events.

One function per named query, on a `Database` or inside a transaction of it. What may be done, and when, is
decided by the statements and the functions of the database, never by a value that was read here before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = [
    "Answered",
    "Audience",
    "Claimed",
    "Due",
    "Holder",
    "Sealed",
    "Wording",
    "cancel_stopped",
    "claim_recipients",
    "due_releases",
    "finish",
    "freeze_recipients",
    "holders",
    "insert_recipients",
    "mark_sending",
    "may_send",
    "next_release",
    "pause",
    "record_audience",
    "recover",
    "release",
    "resolve_by_journal",
    "return_claim",
    "sendable",
    "settle",
    "share",
    "suppressed_among",
    "uncounted",
    "wording",
]

_sql = load("publishing")
Door = Database | Tx


@dataclass(frozen=True, slots=True)
class Audience:
    """A segment as it was submitted: its key, name, version and stored criteria."""

    key: str
    name: str
    version: int
    criteria: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Due:
    """A publication to be released; `too_late`: it lapses and needs no recipients."""

    publication: int
    too_late: bool
    audience: Audience


@dataclass(frozen=True, slots=True)
class Sealed:
    """A recipient as it goes into the ledger."""

    hash: bytes
    address: bytes
    domain: bytes


@dataclass(frozen=True, slots=True)
class Claimed:
    """A ledger row that a marking holds. `address` is sealed, or None if it was erased."""

    id: int
    hash: bytes
    address: bytes | None
    tries: int


@dataclass(frozen=True, slots=True)
class Wording:
    """The approved text of a publication, and the time that its mails state."""

    publication: int
    revision: int
    date: datetime
    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one handed-over row. `wait`: seconds until the next try; `text` holds no address."""

    recipient: int
    publication: int
    claim: UUID
    state: str
    code: str | None = None
    text: str | None = None
    wait: float = 0.0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker that holds ledger rows; host, boot and pid are None if it never registered."""

    owner: str
    host: str | None
    boot_id: str | None
    pid: int | None
    stopped: bool


def _audience(row: Mapping[str, Any]) -> Audience:
    return Audience(row["key"], row["name"], row["version"], row["criteria"])


# -- audiences ----------------------------------------------------------------------------------------


async def uncounted(db: Door) -> list[tuple[int, Audience]]:
    """Approval requests that wait for their count, oldest first."""
    return [(row["approval"], _audience(row)) for row in await db.all(_sql.uncounted_audiences)]


async def suppressed_among(db: Door, hashes: Sequence[bytes]) -> int:
    """How many of these keyed hashes are never to be mailed."""
    return len(await db.all(_sql.suppressed_among, hashes=list(hashes)))


async def record_audience(
    db: Database, approval: int, *, worker: str, count: int | None, suppressed: int | None, fault: str | None
) -> bool:
    """Store the count, or why there is none, and end the request row. False: it was counted already."""
    async with db.transaction() as tx:
        await tx.run(_sql.take_count_request, approval=approval, worker=worker)
        known = {"approval": approval, "count": count, "suppressed": suppressed, "fault": fault}
        recorded = await tx.value(_sql.record_audience, **known)
        await tx.run(_sql.end_count_request, worker=worker, **known)
    return bool(recorded)


# -- release ------------------------------------------------------------------------------------------


async def due_releases(db: Door) -> list[Due]:
    """What is to be released now, by the database clock; nothing while the system is frozen."""
    rows = await db.all(_sql.due_releases)
    return [Due(row["id"], bool(row["too_late"]), _audience(row)) for row in rows]


async def next_release(db: Door) -> float | None:
    """Seconds until the next grace period ends."""
    seconds = await db.value(_sql.next_release)
    return None if seconds is None else float(seconds)


async def release(tx: Tx, publication: int) -> tuple[str, bool]:
    """Release under the exclusive lock: the state afterwards, and whether the recipients are missing."""
    state = await tx.value(_sql.release_publication, publication=publication)
    missing = await tx.value(_sql.recipients_missing, publication=publication)
    return str(state), bool(missing)


async def insert_recipients(tx: Tx, publication: int, key_version: int, sealed: Sequence[Sealed]) -> None:
    """Ledger rows for a publication that is being released; suppressed ones in that state."""
    await tx.run(
        _sql.insert_recipients,
        publication=publication,
        key_version=key_version,
        hashes=[row.hash for row in sealed],
        addresses=[row.address for row in sealed],
        domains=[row.domain for row in sealed],
    )


async def freeze_recipients(tx: Tx, publication: int) -> str:
    """Count the rows and hold the publication if there are too many; the state afterwards."""
    await tx.run(_sql.note_suppressed, publication=publication)
    return str(await tx.value(_sql.recipients_frozen, publication=publication))


# -- sending ------------------------------------------------------------------------------------------


async def sendable(db: Door) -> list[int]:
    """Publications with a recipient that is due, oldest release first."""
    return [row["id"] for row in await db.all(_sql.sendable)]


async def wording(db: Door, publication: int) -> Wording:
    """What the mails of a publication say."""
    row = await db.one(_sql.letter, publication=publication)
    if row is None:
        raise LookupError(f"there is no publication P-{publication}")
    return Wording(
        row["id"], row["number"], row["released_at"], row["subject"], row["body_text"], row["body_html"]
    )


async def share(tx: Tx, publication: int) -> None:
    """Exclude a stop or a take-back until the transaction ends. Several: in the order of their ids."""
    await tx.run(_sql.share_publication, publication=publication)


async def may_send(tx: Tx, publication: int) -> bool:
    """Whether mails of it may leave, read after `share`; holds off a freeze until the transaction ends."""
    return bool(await tx.value(_sql.may_send, publication=publication))


async def claim_recipients(
    tx: Tx, publication: int, *, worker: str, claim: UUID, lease: timedelta, most: int
) -> tuple[list[Claimed], int]:
    """Due rows that are now ours, and how many turned out to be suppressed."""
    rows = await tx.all(
        _sql.claim_recipients, publication=publication, worker=worker, claim=claim, lease=lease, most=most
    )
    ours = [
        Claimed(
            row["id"], bytes(row["recipient_hash"]), row["address"] and bytes(row["address"]), row["tries"]
        )
        for row in rows
        if row["state"] == "claimed"
    ]
    return ours, len(rows) - len(ours)


async def mark_sending(tx: Tx, claim: UUID, lease: timedelta, message_ids: Mapping[int, str]) -> None:
    """Mark claimed rows as on their way. They are handed over only after this transaction has committed."""
    ids = list(message_ids)
    await tx.run(
        _sql.mark_sending, claim=claim, lease=lease, ids=ids, message_ids=[message_ids[row] for row in ids]
    )


async def settle(tx: Tx, answers: Sequence[Answered]) -> list[tuple[int, str, int]]:
    """Write answers with their events, each at most once: (publication, state, how many)."""
    rows = await tx.all(
        _sql.settle,
        ids=[answer.recipient for answer in answers],
        claims=[answer.claim for answer in answers],
        states=[answer.state for answer in answers],
        codes=[answer.code for answer in answers],
        texts=[answer.text for answer in answers],
        waits=[float(answer.wait) for answer in answers],
        counted=[answer.counted for answer in answers],
    )
    return [(row["publication_id"], row["state"], row["count"]) for row in rows]


async def cancel_stopped(tx: Tx, recipients: Sequence[int]) -> int:
    """Cancel those of these rows that are open although their publication was stopped."""
    return await tx.run(_sql.cancel_stopped, ids=list(recipients))


async def return_claim(tx: Tx, claim: UUID) -> int:
    """Give back rows that were marked but never handed to a connection."""
    return await tx.run(_sql.return_claim, claim=claim)


async def pause(db: Door, publication: int, reason: str) -> bool:
    """Hold a publication; False if it is not being sent."""
    return bool(await db.value(_sql.pause_publication, publication=publication, reason=reason))


async def finish(db: Database) -> list[int]:
    """End publications of which nothing is open; those that ended."""
    ended = []
    for row in await db.all(_sql.finishable):
        if await db.value(_sql.finish_publication, publication=row["id"]):
            ended.append(int(row["id"]))
    return ended


# -- recovery ------------------------------------------------------------------------------


async def holders(db: Door) -> list[Holder]:
    """Everybody who holds rows."""
    return [
        Holder(row["owner"], row["host"], row["boot_id"], row["pid"], bool(row["stopped"]))
        for row in await db.all(_sql.holders)
    ]


async def resolve_by_journal(
    db: Database,
    owner: str,
    *,
    claims: Collection[UUID],
    handed: Collection[int],
    accepted: Collection[int],
) -> tuple[int, int]:
    """Settle rows of a dead worker by what its journal proves: how many were sent, how many are queued again."""
    async with db.transaction() as tx:
        rows = await tx.all(
            _sql.resolve_by_journal,
            owner=owner,
            claims=list(claims),
            handed=list(handed),
            accepted=list(accepted),
        )
        queued = [row["id"] for row in rows if row["state"] == "queued"]
        if queued:
            await cancel_stopped(tx, queued)
    return len(rows) - len(queued), len(queued)


async def recover(db: Database, *, worker: str, dead: Sequence[str]) -> tuple[int, dict[int, int]]:
    """Free the rows of dead workers and of others' leases that are over.

    Returns how many are queued again, and per publication how many are uncertain now.
    """
    async with db.transaction() as tx:
        queued = await tx.run(_sql.recover_claimed, worker=worker, dead=list(dead))
        lost = await tx.all(_sql.recover_sending, worker=worker, dead=list(dead))
    return queued, {row["publication_id"]: row["count"] for row in lost}
