"""The desk's source over the database: rows of the views as rows of the desk, keys as acts. No rule stands here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from policywatch.db import acts, connect, desk, steps_listing
from policywatch.db.listen import Listener
from policywatch.db.pool import Database, Outcome
from policywatch.domain.changes import Passage, Severity
from policywatch.errors import NotAllowed, PolicyWatchError
from policywatch.guidance.rendering import revise
from policywatch_tui.desk.marks import marks, short_mark
from policywatch_tui.desk.rows import (
    Approval,
    Change,
    Counts,
    Done,
    Draft,
    Hint,
    Publication,
    QueuePage,
    QueueRow,
    Standing,
)

if TYPE_CHECKING:
    from policywatch.settings import Settings

__all__ = ["DatabaseSource", "open_source"]

log = logging.getLogger("policywatch.desk")


async def open_source(settings: Settings) -> DatabaseSource:
    """Connect as the person at this desk; raises ServiceAway where there is no server."""
    conninfo = await asyncio.to_thread(connect.person, settings)
    session = uuid4()
    db = await Database.open(
        conninfo, max_size=3, application="policywatch desk", timeout=3.0, session=session
    )
    source = DatabaseSource(
        db,
        # The name lets the daemon find this connection too when the session is ended.
        Listener(conninfo, application=f"policywatch listen {str(session)[:8]}"),
        session=session,
        sender=settings.mail.sender or "",
        claim_for=settings.review.claim_for,
    )
    try:
        await source.begin()
    except BaseException:
        await db.close()
        raise
    return source


class DatabaseSource:
    """One person's door to the database; see `policywatch_tui.desk.source.DeskSource`."""

    def __init__(
        self,
        db: Database,
        listener: Listener,
        *,
        session: UUID,
        sender: str = "",
        claim_for: timedelta = timedelta(minutes=15),
    ) -> None:
        self.db, self.listener, self.session, self.sender = db, listener, session, sender
        self.claim_minutes = max(1, round(claim_for.total_seconds() / 60))

    async def begin(self) -> None:
        """Register this desk's session."""
        await acts.open_session(self.db, self.session, "desk", socket.gethostname())

    async def close(self) -> None:
        """End the session and give the connections back."""
        with contextlib.suppress(PolicyWatchError):
            await acts.close_session(self.db, self.session)
        await self.db.close()

    # -- reading -----------------------------------------------------------------------------------------

    async def status(self) -> Standing:
        """Who, when, how; says so where there is no account, and where the session was ended."""
        row = await desk.standing(self.db)
        if row is None:
            raise NotAllowed(
                "there is no active account for you in this database.",
                remedy="Ask an administrator: policywatch users add.",
                code="session_ended",
            )
        if not await acts.beat_session(self.db, self.session):
            raise NotAllowed("your session was ended.", remedy="Start the desk again.", code="session_ended")
        return Standing(
            now=row["server_time"],
            person=row["person"],
            role=row["role"],
            daemon_seen_at=row["daemon_seen_at"],
            documents=row["documents"],
            documents_good=row["documents_good"],
            oldest_good_at=row["oldest_good_at"],
            last_change_at=row["last_change_at"],
            next_visit_at=row["next_visit_at"],
            frozen=row["frozen"],
            documents_blind=row["documents_blind"],
            settings_fault=row["settings_fault"],
            readable=(await steps_listing.readable(self.db)).sentence,
            must_change_password=row["must_change_password"],
        )

    async def hints(self) -> AsyncGenerator[Hint, None]:
        """What the database says moved."""
        async for hint in self.listener.hints():
            yield Hint(hint.kind, hint.id, hint.version)

    async def counts(self) -> Counts:
        """What waits."""
        row = await desk.counts(self.db)
        return Counts(row["undecided"], row["critical"], row["oldest"], row["snoozed"])

    async def queue_page(self, after: str = "", limit: int = 200) -> QueuePage:
        """By keyset; the mark is rank, time and id of the last row."""
        rank, at, change_id = after.split("|") if after else (None, None, None)
        rows = await desk.queue_page(
            self.db,
            rank=int(rank) if rank else None,
            at=datetime.fromisoformat(at) if at else None,
            after=int(change_id) if change_id else None,
            most=limit,
        )
        last = rows[-1] if len(rows) == limit else None
        mark = f"{last['rank']}|{last['detected_at'].isoformat()}|{last['change_id']}" if last else ""
        return QueuePage([_queue_row(row) for row in rows], mark)

    async def queue_rows(self, ids: Sequence[int]) -> Sequence[QueueRow]:
        """Those that are or were in the queue; noise and history never come up."""
        rows = await desk.queue_rows(self.db, ids)
        return [_queue_row(row) for row in rows if row["status"] in ("queued", "unconfirmed", "decided")]

    async def change(self, change_id: int) -> Change:
        """One change opened."""
        row = await desk.change(self.db, change_id)
        if row is None:
            raise PolicyWatchError(f"there is no change C-{change_id}", remedy="R reads the queue again.")
        notes = await desk.change_notes(self.db, change_id)
        return Change(
            row=_queue_row(row),
            before_at=row["before_at"],
            after_at=row["after_at"],
            passages=tuple(Passage.from_json(passage) for passage in row["passages"]),
            change_type=row["change_type"] or "",
            confidence=row["confidence"] or 0.0,
            topics=tuple(row["topics"] or ()),
            effective_date=row["effective_date"],
            objection_deadline=row["objection_deadline"],
            engine=row["engine"] or "",
            notes=tuple(f"{note['actor']}: {note['note']}" for note in notes),
            marks=marks(row),
        )

    async def segments(self) -> Sequence[str]:
        """Their keys."""
        return await desk.segments(self.db)

    async def drafts(self) -> Sequence[Draft]:
        """The newest first."""
        return [_draft(row) for row in await desk.drafts(self.db)]

    async def draft(self, draft_id: int) -> Draft:
        """One of them."""
        row = await desk.draft(self.db, draft_id)
        if row is None:
            raise PolicyWatchError(f"there is no draft G-{draft_id}", remedy="R reads the list again.")
        return _draft(row)

    async def approvals(self) -> Sequence[Approval]:
        """The oldest first."""
        return [_approval(row, self.sender) for row in await desk.approvals(self.db)]

    async def publications(self) -> Sequence[Publication]:
        """Those in grace and on their way first."""
        return [_publication(row) for row in await desk.publications(self.db)]

    # -- acting ------------------------------------------------------------------------------------------

    async def decide(self, change_id: int, version: int, verdict: str, note: str, act_id: UUID) -> Done:
        """Store a verdict."""
        return _done(
            await acts.decide_change(self.db, change_id, version, verdict, note or None, act_id=act_id)
        )

    async def undo(self, change_id: int, version: int, act_id: UUID) -> Done:
        """Take it back."""
        return _done(await acts.undo_verdict(self.db, change_id, version, act_id=act_id))

    async def set_severity(
        self, change_id: int, version: int, severity: Severity, reason: str, act_id: UUID
    ) -> Done:
        """Override it."""
        return _done(
            await acts.set_severity(self.db, change_id, version, severity.value, reason, act_id=act_id)
        )

    async def snooze(self, change_id: int, version: int, until: datetime | None, act_id: UUID) -> Done:
        """Until then."""
        return _done(await acts.snooze_change(self.db, change_id, version, until, act_id=act_id))

    async def take(self, change_id: int, version: int, act_id: UUID) -> Done:
        """Say that one looks; it leaves the version alone."""
        return _done(await acts.take_change(self.db, change_id, self.claim_minutes, act_id=act_id))

    async def release(self, change_id: int, version: int, act_id: UUID) -> Done:
        """Say that one looks no longer."""
        return _done(await acts.release_change(self.db, change_id, act_id=act_id))

    async def create_draft(self, change_ids: Sequence[int], act_id: UUID) -> Done:
        """By the template, with quoted evidence."""
        from policywatch_tui.drafting import open_draft

        return _done(await open_draft(self.db, list(change_ids), act_id=act_id))

    async def revise_draft(self, draft_id: int, version: int, subject: str, body: str, act_id: UUID) -> Done:
        """A new revision, with its HTML."""
        revision = revise(subject, body)
        return _done(
            await acts.revise_draft(
                self.db,
                draft_id,
                version,
                subject=revision.subject,
                text=revision.text,
                html=revision.html,
                act_id=act_id,
            )
        )

    async def submit_draft(self, draft_id: int, version: int, segment: str, act_id: UUID) -> Done:
        """Ask a second person."""
        return _done(await acts.submit_draft(self.db, draft_id, version, segment, act_id=act_id))

    async def approve(
        self, approval_id: int, version: int, content_hash: str, count: int, act_id: UUID
    ) -> Done:
        """Yes to exactly this."""
        digest = bytes.fromhex(content_hash)
        return _done(await acts.approve_request(self.db, approval_id, version, digest, count, act_id=act_id))

    async def return_request(self, approval_id: int, version: int, reason: str, act_id: UUID) -> Done:
        """Back to its author."""
        return _done(await acts.return_request(self.db, approval_id, version, reason, act_id=act_id))

    async def withdraw(self, publication_id: int, version: int, act_id: UUID) -> Done:
        """Within its grace."""
        return _done(await acts.withdraw_publication(self.db, publication_id, version, act_id=act_id))


