"""What a person may do, one function per act. Desk and commands call these and nothing else to change anything.

Each returns the database's answer (`Outcome`) or raises it: `NotAllowed` (PW403), `Conflict` (PW409),
`PolicyWatchError` (PW422). The refusal has been committed with its audit row when it is raised here.
`act_id` makes a retry harmless: the same id gets the first answer. Nothing is decided in this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from policywatch.db.pool import Database, Outcome
from policywatch.db.queries import load

__all__ = [
    "accept_capture",
    "ack_alert",
    "approve_request",
    "beat_session",
    "close_draft",
    "close_session",
    "create_draft",
    "decide_change",
    "end_session",
    "freeze_system",
    "open_session",
    "pause_document",
    "pause_publication",
    "release_change",
    "request_preview",
    "request_reextract",
    "request_trial",
    "request_visit",
    "resume_publication",
    "return_request",
    "revise_draft",
    "set_severity",
    "snooze_change",
    "stop_publication",
    "submit_draft",
    "take_change",
    "thaw_system",
    "undo_verdict",
    "user_add",
    "user_disable",
    "user_password",
    "user_role",
    "withdraw_publication",
]

_sql = load("acts")


async def open_session(db: Database, session: UUID, kind: str, client: str) -> Outcome:
    """Register a desk or command session; `session` is also the id of the act."""
    return await db.act(_sql.open_session, act=session, kind=kind, client=client)


async def beat_session(db: Database, session: UUID) -> bool:
    """Say that the session lives. False: it was ended, and the caller must leave."""
    return bool(await db.value(_sql.beat_session, session=session))


async def close_session(db: Database, session: UUID) -> bool:
    """End one's own session."""
    return bool(await db.value(_sql.close_session, session=session))


async def end_session(
    db: Database, *, session: UUID | None = None, user: str | None = None, act_id: UUID | None = None
) -> Outcome:
    """End one session, or all of a person: one's own, or anybody's as an administrator."""
    return await db.act(_sql.end_session, act=act_id, session=session, user=user)


async def decide_change(
    db: Database,
    change: int,
    version: int,
    verdict: str,
    note: str | None = None,
    *,
    act_id: UUID | None = None,
) -> Outcome:
    """Give a verdict (accepted, no_effect, bad_capture) on the version that was read."""
    return await db.act(
        _sql.decide_change, act=act_id, change=change, version=version, verdict=verdict, note=note
    )


async def undo_verdict(db: Database, change: int, version: int, *, act_id: UUID | None = None) -> Outcome:
    """Take one's verdict back, while nobody acted on the change since."""
    return await db.act(_sql.undo_verdict, act=act_id, change=change, version=version)


async def set_severity(
    db: Database, change: int, version: int, severity: str, reason: str, *, act_id: UUID | None = None
) -> Outcome:
    """Override the machine's severity, with a reason."""
    return await db.act(
        _sql.set_severity, act=act_id, change=change, version=version, severity=severity, reason=reason
    )


async def snooze_change(
    db: Database, change: int, version: int, until: datetime | None, *, act_id: UUID | None = None
) -> Outcome:
    """Hide an undecided change until a time to come; None wakes it."""
    return await db.act(_sql.snooze_change, act=act_id, change=change, version=version, until=until)


async def take_change(db: Database, change: int, minutes: int = 15, *, act_id: UUID | None = None) -> Outcome:
    """Show the others that one looks at a change."""
    return await db.act(_sql.take_change, act=act_id, change=change, minutes=minutes)


async def release_change(db: Database, change: int, *, act_id: UUID | None = None) -> Outcome:
    """No longer look at a change."""
    return await db.act(_sql.release_change, act=act_id, change=change)


async def create_draft(
    db: Database,
    *,
    title: str,
    subject: str,
    text: str,
    html: str,
    changes: Sequence[int],
    evidence: Sequence[Mapping[str, object]] = (),
    segment: str | None = None,
    act_id: UUID | None = None,
) -> Outcome:
    """Open a draft from accepted changes. evidence: change, passage, side ('+' or '-'), quote, word for word."""
    return await db.act(
        _sql.create_draft,
        act=act_id,
        title=title,
        subject=subject,
        text=text,
        html=html,
        changes=list(changes),
        evidence=json.dumps([dict(e) for e in evidence]),
        segment=segment,
    )


async def revise_draft(
    db: Database,
    draft: int,
    version: int,
    *,
    subject: str,
    text: str,
    html: str,
    title: str | None = None,
    act_id: UUID | None = None,
) -> Outcome:
    """Store a new revision; it voids a pending or given approval."""
    return await db.act(
        _sql.revise_draft,
        act=act_id,
        draft=draft,
        version=version,
        subject=subject,
        text=text,
        html=html,
        title=title,
    )


async def close_draft(db: Database, draft: int, version: int, *, act_id: UUID | None = None) -> Outcome:
    """Give a draft up; it stays readable."""
    return await db.act(_sql.close_draft, act=act_id, draft=draft, version=version)


async def submit_draft(
    db: Database, draft: int, version: int, segment: str, *, act_id: UUID | None = None
) -> Outcome:
    """Ask a second person; the outcome's id is the approval request. The daemon counts the audience."""
    return await db.act(_sql.submit_draft, act=act_id, draft=draft, version=version, segment=segment)


