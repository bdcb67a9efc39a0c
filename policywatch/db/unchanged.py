"""The end of visits that found nothing new: one statement for many documents, each under its own fence.

Only the plain case: whatever else may be open about a document or its pages is left to the full finish, which is
the business of `policywatchd.collect.finish`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = ["Look", "Quiet", "finish_unchanged", "note_moved", "note_page"]

_sql = load("unchanged")


@dataclass(frozen=True, slots=True)
class Look:
    """A page that answered that it is as it was. `capture`: its last good one; `elapsed` in seconds."""

    page: int
    capture: int
    status: int | None
    headers: Mapping[str, str]
    redirects: Sequence[Mapping[str, Any]]
    address: str | None
    conditional: bool
    elapsed: float | None
    egress: str | None
    robots: str | None


@dataclass(frozen=True, slots=True)
class Quiet:
    """A document all of whose pages are as they were; `base` is its newest snapshot."""

    document: int
    fence: int
    base: int
    wait: timedelta
    looks: Sequence[Look]


async def finish_unchanged(db: Database, worker: str, quiet: Sequence[Quiet]) -> set[int]:
    """Finish what is plain; returns the documents that are. Nothing was written about the others."""
    looks = [(one.document, look) for one in quiet for look in one.looks]
    rows = await db.all(
        _sql.finish_unchanged,
        worker=worker,
        documents=[one.document for one in quiet],
        fences=[one.fence for one in quiet],
        bases=[one.base for one in quiet],
        waits=[one.wait for one in quiet],
        pages=[look.page for _, look in looks],
        of=[document for document, _ in looks],
        captures=[look.capture for _, look in looks],
        statuses=[look.status for _, look in looks],
        headers=[json.dumps(dict(look.headers)) for _, look in looks],
        redirects=[json.dumps([dict(hop) for hop in look.redirects]) for _, look in looks],
        addresses=[look.address for _, look in looks],
        conditional=[look.conditional for _, look in looks],
        elapsed=[look.elapsed for _, look in looks],
        egress=[look.egress for _, look in looks],
        robots=[look.robots for _, look in looks],
    )
    return {row["id"] for row in rows}


async def note_page(
    tx: Tx,
    page: int,
    *,
    robots: str | None,
    full: bool,
    moved_to: str | None,
    validators: tuple[str | None, str | None] | None = None,
) -> None:
    """Note what a look showed beside text and health. After the page was marked good, unchanged or failing.

    `validators` (ETag, Last-Modified): new ones of the same bytes.
    """
    etag, last_modified = validators or (None, None)
    await tx.run(
        _sql.note_page,
        page=page,
        robots=robots,
        full=full,
        moved=moved_to,
        same=validators is not None,
        etag=etag,
        last_modified=last_modified,
    )


async def note_moved(tx: Tx, document: int, address: str, moved_to: str) -> None:
    """Say of a document that was read that its page has moved. After the fence was proved."""
    await tx.run(_sql.note_moved, document=document, address=address, moved=moved_to)
