"""The daemon's visits in the database: claims with their fence, lanes of hosts, captures, pages.

Every "may I?" is one statement, and a number of rows is the answer. The order of a finish (fence first, then
everything else, in one transaction) is the business of `policywatchd.collect`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load

__all__ = [
    "LEASE",
    "Base",
    "Capture",
    "Claim",
    "Page",
    "add_capture",
    "bases_of",
    "captures_of",
    "claim_due",
    "due_ids",
    "finish_visit",
    "make_due",
    "mark_page_accepted",
    "mark_page_failing",
    "mark_page_good",
    "mark_page_unchanged",
    "mark_step",
    "next_due_in",
    "pages_of",
    "put_back",
    "renew_lease",
    "waiting_of",
]

LEASE = timedelta(seconds=90)

_sql = load("collecting")


@dataclass(frozen=True, slots=True)
class Claim:
    """A document that is ours to visit, for as long as the fence holds."""

    document_id: int
    platform: str
    document: str
    platform_name: str
    document_name: str
    fence: int
    cadence: timedelta
    language: str
    failures: int
    health: str
    newest_snapshot: int | None

    @property
    def name(self) -> str:
        """platform/document, as people write it."""
        return f"{self.platform}/{self.document}"


@dataclass(frozen=True, slots=True)
class Page:
    """A page to visit, with its rule and its last good capture (None where there was none)."""

    id: int
    document_id: int
    url: str
    render: str
    headers: Mapping[str, str]
    rule_id: int
    rule: Mapping[str, Any]
    etag: str | None
    last_modified: str | None
    good_capture: int | None
    good_rule: int | None
    raw_sha256: bytes | None
    text_sha256: bytes | None
    engine: str | None
    reader: str | None = None  # hash of what a reader reads in the last good text, in hexadecimal
    trial: str = "good"  # waiting, good, failed
    trial_rule_id: int | None = None  # an edited rule that waits for its trial
    trial_rule: Mapping[str, Any] | None = None
    accepted_capture: int | None = None  # a suspect one, newer than the last good one, that a person accepted
    accepted_text: bytes | None = None
    platform: str = ""
    credential: str | None = None  # its name; where the value goes is marked in the headers
    overridden: bool = False  # a named person decided against robots.txt
    step: str = "none"  # of the ladder, that read it last: none, http, browser
    step_reason: str | None = None
    plain_due: bool = False  # read by a browser, and for a week not looked at by plain HTTP
    good_step: str = "http"  # of the last good capture
    full_age: float | None = None  # seconds since the last unconditional look


@dataclass(frozen=True, slots=True)
class Base:
    """The newest snapshot of a document."""

    id: int
    document_id: int
    fetched_at: datetime
    source: str
    text_sha256: bytes
    reader_hash: bytes
    link_hash: bytes
    captures: tuple[int, ...]
    origin: Mapping[str, Any]
    open: bool = False  # earlier looks left a candidate or variants, see `policywatch.db.looks`
    waits: bool = False  # a candidate


@dataclass(frozen=True, slots=True)
class Capture:
    """What is stored of one page of one visit. `elapsed` is in seconds."""

    document_id: int
    page_id: int
    fence: int
    state: str
    rule_id: int
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    redirects: Sequence[Mapping[str, Any]] = ()
    final_url: str | None = None
    raw_sha256: bytes | None = None
    text_sha256: bytes | None = None
    conditional: bool = False
    signals: Mapping[str, Any] = field(default_factory=dict)
    cause: str | None = None
    elapsed: float | None = None
    quality: float | None = None
    egress: str | None = None
    robots: str | None = None
    step: str = "http"


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


async def claim_due(
    db: Database, worker: str, places: int, *, only: Sequence[int] | None = None, lease: timedelta = LEASE
) -> list[Claim]:
    """Claim at most so many due documents (of `only`, where given), one of each platform."""
    rows = await db.all(
        _sql.claim_due,
        worker=worker,
        places=places,
        lease=lease,
        only=None if only is None else list(only),
    )
    return [Claim(row.pop("id"), **row) for row in rows]


async def pages_of(db: Database, documents: Sequence[int]) -> dict[int, list[Page]]:
    """The active pages of documents, by document, in reading order."""
    pages: dict[int, list[Page]] = {document: [] for document in documents}
    for row in await db.all(_sql.pages_of, documents=list(documents)):
        for key in ("raw_sha256", "text_sha256", "accepted_text"):
            row[key] = _bytes(row[key])
        pages[row["document_id"]].append(Page(**row))
    return pages


async def bases_of(db: Database, documents: Sequence[int]) -> dict[int, Base]:
    """The newest snapshot of each document that has one."""
    rows = await db.all(_sql.newest_snapshots, documents=list(documents))
    for row in rows:
        row["captures"] = tuple(row["captures"])
        for key in ("text_sha256", "reader_hash", "link_hash"):
            row[key] = bytes(row[key])
    return {row["document_id"]: Base(**row) for row in rows}


async def captures_of(db: Database, captures: Sequence[int]) -> list[dict[str, Any]]:
    """id, page_id, raw_sha256, final_url, content_type, step of captures."""
    return await db.all(_sql.captures_of, captures=list(captures))


async def renew_lease(db: Database, claim: Claim, worker: str, lease: timedelta = LEASE) -> bool:
    """Hold the document longer, because a page of it is done. False: it is another's by now."""
    return bool(
        await db.run(
            _sql.renew_lease, document=claim.document_id, worker=worker, fence=claim.fence, lease=lease
        )
    )


