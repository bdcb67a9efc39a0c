"""What the desk asks of the world, as a protocol: the real one is the database, that of the tests memory.

Every method may raise the errors of `policywatch.errors`: Conflict (somebody was first), NotAllowed,
PolicyWatchError (the state forbids it), ServiceAway (no server). Acts take the version that was seen and an
id made by the desk, so that a retry after a lost answer does nothing twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from policywatch.domain.changes import Severity
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

__all__ = ["DeskSource"]


class DeskSource(Protocol):
    """Reading and acting, as one person."""

    async def close(self) -> None:
        """Give everything back; nothing may be asked afterwards."""

    async def status(self) -> Standing:
        """Server time, who sits here, how the sources and the daemon are.

        NotAllowed with the code `session_ended` where somebody ended this desk's session.
        """

    def hints(self) -> AsyncIterator[Hint]:
        """Hints for ever; `reconnected` first and after each reconnection."""

    async def counts(self) -> Counts:
        """What waits in the queue."""

    async def queue_page(self, after: str = "", limit: int = 200) -> QueuePage:
        """Rows of the queue, most severe first, then the oldest first."""

    async def queue_rows(self, ids: Sequence[int]) -> Sequence[QueueRow]:
        """These rows as they are now, decided ones too; what is not there is left out."""

    async def change(self, change_id: int) -> Change:
        """One change with its passages."""

    async def decide(self, change_id: int, version: int, verdict: str, note: str, act_id: UUID) -> Done:
        """Store a verdict."""

    async def undo(self, change_id: int, version: int, act_id: UUID) -> Done:
        """Take back the verdict that made `version`."""

    async def set_severity(
        self, change_id: int, version: int, severity: Severity, reason: str, act_id: UUID
    ) -> Done:
        """Override the severity, with a reason."""

    async def snooze(self, change_id: int, version: int, until: datetime | None, act_id: UUID) -> Done:
        """Let it sleep until then; None wakes it."""

    async def take(self, change_id: int, version: int, act_id: UUID) -> Done:
        """Tell the others that this person looks at it."""

    async def release(self, change_id: int, version: int, act_id: UUID) -> Done:
        """Stop looking at it."""

    async def drafts(self) -> Sequence[Draft]:
        """Drafts that are not published, the newest first."""

    async def draft(self, draft_id: int) -> Draft:
        """One draft."""

    async def create_draft(self, change_ids: Sequence[int], act_id: UUID) -> Done:
        """Begin guidance from accepted changes; `id` is the draft's."""

    async def revise_draft(self, draft_id: int, version: int, subject: str, body: str, act_id: UUID) -> Done:
        """Store a new revision."""

    async def segments(self) -> Sequence[str]:
        """The keys of the segments that guidance can go to."""

    async def submit_draft(self, draft_id: int, version: int, segment: str, act_id: UUID) -> Done:
        """Ask a second person; `id` is the approval request's."""

    async def approvals(self) -> Sequence[Approval]:
        """Requests that wait, the oldest first."""

    async def approve(
        self, approval_id: int, version: int, content_hash: str, count: int, act_id: UUID
    ) -> Done:
        """Say yes to exactly this text for exactly this many."""

    async def return_request(self, approval_id: int, version: int, reason: str, act_id: UUID) -> Done:
        """Give it back to its author."""

    async def publications(self) -> Sequence[Publication]:
        """Publications, those on their way first."""

    async def withdraw(self, publication_id: int, version: int, act_id: UUID) -> Done:
        """Take it back within its grace."""
