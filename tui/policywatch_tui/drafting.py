"""From accepted changes to a draft, for desk and commands alike: read, compose, store by one act.

The wording is the business of `policywatch.guidance`, the rules that of the database; this module carries
values between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from policywatch.domain.changes import Analysis, ChangeType, Evidence, Passage, Severity
from policywatch.domain.guidance import AcceptedChange, Revision
from policywatch.errors import PolicyWatchError
from policywatch.guidance.editing import from_editor, to_editor
from policywatch.guidance.evidence import quotes_of
from policywatch.guidance.rendering import Letter, Sender, revise
from policywatch.guidance.templates import compose

if TYPE_CHECKING:
    from policywatch.db.pool import Database, Outcome
    from policywatch.settings import Settings

__all__ = ["as_sheet", "from_sheet", "open_draft", "preview_mail", "revision_of"]


def _accepted(row: Mapping[str, Any], url: str) -> AcceptedChange:
    """A row of read.changes as guidance sees it, with the quotes that its evidence offers."""
    passages = tuple(Passage.from_json(p) for p in row["passages"])
    analysis = Analysis(
        engine=row["engine"] or "",
        change_type=ChangeType(row["change_type"]),
        other_types=tuple(ChangeType(t) for t in row["other_types"] or ()),
        severity=Severity(row["machine_severity"]),
        confidence=float(row["confidence"] or 0),
        notify=bool(row["notify"]),
        topics=tuple(row["topics"] or ()),
        effective_date=row["effective_date"],
        objection_deadline=row["objection_deadline"],
        summary=row["summary"] or "",
        sections=tuple(row["sections"] or ()),
        evidence=tuple(Evidence.from_json(e) for e in row["evidence"] or ()),
    )
    return AcceptedChange(
        change_id=row["change_id"],
        platform=row["platform_name"],
        document=row["document_name"],
        url=url,
        found=row["detected_at"].astimezone(UTC).date(),
        change_type=analysis.change_type,
        severity=Severity(row["severity"]),
        summary=analysis.summary,
        quotes=quotes_of(row["change_id"], analysis, passages),
        effective_date=analysis.effective_date,
        objection_deadline=analysis.objection_deadline,
    )


async def open_draft(
    db: Database,
    changes: Sequence[int],
    *,
    title: str | None = None,
    segment: str | None = None,
    act_id: UUID | None = None,
) -> Outcome:
    """A draft from accepted changes by the template; the outcome's id is the draft's.

    PolicyWatchError for a change that is not there; the database refuses one that is not accepted.
    """
    from policywatch.db import acts, listing

    accepted = []
    for number in changes:
        row = await listing.change(db, number)
        if row is None or not row["change_type"]:
            raise PolicyWatchError(
                f"There is no change C-{number} that guidance could rest on.",
                remedy="See: policywatch changes list --all",
            )
        documents = await listing.documents(db, row["platform"], row["document"])
        pages = await listing.pages(db, documents[0]["id"]) if documents else []
        accepted.append(_accepted(row, pages[0]["url"] if pages else ""))
    subject, text = compose(accepted)
    revision = revise(subject, text)
    evidence = [
        {"change": q.change_id, "passage": q.passage, "side": q.side, "quote": q.quote}
        for change in accepted
        for q in change.quotes
    ]
    return await acts.create_draft(
        db,
        title=(title or subject)[:300],
        subject=revision.subject,
        text=revision.text,
        html=revision.html,
        changes=list(changes),
        evidence=evidence,
        segment=segment,
        act_id=act_id,
    )


def as_sheet(subject: str, text: str) -> str:
    """A revision as the person edits it: the subject on the first line, then the text."""
    return to_editor(subject, text)


def from_sheet(sheet: str) -> tuple[str, str, str]:
    """Subject, text and HTML of an edited sheet; UsageError says what cannot be mailed."""
    revision = revision_of(*from_editor(sheet))
    return revision.subject, revision.text, revision.html


def revision_of(subject: str, text: str) -> Revision:
    """The revision with its HTML, made from the text."""
    return revise(subject, text)


def preview_mail(settings: Settings, row: Mapping[str, Any]) -> str:
    """A draft as it would arrive, to a pretend member, as text."""
    mail = settings.mail
    letter = Letter(
        Revision(row["subject"], row["body_text"], row["body_html"]),
        Sender(mail.sender, mail.sender_name, mail.reply_to or ""),
        datetime.now(UTC),
    )
    return letter.to("member@example.org", "<preview@policywatch.invalid>").decode("utf-8", "replace")