async def put_back(
    db: Database, claim: Claim, worker: str, wait: timedelta, cause: str | None = None
) -> bool:
    """Give a document back unvisited, due after `wait`, with the cause if there is one. False: it is another's by now."""
    return bool(
        await db.run(
            _sql.put_back,
            document=claim.document_id,
            worker=worker,
            fence=claim.fence,
            wait=wait,
            cause=cause,
        )
    )


async def finish_visit(
    tx: Tx, claim: Claim, worker: str, *, wait: timedelta, health: str, cause: str | None
) -> dict[str, Any] | None:
    """Prove the fence, free the document and note its health (good where there is no cause).

    Returns newest_snapshot, failures, version; None where the fence is gone and nothing may be stored.
    """
    return await tx.one(
        _sql.finish_visit,
        document=claim.document_id,
        worker=worker,
        fence=claim.fence,
        wait=wait,
        health=health,
        cause=cause,
        good=cause is None,
    )


async def add_capture(tx: Tx, capture: Capture) -> int:
    """Store a capture; returns its id."""
    return int(
        await tx.value(
            _sql.add_capture,
            document=capture.document_id,
            page=capture.page_id,
            fence=capture.fence,
            state=capture.state,
            status=capture.status,
            headers=json.dumps(dict(capture.headers)),
            redirects=json.dumps([dict(hop) for hop in capture.redirects]),
            final_url=capture.final_url,
            raw_sha256=capture.raw_sha256,
            text_sha256=capture.text_sha256,
            rule=capture.rule_id,
            conditional=capture.conditional,
            quality=capture.quality,
            egress=capture.egress,
            robots=capture.robots,
            step=capture.step,
            signals=json.dumps(dict(capture.signals)),
            cause=capture.cause,
            elapsed=None if capture.elapsed is None else timedelta(seconds=capture.elapsed),
        )
    )


async def mark_page_good(
    tx: Tx, page: int, capture: int, *, etag: str | None, last_modified: str | None
) -> None:
    """A good capture, with the validators that came with it."""
    await tx.run(_sql.mark_page_good, page=page, capture=capture, etag=etag, last_modified=last_modified)


async def mark_page_unchanged(tx: Tx, page: int) -> None:
    """The page is as it was."""
    await tx.run(_sql.mark_page_unchanged, page=page)


async def mark_page_failing(
    tx: Tx, page: int, health: str, cause: str, *, suspect: int | None = None
) -> None:
    """The page cannot be read; what was good of it stays. `suspect`: the capture, where it is a suspect one."""
    await tx.run(_sql.mark_page_failing, page=page, health=health, cause=cause, suspect=suspect)


async def mark_step(tx: Tx, page: int, step: str, reason: str | None) -> None:
    """The step of the ladder that read the page now, and why not a lower one."""
    await tx.run(_sql.mark_step, page=page, step=step, reason=reason)


async def mark_page_accepted(tx: Tx, page: int, capture: int) -> None:
    """A person took a suspect capture for the policy: it is the last good one now, without validators."""
    await tx.run(_sql.mark_page_accepted, page=page, capture=capture)


async def due_ids(db: Database) -> list[int]:
    """Documents that are due now."""
    return [row["id"] for row in await db.all(_sql.due_ids)]


async def make_due(db: Database | Tx, platform: str | None, document: str | None) -> list[int]:
    """Make active documents due now (None: all of them); returns which."""
    return [row["id"] for row in await db.all(_sql.make_due, platform=platform, document=document)]


async def next_due_in(db: Database) -> float | None:
    """Seconds until a document is due (0 or less: one is); None where none is watched."""
    found = await db.value(_sql.next_due_in)
    return None if found is None else float(found)


async def waiting_of(db: Database, only: Sequence[int]) -> list[dict[str, Any]]:
    """id, platform, document, held, due_in of documents."""
    return await db.all(_sql.waiting_of, only=list(only))
