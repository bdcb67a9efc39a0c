"""What a followed repository adds to the history of one document: new versions, live, into the queue.

Where a document has no pages, its archive is its source. Where it has, the archive stands in while none of them can
be read, and never with words older than our last good look. The first of its versions is not held against what the
page said: another program read it. It is held against what the archive itself had read by our last look.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from policywatch.db import archives, collecting, contents, history, judging, workers
from policywatch.db.archives import Claim, Followed
from policywatch.db.collecting import Base
from policywatch.db.contents import as_text
from policywatch.db.judging import NewSnapshot, Snapshot
from policywatch.db.pool import Database, Tx
from policywatch.domain.changes import NoiseKind, Severity
from policywatchd.collect.archives import suspects
from policywatchd.collect.archives.mirror import Window
from policywatchd.collect.archives.repository import Kind, Version
from policywatchd.judge.steps import COMPARER
from policywatchd.judge.texts import stands_in
from policywatchd.reader import Judged, Reader

__all__ = ["Taken", "Taker"]

log = logging.getLogger("policywatch.collect")

_BACK = 5  # versions among which the archive's reading of our last look is searched, past walls
_AHEAD = timedelta(days=1)  # how far a commit's clock may be ahead of ours


@dataclass(slots=True)
class Taken:
    """What came of a document: versions stored, changes for people, versions held back; `note` is a fault."""

    versions: int = 0
    changes: list[int] = field(default_factory=list)
    suspect: int = 0
    note: str | None = None


@dataclass(slots=True)
class _State:
    """Where the document's history stands. `before` is what the next version is held against, if it may be."""

    base: int | None
    before: tuple[Snapshot, str] | None
    earlier: Version | None = None
    platform_text: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    version: Version
    kind: str
    text: str
    at: datetime
    judged: Judged | None = None


