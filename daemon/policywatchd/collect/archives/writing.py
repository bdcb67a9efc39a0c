"""One batch of judged versions into the database, in one transaction.

Texts, snapshots, changes, analyses and the documents' newest version are there together or not at all. Nothing
here mails or alerts: what is imported is historical, and in the queue only where that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from policywatch.db import contents, history, workers
from policywatch.db.contents import Unstored
from policywatch.db.history import NewChange, NewVersion, StoredVersion
from policywatch.db.pool import Tx
from policywatch.domain.changes import NoiseKind
from policywatchd.collect.archives.judging import Judged
from policywatchd.collect.archives.plan import Plan, Planned
from policywatchd.collect.archives.repository import Archive
from policywatchd.judge.steps import COMPARER

__all__ = ["Writer"]

_WORDING = NoiseKind.NONE.value


class Writer:
    """Writes batches of one archive, in their order."""

    def __init__(self, archive: Archive, plan: Plan, *, queue: bool) -> None:
        self._archive, self._plan, self._queue = archive, plan, queue
        self.documents_created = 0

    async def write(self, tx: Tx, batch: Sequence[Planned], judged: Sequence[Judged]) -> list[StoredVersion]:
        """Store a batch; returns what the versions are in the database, for when the transaction has ended."""
        await self._add_documents(tx, batch)
        held = await history.lock_documents(tx, [_document(one) for one in batch])
        await self._add_texts(tx, batch)
        versions = [self._version(one, answer) for one, answer in zip(batch, judged, strict=True)]
        stored = await history.add_keys(tx, versions)
        known = dict(zip(batch, stored, strict=True))
        before = [None if one.before is None else known.get(one.before) or one.before.stored for one in batch]
        await history.add_versions(tx, versions, stored, [None if one is None else one.id for one in before])
        changes: list[NewChange] = []
        for one, answer, earlier in zip(batch, judged, before, strict=True):
            if answer.change is not None and earlier is not None:
                changes.append(self._change(one, answer, earlier, known[one]))
        numbers = await history.add_changes(tx, changes, engine=COMPARER)
        await self._move_newest(tx, held, batch, judged, known)
        if queued := [n for n, change in zip(numbers, changes, strict=True) if change.status == "queued"]:
            await workers.hint(tx, "change", queued[-1])
        await workers.hint(tx, "document", _document(batch[-1]))
        return stored

    async def _add_documents(self, tx: Tx, batch: Sequence[Planned]) -> None:
        for target in dict.fromkeys(one.target for one in batch):
            if target.id is None:
                # a folder of files is no repository that could be followed, but says where the document is from
                where = {"repository": self._archive.name, "path": target.path}
                target.id = await history.add_document(tx, target.platform.id, target.key, target.name, where)
                self.documents_created += 1

    async def _add_texts(self, tx: Tx, batch: Sequence[Planned]) -> None:
        """The texts, each against the version before it in its chain."""
        bodies: dict[str, bytes] = {}
        texts: list[Unstored] = []
        for one in batch:
            body = bodies.setdefault(one.version.blob, self._archive.body(one.version.blob))
            if one.before is None:
                texts.append(Unstored(body))
                continue
            earlier = one.before.version.blob
            base = bodies.setdefault(earlier, self._archive.body(earlier))
            texts.append(Unstored(body, contents.sha256_of(base), base))
        await contents.store_many(tx, texts)

    def _version(self, one: Planned, answer: Judged) -> NewVersion:
        return NewVersion(
            document_id=_document(one),
            fetched_at=one.version.at,
            source_ref=one.source_ref,
            kind=one.kind.value,
            text_sha256=answer.sha256,
            reader_hash=answer.reader_hash,
            link_hash=answer.link_hash,
            origin=one.version.origin
            or {
                "repository": self._archive.name,
                "path": one.version.path,
                "commit": one.version.commit,
                "message": one.version.message,
            },
        )

    def _change(self, one: Planned, answer: Judged, before: StoredVersion, after: StoredVersion) -> NewChange:
        assert answer.change is not None
        found = answer.change
        status = "noise" if found["noise_kind"] != _WORDING else "queued" if self._queue else "historical"
        return NewChange(
            document_id=_document(one),
            status=status,
            before=before,
            after=after,
            noise_kind=found["noise_kind"],
            words_added=found["words_added"],
            words_removed=found["words_removed"],
            passages=found["passages"],
            analysis=found["analysis"],
        )

    async def _move_newest(
        self,
        tx: Tx,
        held: Mapping[int, history.Newest | None],
        batch: Sequence[Planned],
        judged: Sequence[Judged],
        known: Mapping[Planned, StoredVersion],
    ) -> None:
        """The last version of each document becomes its newest, unless a newer one is known."""
        last: dict[int, Planned] = {}
        changed: dict[int, datetime] = {}
        for one, answer in zip(batch, judged, strict=True):
            document = _document(one)
            last[document] = one
            if answer.change is not None and answer.change["noise_kind"] == _WORDING:
                changed[document] = max(one.version.at, changed.get(document, one.version.at))
        moves = {
            document: (known[one].id, changed.get(document))
            for document, one in last.items()
            if self._is_newer(one, held[document])
        }
        await history.move_newest(tx, moves)

    def _is_newer(self, one: Planned, newest: history.Newest | None) -> bool:
        """Within this archive by the order of the history, against anything else by time."""
        if newest is None:
            return True
        if newest.source_ref is not None:
            place = self._plan.place_of(_document(one), newest.source_ref)
            if place is not None:
                return one.place > place
        return one.version.at >= newest.fetched_at


def _document(one: Planned) -> int:
    assert one.target.id is not None, "its document is made first"
    return one.target.id
