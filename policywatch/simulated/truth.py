"""What really changes in the pretend policies, round by round: the script that findings are held against.

An edit replaces one passage that stands exactly once in the text of the round before. Not the place for
noise, which changes pages and no policy (`pages`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from policywatch.domain.changes import ChangeType
from policywatch.simulated.texts import Document, documents, original, platform

__all__ = ["Edit", "EditKind", "Truth", "scripted"]


class EditKind(StrEnum):
    """What an edit does to the text."""

    NUMBER_CHANGED = "number_changed"
    WORDING_CHANGED = "wording_changed"
    CLAUSE_ADDED = "clause_added"
    CLAUSE_REMOVED = "clause_removed"
    AI_TRAINING_ADDED = "ai_training_added"
    APPEAL_REMOVED = "appeal_removed"


@dataclass(frozen=True, slots=True)
class Edit:
    """One real edit: from `round` on, `find` reads `put`. `about` is what an expert would call it."""

    round: int
    document: Document
    kind: EditKind
    about: ChangeType
    find: str
    put: str
    effective: date | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """The whole script. Rounds count from 0, the first state of the web, in which nothing has changed yet."""

    edits: tuple[Edit, ...]
    rounds: int

    def edits_of(self, round_: int) -> tuple[Edit, ...]:
        """The edits that appear in that round."""
        return tuple(edit for edit in self.edits if edit.round == round_)

    def changed(self, round_: int) -> frozenset[Document]:
        """The documents that say something else than in the round before."""
        return frozenset(edit.document for edit in self.edits_of(round_))

    def text(self, document: Document, round_: int) -> str:
        """What the document says in that round; ValueError if an edit does not fit the text it edits."""
        text = original(document)
        for edit in self.edits:
            if edit.document != document or edit.round > round_:
                continue
            if text.count(edit.find) != 1:
                raise ValueError(f"{document.page}: {edit.find!r} stands {text.count(edit.find)} times in it")
            text = text.replace(edit.find, edit.put)
        return "\n\n".join(block.strip() for block in text.split("\n\n") if block.strip()) + "\n"

    def proven(self) -> Truth:
        """Itself, after every text of every round has been made once."""
        for document in documents():
            for round_ in range(self.rounds):
                self.text(document, round_)
        return self


def scripted(today: date) -> Truth:
    """The script of the demo: three rounds of changes; stated dates lie in the two months after `today`."""
    first = (today.replace(day=1) + timedelta(days=62)).replace(day=1)
    edits = (*_first_round(first), *_second_round(first), *_third_round(first))
    return Truth(edits=edits, rounds=4).proven()


def _long(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _edit(
    round_: int,
    page: str,
    kind: EditKind,
    about: ChangeType,
    find: str,
    put: str,
    effective: date | None = None,
) -> Edit:
    name, key = page.split("/")
    words = platform(name).words()
    return Edit(
        round_, Document(name, key), kind, about, find.format_map(words), put.format_map(words), effective
    )


def _after(anchor: str, clause: str) -> tuple[str, str]:
    """Find and put of a clause that is added as a paragraph of its own behind `anchor`."""
    return anchor, f"{anchor}\n\n{clause}"


def _first_round(effective: date) -> Sequence[Edit]:
    day = _long(effective)
    return (
        _edit(
            1,
            "tiktok/privacy-policy",
            EditKind.AI_TRAINING_ADDED,
            ChangeType.AI_AND_TRAINING,
            *_after(
                "Advertisers learn how often an advertisement was seen, but not who saw it.",
                "## Training of language models\n\nWe will use your public {posts} and comments to train "
                f"artificial intelligence models. This change takes effect on {day}. "
                "There is no way to object to it.",
            ),
            effective=effective,
        ),
        _edit(
            1,
            "x/terms-of-service",
            EditKind.NUMBER_CHANGED,
            ChangeType.DISPUTE_AND_LIABILITY,
            "We will tell you at least {notice_days} days before a change",
            "We will tell you at least 7 days before a change",
        ),
        _edit(
            1,
            "facebook/community-guidelines",
            EditKind.CLAUSE_REMOVED,
            ChangeType.CONTENT_RULES,
            "We may leave up a {post} that is newsworthy, even if it would otherwise break these rules. "
            "We then weigh the public interest against the harm.",
            "",
        ),
        _edit(
            1,
            "youtube/terms-of-service",
            EditKind.NUMBER_CHANGED,
            ChangeType.MONETISATION_AND_PAYMENTS,
            "receive {share} per cent of the advertising income that their {posts} bring.",
            "receive 45 per cent of the advertising income that their {posts} bring.",
        ),
        _edit(
            1,
            "linkedin/privacy-policy",
            EditKind.NUMBER_CHANGED,
            ChangeType.DATA_USE_AND_PRIVACY,
            "We keep logs of your use for {keep_days} days.",
            "We keep logs of your use for 365 days.",
        ),
        _edit(
            1,
            "instagram/community-guidelines",
            EditKind.APPEAL_REMOVED,
            ChangeType.ENFORCEMENT_AND_APPEALS,
            "The appeal is decided by a person.",
            "The appeal is decided by an automatic check, and there is no further review.",
        ),
    )


def _second_round(effective: date) -> Sequence[Edit]:
    return (
        _edit(
            2,
            "instagram/terms-of-service",
            EditKind.WORDING_CHANGED,
            ChangeType.DISPUTE_AND_LIABILITY,
            "Any dispute is decided by the courts of your country of residence. "
            "The law of that country applies",
            "Any dispute is decided by binding arbitration, and you waive the right to take part in a class "
            "action. The law of the state of our seat applies",
        ),
        _edit(
            2,
            "bluesky/privacy-policy",
            EditKind.CLAUSE_ADDED,
            ChangeType.DATA_USE_AND_PRIVACY,
            *_after(
                "Advertisers learn how often an advertisement was seen, but not who saw it.",
                "We share your approximate location and the list of accounts you follow with our "
                f"advertising partners from {_long(effective)}. You can object to this in "
                "[Settings](/settings/partners).",
            ),
            effective=effective,
        ),
        _edit(
            2,
            "x/community-guidelines",
            EditKind.WORDING_CHANGED,
            ChangeType.CONTENT_RULES,
            "Journalists may report on documents that were leaked to them.",
            "You may not publish documents that were obtained by hacking, and you may not link to them.",
        ),
        _edit(
            2,
            "tiktok/terms-of-service",
            EditKind.NUMBER_CHANGED,
            ChangeType.AGE_AND_MINORS,
            "You may use {name} if you are at least {age} years old.",
            "You may use {name} if you are at least 16 years old.",
        ),
        _edit(
            2,
            "facebook/privacy-policy",
            EditKind.CLAUSE_REMOVED,
            ChangeType.GOVERNMENT_AND_LEGAL_REQUESTS,
            " We tell the person concerned before we hand over information, unless a court forbids it.",
            "",
        ),
        _edit(
            2,
            "x/terms-of-service",
            EditKind.WORDING_CHANGED,
            ChangeType.SECURITY_AND_ACCESS,
            "You should tell us about security faults that you find before you tell anyone else.",
            "You must tell us about security faults that you find and may not tell anyone else for 120 days.",
        ),
    )


def _third_round(effective: date) -> Sequence[Edit]:
    day = _long(effective)
    return (
        _edit(
            3,
            "youtube/community-guidelines",
            EditKind.CLAUSE_ADDED,
            ChangeType.AI_AND_TRAINING,
            *_after(
                "Satire is free, as long as it can be recognised.",
                f"From {day} you must label every {{post}} whose pictures or voices were made by artificial "
                "intelligence. A {post} without the label will be removed.",
            ),
            effective=effective,
        ),
        _edit(
            3,
            "linkedin/terms-of-service",
            EditKind.WORDING_CHANGED,
            ChangeType.RIGHTS_AND_LICENCE,
            "You give {company} a licence to host, store, copy, adapt and show your {posts} "
            "so that {name} can work.",
            "You give {company} and its partners a permanent licence, which may be passed on, to use your "
            "{posts} for any purpose.",
        ),
        _edit(
            3,
            "bluesky/community-guidelines",
            EditKind.NUMBER_CHANGED,
            ChangeType.ENFORCEMENT_AND_APPEALS,
            "After {strikes} violations within ninety days the account is suspended for a week.",
            "After 2 violations within ninety days the account is suspended for a month.",
        ),
    )