class Taker:
    """Takes versions in the name of one worker."""

    def __init__(
        self,
        db: Database,
        reader: Reader,
        worker: str,
        *,
        today: Callable[[], date],
        alert_from: Severity,
    ) -> None:
        self._db, self._reader, self._worker = db, reader, worker
        self._today, self._alert_from = today, alert_from

    async def take(self, claim: Claim, document: Followed, window: Window) -> Taken:
        """Store what is new for a document. Faults of the archive are a note; ours are raised."""
        versions = window.versions.get(document.path, ())
        if not versions:
            return Taken(note=f'it has no file "{document.path}" ({document.name})')
        if document.has_pages and not document.blocked:
            await archives.note_seen(self._db, document.id, versions[-1].commit)
            return Taken()
        base = (await collecting.bases_of(self._db, [document.id])).get(document.id)
        taken = Taken()
        todo = await self._todo(document, window, versions, base, taken)
        state = await self._state(document, window, versions, base)
        held = await history.suspect_versions(self._db, [document.name])
        for version in todo:
            if not await self._take(claim, document, window, versions, version, state, held, taken):
                return taken  # somebody else went on with the document: the next look sees how
        await archives.note_seen(self._db, document.id, versions[-1].commit)
        if document.path in window.gone:
            taken.note = f'its file "{document.path}" was taken out of it ({document.name})'
        return taken

    async def _todo(
        self,
        document: Followed,
        window: Window,
        versions: Sequence[Version],
        base: Base | None,
        taken: Taken,
    ) -> list[Version]:
        """What is new, in the order of the history."""
        stored = {ref for _, ref in await history.stored_versions(self._db, [document.id])}
        places = [
            place
            for place, one in enumerate(versions)
            if one.commit in stored or f"{one.commit}:{one.path}" in stored
        ]
        latest = await archives.now(self._db) + _AHEAD
        fresh: list[Version] = []
        for one in versions[places[-1] + 1 if places else 0 :]:
            fault = one.fault or ("its date lies in the future" if one.at > latest else "")
            if fault:
                taken.note = f"commit {one.commit[:12]} of {document.name} was left out: {fault}"
                continue
            fresh.append(one)
        # While it stands in, a look at some of the pages says nothing.
        went_on = base is not None and base.source == "archive"
        if document.has_pages and document.last_look is not None and not went_on:
            fresh = [one for one in fresh if one.at > document.last_look and one.commit != window.edge]
        if places:
            return fresh
        if base is None:  # older history is the business of an import
            return fresh[-1:]
        return [one for one in fresh if one.at > base.fetched_at and one.commit != window.edge]

    async def _state(
        self, document: Followed, window: Window, versions: Sequence[Version], base: Base | None
    ) -> _State:
        if base is None:
            return _State(None, None)
        text = await contents.fetch_text(self._db, base.text_sha256)
        if base.source == "archive":
            return _State(base.id, (Snapshot(base.id, base.fetched_at, base.text_sha256), text))
        looked = document.last_look or base.fetched_at
        earlier = [one for one in versions if one.at <= looked and not one.fault]
        for one in earlier[: -_BACK - 1 : -1]:
            if not await self._looks_bad(document, await self._text(window, one), None):
                return _State(base.id, None, one, text)
        return _State(base.id, None, None, text)

    async def _take(
        self,
        claim: Claim,
        document: Followed,
        window: Window,
        versions: Sequence[Version],
        version: Version,
        state: _State,
        held: set[tuple[str, str]],
        taken: Taken,
    ) -> bool:
        """Take one version, or hold it back. False: the document is not as it was when we began."""
        text = await self._text(window, version)
        if await self._is_suspect(document, window, versions, version, text, state):
            if (document.name, version.commit) not in held:
                await self._hold(document, window, version, text)
            taken.suspect += 1
            return True
        steps = await self._steps(document, window, version, text, state)
        async with self._db.transaction() as tx:
            if not await self._still(tx, claim, document, state):
                return False
            snapshot, changes = await self._store(tx, document, window, steps, state)
            if document.has_pages:
                await archives.mark_step(tx, document.id)
            await archives.note_seen(tx, document.id, version.commit)
            await judging.index_text(tx, document.id, snapshot.id, text)
            await workers.close_alert(tx, "archive_suspect", document.name)
            await workers.hint(tx, "document", document.id)
        state.base, state.before, state.earlier = snapshot.id, (snapshot, text), None
        taken.versions += 1
        taken.changes += changes
        log.info(
            "archive_version_taken document=%s commit=%s kind=%s changes=%d",
            *(document.name, version.commit[:12], steps[-1].kind, len(changes)),
        )
        return True

    async def _text(self, window: Window, version: Version) -> str:
        return as_text(await asyncio.to_thread(window.archive.body, version.blob))

    async def _is_suspect(
        self,
        document: Followed,
        window: Window,
        versions: Sequence[Version],
        version: Version,
        text: str,
        state: _State,
    ) -> bool:
        """As in an import: a wall that the archive took for the policy, unless it stood and was not taken back."""
        if state.before is not None:
            last: str | None = state.before[1]
        else:  # never against the page's own words: another program read them
            last = None if state.earlier is None else await self._text(window, state.earlier)
        if not await self._looks_bad(document, text, last):
            return False
        place = versions.index(version)
        after = versions[place + 1] if place + 1 < len(versions) else None
        taken_back = after is not None and not after.fault and await self._text(window, after) == last
        before = after.blob if after is not None and taken_back else ""
        return not suspects.stood(versions, place, before, await archives.now(self._db), lambda blob: blob)

    async def _looks_bad(self, document: Followed, text: str, last: str | None) -> bool:
        gauged = await self._reader.quality(
            {"text": text},
            b"",
            lengths=[] if last is None else [len(last)],
            last=last,
            neighbours=(),
            language=document.language,
        )
        return gauged.suspect

    async def _hold(self, document: Followed, window: Window, version: Version, text: str) -> None:
        """Keep a suspect text, write it down once, and say so: if it stays, a person should know."""
        async with self._db.transaction() as tx:
            sha256 = await contents.store(tx, text.encode())
            told = {
                "source_ref": version.commit,
                "archive": window.archive.name,
                "path": version.path,
                "at": version.at.isoformat(),
                "text_sha256": sha256.hex(),
            }
            await workers.audit(tx, "archive.suspect", "suspect_version", document.name, after=told)
            await workers.open_alert(
                tx,
                "archive_suspect",
                document.name,
                f"The archive's version {version.commit[:12]} of {document.name} looks like a wall or an error page"
                " and is held back; it is taken when it still stands after two weeks.",
            )
        log.warning("archive_suspect document=%s commit=%s", document.name, version.commit[:12])

    async def _steps(
        self, document: Followed, window: Window, version: Version, text: str, state: _State
    ) -> list[_Step]:
        """What to store for a version, oldest first."""
        if state.base is None:
            return [_Step(version, "first", text, version.at)]
        if version.kind is Kind.TECHNICAL:
            return [_Step(version, "technical", text, version.at)]
        if state.before is not None:
            before = state.before[1]
            judged = None if before == text else await self._judge(document, before, text)
            return [_Step(version, "change", text, version.at, judged)]
        if state.earlier is None:  # nobody knows how the archive read what we saw
            return [_Step(version, "technical", text, version.at)]
        earlier = await self._text(window, state.earlier)
        judged = await self._judge(document, earlier, text)
        if stands_in(judged.comparison, state.platform_text):
            return [_Step(version, "technical", text, version.at)]
        looked = document.last_look or version.at
        return [
            _Step(state.earlier, "technical", earlier, looked),
            _Step(version, "change", text, version.at, judged),
        ]

    async def _judge(self, document: Followed, before: str, after: str) -> Judged:
        return await self._reader.judge(
            before,
            after,
            at=self._today(),
            document=document.document_name,
            platform=document.platform_name,
        )

    async def _still(self, tx: Tx, claim: Claim, document: Followed, state: _State) -> bool:
        """Whether the repository is ours and the document as it was: same base, its pages still as we saw them."""
        if not await archives.is_ours(tx, claim, self._worker):
            return False
        await archives.lock_document(tx, document.id)
        for found in await archives.documents(tx, claim.repository, document.id):
            return (
                found.newest_snapshot == state.base
                and found.blocked == document.blocked
                and (not document.has_pages or found.last_look == document.last_look)
            )
        return False

    async def _store(
        self, tx: Tx, document: Followed, window: Window, steps: Sequence[_Step], state: _State
    ) -> tuple[Snapshot, list[int]]:
        """The steps in the caller's transaction; the newest snapshot, and the changes that people are to see."""
        previous, before = state.base, state.before[0] if state.before is not None else None
        changes: list[int] = []
        for step in steps:
            known = await archives.stored(tx, document.id, step.version.commit)
            after = known or await self._add(tx, document, window, step, previous, before)
            if step.judged is not None and before is not None:
                changes += await self._add_change(tx, document, before, after, step.judged)
            previous, before = (previous if known else after.id), after
        assert before is not None
        return before, changes

    async def _add(
        self,
        tx: Tx,
        document: Followed,
        window: Window,
        step: _Step,
        previous: int | None,
        before: Snapshot | None,
    ) -> Snapshot:
        body = window.archive.body(step.version.blob)
        sha256 = await contents.store(tx, body, base=None if before is None else before.text_sha256)
        read, links = await self._reader.hashes(step.text)
        origin: dict[str, Any] = {
            "repository": window.archive.name,
            "path": step.version.path,
            "commit": step.version.commit,
            "message": step.version.message,
            "live": True,
        }
        after = await judging.add_snapshot(
            tx,
            NewSnapshot(
                document_id=document.id,
                previous_id=previous,
                source="archive",
                kind=step.kind,
                text_sha256=sha256,
                reader_hash=read,
                link_hash=links,
                origin=origin,
                fetched_at=step.at,
                source_ref=step.version.commit,
            ),
        )
        assert after is not None, "the document is held, and the commit was not there"
        return after

    async def _add_change(
        self, tx: Tx, document: Followed, before: Snapshot, after: Snapshot, judged: Judged
    ) -> list[int]:
        comparison, analysis = judged.comparison, judged.analysis
        noise = comparison.noise_kind is not NoiseKind.NONE
        status = "noise" if noise else "queued"
        change = await judging.add_change(
            tx, document.id, before, after, comparison, analysis, status=status, engine=COMPARER
        )
        told = {
            "document": document.name,
            "source": "archive",
            "status": status,
            "noise_kind": comparison.noise_kind.value,
            "change_type": analysis.change_type.value,
            "severity": analysis.severity.value,
            "engine": analysis.engine,
        }
        await workers.audit(tx, "change.detected", "change", str(change), after=told)
        await workers.hint(tx, "change", change, 1)
        if not noise and analysis.severity.rank >= self._alert_from.rank:
            sentence = f"C-{change} in {document.name} is {analysis.severity.value}: {analysis.summary}"
            await workers.open_alert(
                tx, "change", f"C-{change}", sentence[:1000], level="notice", audience="reviewers"
            )
        return [] if noise else [change]
