"""A history that others recorded becomes ours: planned, judged by two children, written in batches.

Idempotent and resumable at any point: each batch is one transaction, and what is stored is passed over by the
next run. Changes are historical and stay out of the queue unless `queue` asks for them; nothing mails or alerts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress

from policywatch.db import contents, history, judging, workers
from policywatch.db.pool import Database
from policywatch.domain.changes import NoiseKind
from policywatch.errors import PolicyWatchError, UsageError
from policywatch.settings import Settings, account_name
from policywatchd.collect.archives.children import Children
from policywatchd.collect.archives.gathering import Sources, open_source
from policywatchd.collect.archives.holding import Holding
from policywatchd.collect.archives.joining import join
from policywatchd.collect.archives.judging import Judged
from policywatchd.collect.archives.naming import Names
from policywatchd.collect.archives.plan import ImportReport, Plan, Planned, batches, make_plan
from policywatchd.collect.archives.repository import Archive
from policywatchd.collect.archives.writing import Writer
from policywatchd.reader import Reader

__all__ = ["ImportReport", "Progress", "import_source"]

log = logging.getLogger("policywatch.collect")

Progress = Callable[[int, int, str], None]


async def import_source(
    settings: Settings,
    db: Database,
    source: str,
    *,
    queue: bool = False,
    dry_run: bool = False,
    platforms: Sequence[str] = (),
    progress: Progress | None = None,
) -> ImportReport:
    """Import a version repository (a clone's folder or a bundle), dated files, a CSV index or WARC files.

    `db` is the daemon's login; the catalogue in the database says which platforms and documents there are, and
    `platforms` (keys) which of them are meant. `progress` is called with versions done, versions in all, and what
    was done last. A dry run judges all and stores nothing. Raises UsageError where `source` is nothing of the kind,
    Conflict where another import of the same archive is running; what was stored before an error stays, and the
    next run goes on from there.
    """
    began = time.monotonic()
    known_platforms = await history.platforms(db)
    only = _chosen(platforms, known_platforms)
    largest = settings.fetch.max_decoded
    names = Names(known_platforms, await history.documents(db))
    async with AsyncExitStack() as ends:
        reader = Reader()
        ends.push_async_callback(reader.close)
        sources = Sources(names, await history.pages(db), reader, largest)
        archive = await ends.enter_async_context(open_source(source, sources))
        report = ImportReport(source, archive.name, dry_run)
        plan = make_plan(archive, names, largest, report, only)
        if not plan.versions:
            raise _nothing(source, report)
        known = [target.id for target in plan.targets if target.id is not None]
        plan.mark_stored(await history.stored_versions(db, known))
        if archive.head is None:
            await join(db, archive, plan)
        run = _Run(db, archive, plan, report, queue=queue, dry_run=dry_run, progress=progress)
        try:
            await run.go()
        except Exception:
            with suppress(PolicyWatchError):  # the first error is the one to tell
                await run.end("failed", time.monotonic() - began)
            raise
        await run.end("done", time.monotonic() - began)
    log.info(
        "archive_imported repository=%s versions=%d added=%d changes=%d seconds=%.1f",
        *(report.repository, report.versions, report.snapshots_added, report.changes_added, report.seconds),
    )
    return report


class _Run:
    """One import on its way."""

    def __init__(
        self,
        db: Database,
        archive: Archive,
        plan: Plan,
        report: ImportReport,
        *,
        queue: bool,
        dry_run: bool,
        progress: Progress | None,
    ) -> None:
        self._db, self._archive, self._plan, self._report = db, archive, plan, report
        self._queue, self._dry_run = queue, dry_run
        self._writer = Writer(archive, plan, queue=queue)
        self._progress = progress or (lambda done, total, text: None)

    async def go(self) -> None:
        """Judge and write what is missing."""
        async with Children(self._archive.folder) as children:
            holding = Holding(self._db, self._archive, self._plan, self._report)
            await holding.screen(children)
            if not self._dry_run:
                await holding.write()
            missing = self._plan.missing()
            total = len(self._plan.versions) - self._report.suspect
            done = self._report.skipped = total - len(missing)
            for one in self._plan.versions:
                self._report.count(one.target, "stored", by=one.stored is not None)
            self._progress(done, total, "")
            answered = children.judged_batches(batches(missing))
            try:
                async for batch, judged in answered:
                    if self._dry_run:
                        self._count_documents(batch)
                    else:
                        await self._write(batch, judged)
                    self._count(batch, judged)
                    done += len(batch)
                    self._progress(done, total, batch[-1].version.path.removesuffix(".md"))
            finally:
                await answered.aclose()

    async def end(self, outcome: str, seconds: float) -> None:
        """Make the newest texts searchable, and write the run's audit row with its figures."""
        self._report.seconds = seconds
        if not self._dry_run:
            await self._make_searchable()
            figures = {**self._report.to_json(), "queue": self._queue, "asked_by": account_name()}
            await workers.audit(
                self._db, "archive.import", "archive", self._archive.name, outcome=outcome, after=figures
            )

    async def _write(self, batch: Sequence[Planned], judged: Sequence[Judged]) -> None:
        async with self._db.transaction() as tx:
            if not self._report.snapshots_added:  # a run that is killed has left its trace
                begun = {"source": self._report.source, "queue": self._queue, "asked_by": account_name()}
                await workers.audit(tx, "archive.import_begun", "archive", self._archive.name, after=begun)
            stored = await self._writer.write(tx, batch, judged)
        for one, version in zip(batch, stored, strict=True):
            one.stored = version
        self._report.documents_created = self._writer.documents_created

    async def _make_searchable(self) -> None:
        """Index the newest texts that imports brought, also those of a run that was killed before it came here."""
        for row in await history.unsearchable(self._db):
            async with self._db.transaction() as tx:
                text = await contents.fetch_text(tx, bytes(row["text_sha256"]))
                await judging.index_text(tx, row["document_id"], row["newest_snapshot"], text)

    def _count(self, batch: Sequence[Planned], judged: Sequence[Judged]) -> None:
        report = self._report
        report.snapshots_added += len(batch)
        for one, answer in zip(batch, judged, strict=True):
            report.count(one.target, "added")
            if answer.change is None:
                continue
            if answer.change["noise_kind"] == NoiseKind.NONE.value:
                report.changes_added += 1
                report.queued += self._queue
                report.count(one.target, "changes")
            else:
                report.noise[answer.change["noise_kind"]] += 1
                report.count(one.target, "noise")

    def _count_documents(self, batch: Sequence[Planned]) -> None:
        """What a real run would create."""
        for target in {one.target for one in batch if one.target.id is None}:
            target.id = 0
            self._report.documents_created += 1


def _chosen(keys: Sequence[str], known: Sequence[history.KnownPlatform]) -> set[str] | None:
    """The platforms that are meant, None for all. UsageError for a name that none has."""
    if not keys:
        return None
    strange = sorted(set(keys) - {platform.key for platform in known})
    if strange:
        raise UsageError(
            f"There is no platform {', '.join(strange)}.",
            remedy=f"Platforms here: {', '.join(platform.key for platform in known)}.",
        )
    return set(keys)


def _nothing(source: str, report: ImportReport) -> UsageError:
    if report.left_out and not report.unknown_services:
        return UsageError(
            f"{source} holds no version of the platforms asked for.",
            remedy="Leave --platform out to see what it holds.",
        )
    if report.refused:
        first = report.refused_versions[0]
        return UsageError(
            f"Nothing of {source} can be taken ({report.refused} refused; {first['path']}: {first['reason']}).",
            remedy="Files are <Platform>/<Document>/<YYYY-MM-DD>.md, or named by a CSV index.",
        )
    if report.unknown_services:
        known = ", ".join(sorted(report.unknown_services)[:5])
        return UsageError(
            f"{source} holds versions of services that are no platforms here ({known}).",
            remedy="Add the platform, or its former name under `aliases`, to platforms in policywatch.yaml.",
        )
    return UsageError(
        f"{source} holds no document version (a file <Service>/<Document>.md per commit).",
        remedy="Name a version repository of an Open Terms Archive collection, not its declarations.",
    )
