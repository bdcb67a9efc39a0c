"""The story in numbers, from the database and the mail server; and where they are not as scripted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser

from policywatch.simulated.mail import ReceivedMail

__all__ = ["LONGEST_SECONDS", "Script", "Tally", "deviations", "received", "subject_of"]

LONGEST_SECONDS = 90


@dataclass(slots=True)
class Tally:
    """What was found, round by round, against the script."""

    expected: int = 0
    right: int = 0
    false_alarms: int = 0
    missed: list[str] = field(default_factory=list)
    newest: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """What the figures must be, where the script says a number."""

    platforms: int
    documents: int
    changes: int
    recipients: int
    drafts: int = 2
    approved: int = 2
    self_approvals_refused: int = 1
    taken_back: int = 1


def subject_of(raw: bytes) -> str:
    """The subject of a mail, decoded and on one line."""
    subject = BytesHeaderParser().parsebytes(raw).get("Subject", "")
    return " ".join(str(make_header(decode_header(str(subject)))).split())


def received(mails: Sequence[ReceivedMail], withdrawn_subject: str) -> dict[str, int]:
    """Mails that arrived, those beyond the first of the same person and guidance, those of what was taken back."""
    subjects = [subject_of(mail.raw) for mail in mails]
    by_subject = Counter((mail.rcpt.lower(), text) for mail, text in zip(mails, subjects, strict=True))
    by_id = Counter((mail.rcpt.lower(), mail.message_id) for mail in mails)
    return {
        "mails_received": len(mails),
        "duplicates": max(len(mails) - len(by_subject), len(mails) - len(by_id)),
        "taken_back_mails": subjects.count(" ".join(withdrawn_subject.split())),
    }


def deviations(figures: Mapping[str, float], script: Script) -> list[str]:
    """One sentence for each figure that is not as scripted."""
    wanted: dict[str, float] = {
        "platforms": script.platforms,
        "documents": script.documents,
        "changes_expected": script.changes,
        "changes_found": script.changes,
        "false_alarms": 0,
        "missed": 0,
        "drafts": script.drafts,
        "approved": script.approved,
        "recipients": script.recipients,
        "sent": figures["recipients"],
        "mails_received": figures["recipients"],
        "duplicates": 0,
        "taken_back": script.taken_back,
        "taken_back_recipients": 0,
        "taken_back_mails": 0,
        "delivery_events": figures["sent"],
        "second_pass_pages_with_validators": script.documents,
        "second_pass_304": figures["second_pass_pages_with_validators"],
        "self_approvals_refused": script.self_approvals_refused,
    }
    told = [
        f"{name} is {figures[name]:g}; the script says {value:g}."
        for name, value in wanted.items()
        if figures[name] != value
    ]
    if figures["sent"] < 1:
        told.append("Nobody was mailed.")
    if figures["seconds"] > LONGEST_SECONDS:
        told.append(f"It took {figures['seconds']:g} seconds; {LONGEST_SECONDS} are allowed.")
    return told
