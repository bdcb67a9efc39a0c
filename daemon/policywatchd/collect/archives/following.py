"""Archives followed live: the loop that looks into each repository when it is due.

One daemon at a time looks into a repository (lease and fence of `app.archives`). What fails is a sentence there,
an alert after three times, and never keeps the other repositories or documents from being looked at.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path

import pygit2

from policywatch.db import archives, workers
from policywatch.db.archives import Claim, Followed
from policywatch.domain.changes import Severity
from policywatch.errors import PolicyWatchError, ServiceAway
from policywatch.settings import Settings, catalogue, without_password
from policywatchd.collect.archives.mirror import ArchiveAway, Mirror, Window
from policywatchd.collect.archives.taking import Taken, Taker
from policywatchd.service import Service

__all__ = ["LIMIT", "Follower", "named", "run"]

log = logging.getLogger("policywatch.collect")

LIMIT = 1800.0  # seconds without progress: a fetch may take ten minutes, and comparing its fruit as long
_LEASE = timedelta(minutes=30)
_ALERT_AFTER = 3
_FIRST_RETRY = timedelta(minutes=15)
_IDLE = 30.0  # seconds between two looks at what is due


def named(settings: Settings) -> list[str]:
    """The repositories that the settings name; nothing else is ever asked."""
    found = {one.archive.repository for one in catalogue(settings) if one.archive and not one.paused}
    return sorted(found)


async def run(service: Service) -> None:
    """Look into what is due until the daemon stops."""
    follower = Follower(service)
    while not service.stopping.is_set():
        service.progress("archives")
        if not await follower.look():
            await service.pause("archives", _IDLE)


class Follower:
    """Looks into repositories in the name of one daemon."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def look(self) -> bool:
        """Look into one repository that is due. False: none is."""
        service = self._service
        repositories = named(service.settings)
        if not repositories:
            return False
        await archives.declare(service.db, repositories)
        claim = await archives.claim_due(service.db, service.worker_id, repositories, _LEASE)
        if claim is None:
            return False
        try:
            window = await self._window(claim)
        except ArchiveAway as away:
            await self._note_away(claim, away.what)
            await self._end(claim, None, away.what)
            return True
        notes = await self._documents(claim, window)
        await self._note_history(claim, window)
        await self._end(claim, window.head, "; ".join(notes) or None)
        return True

    async def all_due(self) -> int:
        """Look into everything that is due, once; returns how many repositories."""
        count = 0
        while not self._service.stopping.is_set() and await self.look():
            count += 1
        return count

    async def look_for(self, platform: str, document: str) -> bool:
        """Look now into the archives of a platform's documents, or of one of them. False: none has one."""
        service = self._service
        wanted = sorted(
            {
                one.archive.repository
                for one in catalogue(service.settings)
                if one.archive and one.platform == platform and document in ("", one.key) and not one.paused
            }
        )
        if wanted:
            await archives.declare(service.db, wanted)
            await archives.make_due(service.db, wanted)
            await self.all_due()
        return bool(wanted)

    async def _window(self, claim: Claim) -> Window:
        settings = self._service.settings
        here = settings.source_path.parent if settings.source_path is not None else Path.cwd()
        folder = settings.database.state_folder / "archives"
        mirror = Mirror.of(claim.repository, folder, here)
        try:
            await mirror.fetch(lambda: self._service.progress("archives"))
        except OSError as error:
            raise ArchiveAway(f"our copy cannot be written: {error.strerror or error}") from error
        return await asyncio.to_thread(mirror.window, settings.fetch.max_decoded)

    async def _documents(self, claim: Claim, window: Window) -> list[str]:
        """Every document of the repository, one after the other; what went wrong with some."""
        service = self._service
        taker = Taker(
            service.db,
            service.reader,
            service.worker_id,
            today=service.today,
            alert_from=Severity(service.settings.alerts.severity),
        )
        notes: list[str] = []
        for document in await archives.documents(service.db, claim.repository):
            service.progress("archives")
            try:
                taken = await taker.take(claim, document, window)
            except ServiceAway:
                raise
            except (PolicyWatchError, pygit2.GitError, KeyError) as error:  # the other documents go on
                log.warning("archive_document_failed document=%s error=%r", document.name, error)
                taken = Taken(note=f"{document.name} could not be read from it: {error}")
            service.count("archive_versions", taken.versions)
            if taken.note is not None:
                notes.append(taken.note)
            await self._note_health(document, window, taken)
        return notes

    async def _note_health(self, document: Followed, window: Window, taken: Taken) -> None:
        """A document that has no pages is as well as its archive."""
        if document.has_pages:
            return
        if document.path not in window.versions:
            cause = f'its archive has no file "{document.path}"'
            await archives.note_failing(self._service.db, document.id, "gone", cause)
        elif taken.note is not None:
            await archives.note_failing(self._service.db, document.id, "degraded", taken.note[:1000])
        else:
            await archives.note_good(self._service.db, document.id)

    async def _note_away(self, claim: Claim, what: str) -> None:
        for document in await archives.documents(self._service.db, claim.repository):
            if not document.has_pages:
                cause = f"its archive: {what}"[:1000]
                await archives.note_failing(self._service.db, document.id, "degraded", cause)

    async def _note_history(self, claim: Claim, window: Window) -> None:
        """A history that no longer holds what we read of it was rewritten, or grew by more than we look at."""
        db = self._service.db
        if claim.head is None or claim.head in window.known:
            await workers.close_alert(db, "archive_rewritten", claim.repository)
            return
        sentence = (
            f"The history of {window.archive.name} no longer holds the commit that was read last"
            f" ({claim.head[:12]}): it was rewritten, or grew by more than {len(window.known)} commits."
            " What is newer than our own versions is taken; nothing that is stored changes."
        )
        await workers.audit(
            db,
            "archive.rewritten",
            "archive",
            window.archive.name,
            before={"head": claim.head},
            after={"head": window.head},
        )
        await workers.open_alert(db, "archive_rewritten", claim.repository, sentence)

    async def _end(self, claim: Claim, head: str | None, cause: str | None) -> None:
        service = self._service
        cadence = service.settings.fetch.archives
        wait = cadence * (0.95 + service.draw.random() / 10)
        if cause is not None:
            wait = min(wait, _FIRST_RETRY * 2 ** min(claim.failures, 10))
            log.warning("archive_failing repository=%s cause=%s", _shown(claim), cause)
        failures = await archives.finish(
            service.db,
            claim,
            service.worker_id,
            wait=wait,
            head=head,
            cause=None if cause is None else cause[:1000],
        )
        if failures is None:
            log.warning("late_result archive=%s fence=%d", _shown(claim), claim.fence)
        elif cause is None and claim.failures >= _ALERT_AFTER:
            await workers.close_alert(service.db, "archive_failing", claim.repository)
        elif failures >= _ALERT_AFTER and claim.failures < _ALERT_AFTER:
            sentence = f"The archive {_shown(claim)} failed {failures} times in a row: {cause}"
            await workers.open_alert(service.db, "archive_failing", claim.repository, sentence[:1000])


def _shown(claim: Claim) -> str:
    return without_password(claim.repository)
