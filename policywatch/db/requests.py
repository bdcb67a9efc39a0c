"""Requests that people left for the daemon: claimed, served, answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = [
    "RENEW_SECONDS",
    "Request",
    "claim_requests",
    "end_request",
    "expire_requests",
    "renew_request",
    "tell_progress",
]

_sql = load("requests")

#: A claim holds for a minute; whoever serves longer says so this often. A dead server's work is taken over after it.
RENEW_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Request:
    """Work that a person asked for. `sealed` holds arguments with an address in them."""

    id: int
    kind: str
    arguments: Mapping[str, Any]
    sealed: bytes | None
    requested_by: str
    version: int


async def claim_requests(db: Database, worker: str, kinds: Sequence[str], places: int) -> list[Request]:
    """Claim waiting requests of these kinds, oldest first; those of a dead server among them."""
    rows = await db.all(_sql.claim_requests, worker=worker, kinds=list(kinds), places=places)
    return [Request(**row) for row in rows]


async def end_request(tx: Tx, request: int, worker: str, result: Mapping[str, Any], *, done: bool) -> bool:
    """Answer a request (done or failed) and tell who waits. False: another serves it by now."""
    version = await tx.value(
        _sql.end_request,
        request=request,
        worker=worker,
        result=json.dumps(dict(result)),
        state="done" if done else "failed",
    )
    if version is None:
        return False
    await tx.value(_sql.hint_request, request=request, version=version)
    return True


async def tell_progress(db: Database, request: int, worker: str, result: Mapping[str, Any]) -> bool:
    """Say how far the serving is. False: another serves it by now."""
    version = await db.value(
        _sql.tell_progress, request=request, worker=worker, result=json.dumps(dict(result))
    )
    return version is not None


async def renew_request(db: Database, request: int, worker: str) -> bool:
    """Go on holding a claim. False: another serves it by now, or it expired."""
    return await db.value(_sql.renew_request, request=request, worker=worker) is not None


async def expire_requests(db: Database) -> int:
    """Close requests that nobody served in time; returns how many."""
    return len(await db.all(_sql.expire_requests))