def _done(outcome: Outcome) -> Done:
    return Done(outcome.version or 0, outcome.sentence, outcome.id or 0)


def _queue_row(row: Mapping[str, Any]) -> QueueRow:
    return QueueRow(
        id=row["change_id"],
        version=row["version"],
        platform=row["platform"],
        document=row["document_name"],
        detected_at=row["detected_at"],
        severity=Severity(row["severity"]),
        machine_severity=Severity(row["machine_severity"]),
        summary=row["summary"] or "not analysed yet",
        words_added=row["words_added"],
        words_removed=row["words_removed"],
        verdict=row["verdict"] or "",
        decided_by=row["decided_by"] or "",
        decided_at=row["decided_at"],
        snoozed_until=row["snoozed_until"],
        taken_by=row["taken_by"] or "",
        mark=short_mark(row),
    )


def _draft(row: Mapping[str, Any]) -> Draft:
    return Draft(
        id=row["id"],
        version=row["version"],
        state=row["state"],
        subject=row["subject"] or row["title"],
        body=row["body_text"] or "",
        segment=row["segment"] or "",
        author=row["author"],
        updated_at=row["updated_at"],
        editors=(row["editor"],) if row["editor"] else (),
        based_on=tuple(f"C-{change_id}" for change_id in row["changes"] or ()),
        returned_because=(row["returned_reason"] or "") if row["state"] == "open" else "",
        revision=row["revision"] or 0,
    )


