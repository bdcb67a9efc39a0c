"""A desk source over memory: the server's rules for versions and rights, with texts of our own.

What the database decides (somebody was first, the author may not approve) is decided here in the same words,
so that screens can be tried without one. `answers` may be made to fail, as a lost server does.

Long on purpose: it answers every call of the desk's source, so that none is answered in a second place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from policywatch.domain.changes import Passage, PassageKind, Severity, Span
from policywatch.errors import Conflict, NotAllowed, PolicyWatchError, ServiceAway
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

NOW = datetime(2025, 11, 12, 12, 3, 22, tzinfo=UTC)

_SAID = (
    (
        "tiktok",
        "terms of service",
        Severity.CRITICAL,
        2,
        "Disputes go to arbitration; class actions are waived.",
        42,
        11,
    ),
    ("x", "privacy policy", Severity.CRITICAL, 5, "Data is shared with partners for advertising.", 96, 4),
    (
        "facebook",
        "ads policy",
        Severity.HIGH,
        7,
        "Political ads need proof of identity in twelve more countries.",
        201,
        20,
    ),
    (
        "instagram",
        "community guidelines",
        Severity.HIGH,
        9,
        "The sentence on appeals within 30 days is gone.",
        2,
        58,
    ),
    ("youtube", "monetisation policy", Severity.HIGH, 11, "Reused clips no longer earn a share.", 133, 0),
    (
        "linkedin",
        "user agreement",
        Severity.MEDIUM,
        26,
        "Posts may train models unless members object by 30 November.",
        61,
        9,
    ),
    ("bluesky", "community guidelines", Severity.MEDIUM, 30, "A rule on automated accounts is new.", 77, 0),
    ("tiktok", "privacy policy", Severity.MEDIUM, 41, "Location is kept for twelve months.", 18, 12),
    ("x", "terms of service", Severity.LOW, 50, "The address for notices changed.", 6, 6),
    ("youtube", "terms of service", Severity.LOW, 74, "A paragraph was split in two.", 3, 1),
    ("facebook", "terms of service", Severity.LOW, 75, "Headings were renumbered.", 1, 1),
    ("linkedin", "privacy policy", Severity.NONE, 76, "A spelling was corrected.", 1, 1),
)


def queue_rows(count: int = len(_SAID)) -> list[QueueRow]:
    """Rows of a plausible queue, in its order; more than twelve repeat the last ones."""
    rows = []
    for place in range(count):
        platform, document, severity, hours, summary, added, removed = _SAID[min(place, len(_SAID) - 1)]
        extra = max(0, place - len(_SAID) + 1)
        rows.append(
            QueueRow(
                id=2041 + place,
                version=1,
                platform=platform,
                document=document,
                detected_at=NOW - timedelta(hours=hours, minutes=extra),
                severity=severity,
                machine_severity=severity,
                summary=summary,
                words_added=added,
                words_removed=removed,
            )
        )
    return rows


def passages() -> tuple[Passage, ...]:
    """Three passages: reworded with marks, added, moved."""
    before = "14.2 Any dispute is decided by the courts of your country of residence."
    after = (
        "14.2 Any dispute is decided by binding arbitration. You waive the right to take part in a class "
        "action. You may opt out within 30 days."
    )
    return (
        Passage(
            PassageKind.REWORDED,
            ("Terms of Service", "14. Disputes"),
            before,
            after,
            (Span(31, 70),),
            (Span(31, 50), Span(52, len(after))),
        ),
        Passage(
            PassageKind.ADDED,
            ("Terms of Service", "15. Governing law"),
            "",
            "15.3 The place of arbitration is Dublin. Each side bears its own costs.",
        ),
        Passage(
            PassageKind.MOVED,
            ("Terms of Service", "16. Notices"),
            "Notices are sent to the address of your account.",
            "Notices are sent to the address of your account.",
        ),
    )


def drafts() -> list[Draft]:
    """One open draft."""
    return [
        Draft(
            id=88,
            version=1,
            state="open",
            subject="TikTok now asks for arbitration: what you can do",
            body=(
                "Dear member,\n\nTikTok changed its terms on 12 November. Disputes are decided by binding "
                "arbitration, not by a court.\n\nYou can object within 30 days.\n"
            ),
            segment="eu-members",
            author="ana",
            updated_at=NOW - timedelta(hours=1, minutes=10),
            editors=("ana",),
            based_on=("C-2041",),
        )
    ]


def approvals() -> list[Approval]:
    """One request of another person and one of one's own."""
    first = Approval(
        id=12,
        version=2,
        draft_id=87,
        subject="X shares data with advertising partners",
        body=(
            "Dear member,\n\nX says that it shares data with partners for advertising. The new text reads: "
            '"We share data with partners."\n\nYou can switch this off in Settings, Privacy.\n'
        ),
        author="ana",
        editors=("ana",),
        segment="eu-members",
        segment_version=3,
        count=4812,
        suppressed=31,
        content_hash="9f2c41aa7be0d1c4" * 4,
        asked_at=NOW - timedelta(hours=1, minutes=10),
        expires_at=NOW + timedelta(days=6),
        grace=timedelta(minutes=30),
        sender="guidance@example.org",
        based_on=("C-2042 accepted by ben", "C-2039 accepted by ana"),
    )
    return [
        first,
        replace(first, id=13, draft_id=86, author="ben", yours=True, subject="YouTube pays less for clips"),
    ]


