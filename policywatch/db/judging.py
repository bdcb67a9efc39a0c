"""Snapshots, changes and analyses as they are written: by a visit, by an import, by a later reading.

All of it is insert-only. Everything here runs in the caller's transaction, so that a snapshot and the place
of its change in the queue are there together or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from policywatch.db.pool import Tx
from policywatch.db.queries import load
from policywatch.domain.changes import Analysis, Comparison

__all__ = [
    "NewSnapshot",
    "Snapshot",
    "add_analysis",
    "add_change",
    "add_snapshot",
    "believe",
    "index_text",
]

_sql = load("judging")


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """A text of a document that we believe. `fetched_at` None is now, by the database's clock.

    `source` is platform or archive, `kind` first, change or technical; `source_ref` (the commit of an archive)
    makes a second insert harmless; `origin` says how the text was come by.
    """

    document_id: int
    previous_id: int | None
    source: str
    kind: str
    text_sha256: bytes
    reader_hash: bytes
    link_hash: bytes
    captures: Sequence[int] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    fetched_at: datetime | None = None
    source_ref: str | None = None
    partial: bool = False
    believed: bool = True  # False: it waits for another look, and the belief stays what it was


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a change needs to know of a stored snapshot."""

    id: int
    fetched_at: datetime
    text_sha256: bytes


async def add_snapshot(tx: Tx, new: NewSnapshot) -> Snapshot | None:
    """Store a snapshot and, if it is believed, make it the document's newest. None: its source_ref is known."""
    key = await tx.one(
        _sql.add_key, document=new.document_id, fetched_at=new.fetched_at, source_ref=new.source_ref
    )
    if key is None:
        return None
    await tx.run(
        _sql.add_snapshot,
        id=key["id"],
        fetched_at=key["fetched_at"],
        document=new.document_id,
        previous=new.previous_id,
        source=new.source,
        kind=new.kind,
        partial=new.partial,
        text_sha256=new.text_sha256,
        reader_hash=new.reader_hash,
        link_hash=new.link_hash,
        captures=list(new.captures),
        origin=json.dumps(dict(new.origin), ensure_ascii=False),
    )
    if new.believed:
        await believe(tx, new.document_id, key["id"], changed=new.kind == "change")
    return Snapshot(key["id"], key["fetched_at"], new.text_sha256)


async def believe(tx: Tx, document: int, snapshot: int, *, changed: bool) -> None:
    """Make a stored snapshot the base of the next comparison. `changed`: the platform says something else now."""
    await tx.run(_sql.set_newest, snapshot=snapshot, document=document, changed=changed)


async def add_change(
    tx: Tx,
    document_id: int,
    before: Snapshot,
    after: Snapshot,
    comparison: Comparison,
    analysis: Analysis,
    *,
    status: str,
    engine: str,
    second_look: timedelta | None = None,
    looks: int = 1,
    reverts: int | None = None,
    same_as: int | None = None,
    historical: bool = False,
    detected_at: datetime | None = None,
) -> int:
    """Store a change with its passages and its first analysis, in the state given; returns its number.

    `engine` names what compared the texts. `second_look`: it waits so long for another look, the `looks`-th of
    which this was. `reverts` is the change that it takes back, `same_as` the one that it repeats.
    """
    state = await tx.one(
        _sql.add_state,
        document=document_id,
        detected_at=detected_at,
        status=status,
        historical=historical,
        severity=analysis.severity.value,
        second_look=second_look,
        looks=looks,
        reverts=reverts,
        same_as=same_as,
    )
    assert state is not None
    await tx.run(
        _sql.add_change,
        id=state["change_id"],
        detected_at=state["detected_at"],
        document=document_id,
        before_snapshot=before.id,
        after_snapshot=after.id,
        before_sha256=before.text_sha256,
        after_sha256=after.text_sha256,
        before_at=before.fetched_at,
        after_at=after.fetched_at,
        noise_kind=comparison.noise_kind.value,
        words_added=comparison.words_added,
        words_removed=comparison.words_removed,
        passages=json.dumps([passage.to_json() for passage in comparison.passages], ensure_ascii=False),
        engine=engine,
    )
    await add_analysis(tx, int(state["change_id"]), 1, analysis)
    return int(state["change_id"])


async def add_analysis(tx: Tx, change: int, version: int, analysis: Analysis) -> None:
    """Store what the machine thinks of a change, as that version."""
    await tx.run(
        _sql.add_analysis,
        change=change,
        version=version,
        engine=analysis.engine,
        change_type=analysis.change_type.value,
        other_types=[kind.value for kind in analysis.other_types],
        severity=analysis.severity.value,
        confidence=analysis.confidence,
        notify=analysis.notify,
        topics=list(analysis.topics),
        sections=list(analysis.sections),
        effective_date=analysis.effective_date,
        objection_deadline=analysis.objection_deadline,
        summary=analysis.summary,
        evidence=json.dumps([one.to_json() for one in analysis.evidence], ensure_ascii=False),
    )


async def index_text(tx: Tx, document: int, snapshot: int, text: str) -> None:
    """Make the text of the newest snapshot searchable."""
    await tx.run(_sql.index_text, document=document, snapshot=snapshot, text=text)