def _approval(row: Mapping[str, Any], sender: str) -> Approval:
    return Approval(
        id=row["id"],
        version=row["version"],
        draft_id=row["draft_id"],
        subject=row["subject"],
        body=row["body_text"],
        author=row["author"],
        editors=tuple(row["editors"] or ()),
        segment=row["segment"],
        segment_version=row["segment_version"],
        count=row["recipient_count"],
        suppressed=row["suppressed_count"] or 0,
        fault=row["count_fault"] or "",
        content_hash=row["content_hash"],
        asked_at=row["requested_at"],
        expires_at=row["expires_at"],
        grace=row["grace_period"] or timedelta(0),
        approvals_have=row["approvals_given"],
        approvals_needed=row["approvals_needed"],
        sender=sender,
        based_on=tuple(row["based_on"] or ()),
        yours=row["mine"],
        revision=row["revision"],
    )


def _publication(row: Mapping[str, Any]) -> Publication:
    frozen = row["frozen_count"]
    return Publication(
        id=row["id"],
        version=row["version"],
        draft_id=row["draft_id"],
        subject=row["subject"],
        state=row["state"],
        segment=row["segment"],
        count=row["approved_count"] if frozen is None else frozen,
        releases_at=row["release_at"],
        approved_by=row["approved_by"] or "",
        sent=row["sent"],
        failed=row["failed"],
        uncertain=row["uncertain"],
        waiting=row["queued"] + row["sending"] + row["deferred"],
        ended_at=row["ended_at"],
        because=row["pause_reason"] or "",
    )