def publications() -> list[Publication]:
    """One in each state that matters."""
    grace = Publication(
        id=7,
        version=1,
        draft_id=85,
        subject="LinkedIn trains models with posts",
        state="grace",
        segment="eu-members",
        count=4812,
        releases_at=NOW + timedelta(minutes=12, seconds=40),
        approved_by="cem",
        waiting=4812,
    )
    return [
        grace,
        replace(
            grace, id=6, state="releasing", sent=3120, failed=7, waiting=1685, subject="Appeals on Instagram"
        ),
        replace(grace, id=5, state="sent", sent=4790, failed=22, waiting=0, subject="Bots on Bluesky"),
        replace(grace, id=4, state="withdrawn", ended_at=NOW - timedelta(hours=20), subject="Wrong audience"),
    ]


class World:
    """The server in memory; `desk()` gives a source for one person."""

    def __init__(self, count: int = len(_SAID)) -> None:
        self.rows = {row.id: row for row in queue_rows(count)}
        self.drafts = {row.id: row for row in drafts()}
        self.approvals = {row.id: row for row in approvals()}
        self.publications = {row.id: row for row in publications()}
        self.acts: dict[UUID, Done] = {}
        self.log: list[tuple[str, int]] = []
        self.away = False
        self.lose_answers = 0
        self.listeners: list[asyncio.Queue[Hint]] = []
        self.documents_good = 21
        self.session_ended = False

    def desk(self, person: str = "ben", role: str = "approver") -> FakeSource:
        """A source for that person."""
        return FakeSource(self, person, role)

    def hint(self, kind: str, row_id: int, version: int) -> None:
        """Tell every desk."""
        for listener in self.listeners:
            listener.put_nowait(Hint(kind, row_id, version))

    def reach(self) -> None:
        """Fail as a lost server does."""
        if self.away:
            raise ServiceAway("the database does not answer", remedy="Start it: policywatch db start")


