"""The rows that the desk shows, as frozen values.

What the desk's source hands over and what its screens draw; no rule and no text of the screen stands here.
Times are aware UTC; counts are whole numbers; an empty string means that nobody or nothing is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from policywatch.domain.changes import Passage, Severity

__all__ = [
    "VERDICTS",
    "Approval",
    "Change",
    "Counts",
    "Done",
    "Draft",
    "Hint",
    "Publication",
    "QueuePage",
    "QueueRow",
    "Standing",
]

VERDICTS: tuple[str, ...] = ("accepted", "no_effect", "bad_capture")


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One change as the queue lists it; `version` counts what people did to it."""

    id: int
    version: int
    platform: str
    document: str
    detected_at: datetime
    severity: Severity
    machine_severity: Severity
    summary: str
    words_added: int = 0
    words_removed: int = 0
    verdict: str = ""
    decided_by: str = ""
    decided_at: datetime | None = None
    snoozed_until: datetime | None = None
    taken_by: str = ""
    mark: str = ""  # in a word or two: unconfirmed, two variants, how many pages were judged

    @property
    def label(self) -> str:
        """How people name it."""
        return f"C-{self.id}"

    def asleep(self, now: datetime) -> bool:
        """Whether it is snoozed at `now`."""
        return not self.verdict and self.snoozed_until is not None and self.snoozed_until > now


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Some rows of the queue in its order; `after` is the mark to ask for the next ones, empty at the end."""

    rows: Sequence[QueueRow]
    after: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits in the whole queue, not only in what is loaded."""

    undecided: int = 0
    critical: int = 0
    oldest_at: datetime | None = None
    snoozed: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One change opened: its row, where it stands in time, what the machine thinks, its passages."""

    row: QueueRow
    before_at: datetime | None
    after_at: datetime | None
    passages: tuple[Passage, ...]
    change_type: str = ""
    confidence: float = 0.0
    topics: tuple[str, ...] = ()
    effective_date: date | None = None
    objection_deadline: date | None = None
    engine: str = ""
    notes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()  # how sure it is, what it takes back, how much was judged


@dataclass(frozen=True, slots=True)
class Draft:
    """Guidance being written; `version` is its row's, `revision` the number of its newest text."""

    id: int
    version: int
    state: str
    subject: str
    body: str
    segment: str
    author: str
    updated_at: datetime
    editors: tuple[str, ...] = ()
    based_on: tuple[str, ...] = ()
    returned_because: str = ""
    revision: int = 1

    @property
    def label(self) -> str:
        """How people name it."""
        return f"G-{self.id}"


@dataclass(frozen=True, slots=True)
class Approval:
    """The question to a second person, with all that a yes binds.

    `count` is None until the daemon has counted the segment; `fault` says why it could not. `yours` marks
    what this person wrote and may not approve.
    """

    id: int
    version: int
    draft_id: int
    subject: str
    body: str
    author: str
    editors: tuple[str, ...]
    segment: str
    count: int | None
    content_hash: str
    asked_at: datetime
    expires_at: datetime | None
    grace: timedelta
    approvals_have: int = 0
    approvals_needed: int = 1
    segment_version: int = 1
    suppressed: int = 0
    sender: str = ""
    based_on: tuple[str, ...] = ()
    yours: bool = False
    fault: str = ""
    revision: int = 1

    @property
    def label(self) -> str:
        """How people name it."""
        return f"A-{self.id}"


@dataclass(frozen=True, slots=True)
class Publication:
    """Approved guidance on its way, with the sums of its ledger."""

    id: int
    version: int
    draft_id: int
    subject: str
    state: str
    segment: str
    count: int
    releases_at: datetime | None
    approved_by: str = ""
    sent: int = 0
    failed: int = 0
    uncertain: int = 0
    waiting: int = 0
    ended_at: datetime | None = None
    because: str = ""

    @property
    def label(self) -> str:
        """How people name it."""
        return f"P-{self.id}"


@dataclass(frozen=True, slots=True)
class Standing:
    """Who sits here and how the rest of the house is: the line that says whether empty is healthy."""

    now: datetime
    person: str
    role: str
    daemon_seen_at: datetime | None = None
    documents: int = 0
    documents_good: int = 0
    oldest_good_at: datetime | None = None
    last_change_at: datetime | None = None
    next_visit_at: datetime | None = None
    frozen: bool = False
    must_change_password: bool = False
    documents_blind: int = 0
    settings_fault: str | None = None
    readable: str = ""  # how many of the watched pages are, in one sentence


@dataclass(frozen=True, slots=True)
class Hint:
    """Something of this kind moved; `kind` reconnected says that hints may have been missed."""

    kind: str
    id: int
    version: int


@dataclass(frozen=True, slots=True)
class Done:
    """What an act gave back: the row's new version, a sentence, the id of what was made."""

    version: int
    sentence: str = ""
    id: int = 0