async def approve_request(
    db: Database, request: int, version: int, content_hash: bytes, count: int, *, act_id: UUID | None = None
) -> Outcome:
    """Say yes to exactly the text and count that were shown; the outcome's id is the publication."""
    return await db.act(
        _sql.approve_request,
        act=act_id,
        request=request,
        version=version,
        content_hash=content_hash,
        count=count,
    )


async def return_request(
    db: Database, request: int, version: int, reason: str, *, act_id: UUID | None = None
) -> Outcome:
    """Say no, with a reason; the draft is open again."""
    return await db.act(_sql.return_request, act=act_id, request=request, version=version, reason=reason)


async def withdraw_publication(
    db: Database, publication: int, version: int = 0, *, act_id: UUID | None = None
) -> Outcome:
    """Take a publication back within its grace period."""
    return await db.act(_sql.withdraw_publication, act=act_id, publication=publication, version=version)


async def pause_publication(
    db: Database, publication: int, reason: str, *, act_id: UUID | None = None
) -> Outcome:
    """Hold a publication that is being sent."""
    return await db.act(_sql.pause_publication, act=act_id, publication=publication, reason=reason)


async def resume_publication(
    db: Database, publication: int, version: int, *, act_id: UUID | None = None
) -> Outcome:
    """Send a paused publication on: a new yes of a second person."""
    return await db.act(_sql.resume_publication, act=act_id, publication=publication, version=version)


async def stop_publication(db: Database, publication: int, *, act_id: UUID | None = None) -> Outcome:
    """End a publication that is being sent; what was not sent is cancelled."""
    return await db.act(_sql.stop_publication, act=act_id, publication=publication)


async def freeze_system(db: Database, reason: str, *, act_id: UUID | None = None) -> Outcome:
    """Emergency stop: nothing is released and no mail leaves."""
    return await db.act(_sql.freeze_system, act=act_id, reason=reason)


async def thaw_system(db: Database, *, act_id: UUID | None = None) -> Outcome:
    """Propose the end of the frost, or confirm another approver's proposal."""
    return await db.act(_sql.thaw_system, act=act_id)


async def request_visit(
    db: Database, platform: str | None, document: str | None, *, act_id: UUID | None = None
) -> Outcome:
    """Ask the daemon to look now at all documents, a platform's, or one."""
    return await db.act(_sql.request_visit, act=act_id, platform=platform, document=document)


async def pause_document(
    db: Database, platform: str, document: str, reason: str | None, *, act_id: UUID | None = None
) -> Outcome:
    """Stop looking at a document, with a reason; None resumes."""
    return await db.act(_sql.pause_document, act=act_id, platform=platform, document=document, reason=reason)


async def accept_capture(db: Database, capture: int, *, act_id: UUID | None = None) -> Outcome:
    """Take the newest of several suspect captures of a page for its new policy."""
    return await db.act(_sql.accept_capture, act=act_id, capture=capture)


async def request_trial(db: Database, platform: str, document: str, *, act_id: UUID | None = None) -> Outcome:
    """Ask the daemon to try the pages of a document: two fetches that must agree."""
    return await db.act(_sql.request_trial, act=act_id, platform=platform, document=document)


async def request_reextract(
    db: Database, platform: str, document: str, *, act_id: UUID | None = None
) -> Outcome:
    """Ask the daemon to read the kept captures of a document again by today's rules."""
    return await db.act(_sql.request_reextract, act=act_id, platform=platform, document=document)


async def request_preview(
    db: Database, platform: str, document: str, rule: Mapping[str, Any], *, act_id: UUID | None = None
) -> Outcome:
    """Ask what further filters or selectors (add_filters, add_remove) would have removed of the past changes."""
    return await db.act(
        _sql.request_preview, act=act_id, platform=platform, document=document, rule=json.dumps(dict(rule))
    )


async def ack_alert(db: Database, alert: int, *, act_id: UUID | None = None) -> Outcome:
    """Say that an open alert was seen."""
    return await db.act(_sql.ack_alert, act=act_id, alert=alert)


async def user_add(
    db: Database,
    name: str,
    role: str,
    *,
    verifier: str | None = None,
    mail: str | None = None,
    os_user: str | None = None,
    platforms: Sequence[str] | None = None,
    one_time: bool = True,
    act_id: UUID | None = None,
) -> Outcome:
    """Make the login role and the row of a person. verifier: SCRAM, made in the client."""
    return await db.act(
        _sql.user_add,
        act=act_id,
        name=name,
        role=role,
        verifier=verifier,
        mail=mail,
        os_user=os_user,
        platforms=list(platforms) if platforms is not None else None,
        one_time=one_time,
    )


async def user_role(db: Database, name: str, role: str, *, act_id: UUID | None = None) -> Outcome:
    """Change the role of another person."""
    return await db.act(_sql.user_role, act=act_id, name=name, role=role)


async def user_disable(db: Database, name: str, *, act_id: UUID | None = None) -> Outcome:
    """Take every right of another person in this database."""
    return await db.act(_sql.user_disable, act=act_id, name=name)


async def user_password(db: Database, verifier: str, *, act_id: UUID | None = None) -> Outcome:
    """Change one's own password; ends the one-time state."""
    return await db.act(_sql.user_password, act=act_id, verifier=verifier)
