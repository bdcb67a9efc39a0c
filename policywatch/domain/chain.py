"""The states along the chain, and which of them may follow which.

The database decides every transition; these are its words for the programs that read and show them, so that no
screen and no loop spells a state by itself. A test holds them against the schema.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = [
    "APPROVAL_STEPS",
    "PUBLICATION_STEPS",
    "ApprovalState",
    "CaptureState",
    "ChangeStatus",
    "PublicationState",
    "RecipientState",
    "SnapshotKind",
    "SnapshotSource",
    "Verdict",
    "may_follow",
]


class CaptureState(StrEnum):
    """What a capture is worth. A suspect one is kept and never compared."""

    GOOD = "good"
    UNCHANGED = "unchanged"
    SUSPECT = "suspect"
    FAILED = "failed"


class SnapshotSource(StrEnum):
    """Where a snapshot's text comes from."""

    PLATFORM = "platform"
    ARCHIVE = "archive"


class SnapshotKind(StrEnum):
    """Why there is a new snapshot; a technical one is our doing, not the platform's, and is never queued."""

    FIRST = "first"
    CHANGE = "change"
    TECHNICAL = "technical"


class ChangeStatus(StrEnum):
    """Where a change stands on its way through the queue."""

    SECOND_LOOK = "second_look"
    UNCONFIRMED = "unconfirmed"
    QUEUED = "queued"
    DECIDED = "decided"
    UNDONE = "undone"
    NOISE = "noise"
    HISTORICAL = "historical"

    @property
    def waiting(self) -> bool:
        """Whether a reviewer still has to decide it."""
        return self in (ChangeStatus.QUEUED, ChangeStatus.UNCONFIRMED)


class Verdict(StrEnum):
    """What a person decides of a change."""

    ACCEPTED = "accepted"
    NO_EFFECT = "no_effect"
    BAD_CAPTURE = "bad_capture"


class ApprovalState(StrEnum):
    """Where the question to a second person stands."""

    PENDING = "pending"
    APPROVED = "approved"
    RETURNED = "returned"
    EXPIRED = "expired"
    VOIDED = "voided"


class PublicationState(StrEnum):
    """Where approved guidance stands on its way to members."""

    GRACE = "grace"
    RELEASING = "releasing"
    PAUSED = "paused"
    SENT = "sent"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    STOPPED = "stopped"


class RecipientState(StrEnum):
    """Where one row of the ledger stands. `uncertain` is resolved by evidence, then by a person."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


# An edit before release voids a yes; every other answer is final.
APPROVAL_STEPS: Final[dict[ApprovalState, frozenset[ApprovalState]]] = {
    ApprovalState.PENDING: frozenset(
        {ApprovalState.APPROVED, ApprovalState.RETURNED, ApprovalState.EXPIRED, ApprovalState.VOIDED}
    ),
    ApprovalState.APPROVED: frozenset({ApprovalState.VOIDED}),
    ApprovalState.RETURNED: frozenset(),
    ApprovalState.EXPIRED: frozenset(),
    ApprovalState.VOIDED: frozenset(),
}

# A lapsed publication was late and needs a new yes; a paused one is resumed or stopped by a person.
PUBLICATION_STEPS: Final[dict[PublicationState, frozenset[PublicationState]]] = {
    PublicationState.GRACE: frozenset(
        {PublicationState.RELEASING, PublicationState.WITHDRAWN, PublicationState.LAPSED}
    ),
    PublicationState.RELEASING: frozenset(
        {PublicationState.PAUSED, PublicationState.STOPPED, PublicationState.SENT}
    ),
    PublicationState.PAUSED: frozenset({PublicationState.RELEASING, PublicationState.STOPPED}),
    PublicationState.SENT: frozenset(),
    PublicationState.WITHDRAWN: frozenset(),
    PublicationState.LAPSED: frozenset(),
    PublicationState.STOPPED: frozenset(),
}


def may_follow(now: ApprovalState | PublicationState, then: ApprovalState | PublicationState) -> bool:
    """Whether state `then` may come directly after `now`; never between states of different things."""
    if isinstance(now, ApprovalState):
        return then in APPROVAL_STEPS[now] and isinstance(then, ApprovalState)
    return then in PUBLICATION_STEPS[now] and isinstance(then, PublicationState)