class FakeSource:
    """One person's door to the world in memory."""

    def __init__(self, world: World, person: str, role: str) -> None:
        self.world, self.person, self.role = world, person, role
        self.closed = False

    async def close(self) -> None:
        self.closed = True

    async def status(self) -> Standing:
        self.world.reach()
        if self.world.session_ended:
            raise NotAllowed("your session was ended.", code="session_ended")
        return Standing(
            now=NOW,
            person=self.person,
            role=self.role,
            daemon_seen_at=NOW - timedelta(seconds=4),
            documents=21,
            documents_good=self.world.documents_good,
            oldest_good_at=NOW - timedelta(minutes=6),
            last_change_at=NOW - timedelta(hours=3),
            next_visit_at=NOW + timedelta(minutes=2),
            readable="41 of 192 pages are readable: 30 by plain HTTP, 11 by a browser",
        )

    async def hints(self) -> AsyncIterator[Hint]:
        mine: asyncio.Queue[Hint] = asyncio.Queue()
        self.world.listeners.append(mine)
        while True:
            yield await mine.get()

    def _open(self) -> list[QueueRow]:
        rows = [row for row in self.world.rows.values() if not row.verdict and not row.asleep(NOW)]
        return sorted(rows, key=lambda row: (-row.severity.rank, row.detected_at, row.id))

    async def counts(self) -> Counts:
        self.world.reach()
        rows = self._open()
        return Counts(
            undecided=len(rows),
            critical=sum(row.severity is Severity.CRITICAL for row in rows),
            oldest_at=min((row.detected_at for row in rows), default=None),
            snoozed=sum(row.asleep(NOW) for row in self.world.rows.values()),
        )

    async def queue_page(self, after: str = "", limit: int = 200) -> QueuePage:
        self.world.reach()
        rows = self._open()
        start = int(after or 0)
        end = start + limit
        return QueuePage(rows[start:end], str(end) if end < len(rows) else "")

    async def queue_rows(self, ids: Sequence[int]) -> Sequence[QueueRow]:
        self.world.reach()
        return [self.world.rows[row_id] for row_id in ids if row_id in self.world.rows]

    async def change(self, change_id: int) -> Change:
        self.world.reach()
        row = self.world.rows[change_id]
        return Change(
            row=row,
            before_at=row.detected_at - timedelta(hours=12),
            after_at=row.detected_at,
            passages=passages(),
            change_type="dispute_and_liability",
            confidence=0.86,
            topics=("arbitration", "class action"),
            objection_deadline=date(2025, 12, 12),
            engine="rules 1",
            notes=("ana 11:40: the same words as YouTube in March",),
        )

    def _act(self, kind: str, row_id: int, act_id: UUID, changed: QueueRow, version: int) -> Done:
        """The rule of every act: an id is answered once, a version that moved on is refused."""
        self.world.reach()
        if act_id in self.world.acts:
            return self.world.acts[act_id]
        if self.role == "viewer":
            raise NotAllowed(f"{self.person} is viewer; this needs the role reviewer.", code="PW403")
        row = self.world.rows[row_id]
        if row.version != version:
            said = f"{row.decided_by} decided {row.label} first: {row.verdict}."
            raise Conflict(said if row.verdict else f"{row.label} moved on since you read it.", code="PW409")
        self.world.rows[row_id] = changed
        done = Done(changed.version, f"{row.label}: {kind}.", row_id)
        self.world.acts[act_id] = done
        self.world.log.append((kind, row_id))
        self.world.hint("change", row_id, changed.version)
        if self.world.lose_answers:
            self.world.lose_answers -= 1
            raise ServiceAway("the answer was lost")
        return done

    async def decide(self, change_id: int, version: int, verdict: str, note: str, act_id: UUID) -> Done:
        row = self.world.rows[change_id]
        new = replace(
            row, version=row.version + 1, verdict=verdict, decided_by=self.person, decided_at=NOW, taken_by=""
        )
        return self._act(verdict, change_id, act_id, new, version)

    async def undo(self, change_id: int, version: int, act_id: UUID) -> Done:
        row = self.world.rows[change_id]
        new = replace(row, version=row.version + 1, verdict="", decided_by="", decided_at=None)
        return self._act("undo", change_id, act_id, new, version)

    async def set_severity(
        self, change_id: int, version: int, severity: Severity, reason: str, act_id: UUID
    ) -> Done:
        row = self.world.rows[change_id]
        new = replace(row, version=row.version + 1, severity=severity)
        return self._act("severity", change_id, act_id, new, version)

    async def snooze(self, change_id: int, version: int, until: datetime | None, act_id: UUID) -> Done:
        row = self.world.rows[change_id]
        new = replace(row, version=row.version + 1, snoozed_until=until)
        return self._act("snooze", change_id, act_id, new, version)

    async def take(self, change_id: int, version: int, act_id: UUID) -> Done:
        row = self.world.rows[change_id]
        return self._act("take", change_id, act_id, replace(row, taken_by=self.person), row.version)

    async def release(self, change_id: int, version: int, act_id: UUID) -> Done:
        row = self.world.rows[change_id]
        return self._act("release", change_id, act_id, replace(row, taken_by=""), row.version)

    async def segments(self) -> Sequence[str]:
        return ("eu-members", "creators")

    async def drafts(self) -> Sequence[Draft]:
        self.world.reach()
        return sorted(self.world.drafts.values(), key=lambda row: -row.id)

    async def draft(self, draft_id: int) -> Draft:
        return self.world.drafts[draft_id]

    async def create_draft(self, change_ids: Sequence[int], act_id: UUID) -> Done:
        for change_id in change_ids:
            if self.world.rows[change_id].verdict != "accepted":
                raise PolicyWatchError(
                    f"C-{change_id} is not accepted; guidance rests on accepted changes.", code="PW422"
                )
        made = max(self.world.drafts) + 1
        based = tuple(f"C-{change_id}" for change_id in change_ids)
        self.world.drafts[made] = replace(drafts()[0], id=made, author=self.person, based_on=based)
        return Done(1, f"G-{made} is open.", made)

    async def revise_draft(self, draft_id: int, version: int, subject: str, body: str, act_id: UUID) -> Done:
        row = self.world.drafts[draft_id]
        if row.version != version:
            raise Conflict(f"{row.label} moved on since you read it.", code="PW409")
        self.world.drafts[draft_id] = replace(row, version=version + 1, subject=subject, body=body)
        return Done(version + 1, f"{row.label} is at revision {version + 1}.", draft_id)

    async def submit_draft(self, draft_id: int, version: int, segment: str, act_id: UUID) -> Done:
        row = self.world.drafts[draft_id]
        self.world.drafts[draft_id] = replace(row, state="submitted", segment=segment, version=version + 1)
        return Done(version + 1, f"A-14 asks a second person for {row.label}.", 14)

    async def approvals(self) -> Sequence[Approval]:
        self.world.reach()
        return list(self.world.approvals.values())

    async def approve(
        self, approval_id: int, version: int, content_hash: str, count: int, act_id: UUID
    ) -> Done:
        row = self.world.approvals[approval_id]
        if row.yours:
            raise NotAllowed(
                f"You wrote, edited or submitted G-{row.draft_id}; a second person must approve it.",
                code="PW403",
            )
        if (row.version, row.content_hash, row.count) != (version, content_hash, count):
            raise Conflict(f"{row.label} is not what you looked at: text, segment or count differ.")
        del self.world.approvals[approval_id]
        self.world.log.append(("approve", approval_id))
        return Done(version + 1, f"G-{row.draft_id} is approved; P-8 goes out after the grace period.", 8)

    async def return_request(self, approval_id: int, version: int, reason: str, act_id: UUID) -> Done:
        row = self.world.approvals.pop(approval_id)
        self.world.log.append((f"return: {reason}", approval_id))
        return Done(version + 1, f"{row.label} went back to its author.", approval_id)

    async def publications(self) -> Sequence[Publication]:
        self.world.reach()
        return list(self.world.publications.values())

    async def withdraw(self, publication_id: int, version: int, act_id: UUID) -> Done:
        row = self.world.publications[publication_id]
        self.world.publications[publication_id] = replace(
            row, state="withdrawn", version=version + 1, ended_at=NOW
        )
        self.world.log.append(("withdraw", publication_id))
        return Done(version + 1, f"{row.label} is taken back; nobody got it.", publication_id)
