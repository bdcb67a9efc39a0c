"""The desk's real source: every question and every act against the database, as the people who may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from policywatch.db.listen import Listener
from policywatch.db.pool import Database
from policywatch.domain.changes import Severity
from policywatch.errors import Conflict, NotAllowed, PolicyWatchError
from policywatch_tui.desk.rows import QueueRow
from policywatch_tui.source import DatabaseSource
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db
SEED = Path(__file__).parents[1] / "sql" / "many_changes.sql"


@asynccontextmanager
async def desk_of(conninfo: str) -> AsyncIterator[DatabaseSource]:
    """The source of one person."""
    session = uuid4()
    db = await Database.open(conninfo, application="policywatch desk", session=session)
    source = DatabaseSource(db, Listener(conninfo), session=session, sender="guidance@example.org")
    await source.begin()
    try:
        yield source
    finally:
        await source.close()


@pytest.fixture
def queue(database: Scratch) -> Scratch:
    """A database with 500 queued changes."""
    database.run(SEED.read_text(encoding="utf-8"))
    return database


async def test_the_queue_is_paged_in_its_order_and_complete(queue: Scratch) -> None:
    async with desk_of(queue.person("ben", "reviewer")) as source:
        standing = await source.status()
        assert standing.person == queue.login_name("ben")
        assert standing.role == "reviewer"
        counts = await source.counts()
        assert (counts.undecided, counts.critical, counts.snoozed) == (500, 50, 0)

        rows: list[QueueRow] = []
        mark = ""
        while True:
            page = await source.queue_page(mark, 120)
            rows += page.rows
            mark = page.after
            if not mark:
                break
        assert len(rows) == len({row.id for row in rows}) == 500
        assert rows == sorted(rows, key=lambda row: (-row.severity.rank, row.detected_at, row.id))

        change = await source.change(rows[0].id)
        assert len(change.passages) == 2
        assert change.row == rows[0]


async def test_a_verdict_an_undo_and_the_one_who_comes_second(queue: Scratch) -> None:
    ben, ana = queue.person("ben", "reviewer"), queue.person("ana", "reviewer")
    async with desk_of(ben) as first, desk_of(ana) as second:
        row = (await first.queue_page()).rows[0]
        act = uuid4()
        done = await first.decide(row.id, row.version, "accepted", "as in March", act)
        assert await first.decide(row.id, row.version, "accepted", "as in March", act) == done, "a retry"
        with pytest.raises(Conflict, match="decided"):
            await second.decide(row.id, row.version, "no_effect", "", uuid4())

        (now,) = await second.queue_rows([row.id])
        assert (now.verdict, now.decided_by, now.version) == (
            "accepted",
            queue.login_name("ben"),
            done.version,
        )
        assert "as in March" in (await second.change(row.id)).notes[0]

        undone = await first.undo(row.id, done.version, uuid4())
        (now,) = await second.queue_rows([row.id])
        assert (now.verdict, now.version) == ("", undone.version)


async def test_severity_snooze_and_who_looks(queue: Scratch) -> None:
    async with desk_of(queue.person("ben", "reviewer")) as source:
        row = (await source.queue_page()).rows[0]
        done = await source.set_severity(row.id, row.version, Severity.LOW, "a small service", uuid4())
        later = (await source.status()).now + timedelta(hours=4)
        done = await source.snooze(row.id, done.version, later, uuid4())
        (now,) = await source.queue_rows([row.id])
        assert (now.severity, now.machine_severity) == (Severity.LOW, Severity.CRITICAL)
        assert now.snoozed_until == later
        assert (await source.counts()).snoozed == 1
        await source.snooze(row.id, done.version, None, uuid4())

        await source.take(row.id, row.version, uuid4())
        (now,) = await source.queue_rows([row.id])
        assert now.taken_by == queue.login_name("ben")
        await source.release(row.id, row.version, uuid4())
        (now,) = await source.queue_rows([row.id])
        assert now.taken_by == ""


async def test_from_a_draft_to_a_publication_taken_back(queue: Scratch) -> None:
    ana, cem = queue.person("ana", "approver"), queue.person("cem", "approver")
    async with desk_of(ana) as author, desk_of(cem) as second:
        row = (await author.queue_page()).rows[0]
        with pytest.raises(PolicyWatchError, match="not accepted"):
            await author.create_draft([row.id], uuid4())
        await author.decide(row.id, row.version, "accepted", "", uuid4())
        made = await author.create_draft([row.id], uuid4())
        draft = await author.draft(made.id)
        assert draft.based_on == (f"C-{row.id}",)
        assert "arbitration" in draft.body

        await author.revise_draft(draft.id, draft.version, "What changes for you", draft.body, uuid4())
        draft = next(one for one in await author.drafts() if one.id == made.id)
        assert draft.subject == "What changes for you"
        segment = (await author.segments())[0]
        await author.submit_draft(draft.id, draft.version, segment, uuid4())

        (request,) = await second.approvals()
        assert request.count is None
        queue.run("SELECT app.record_audience(%s, 3, 1, NULL)", request.id)
        (request,) = await second.approvals()
        (own,) = await author.approvals()
        assert (request.yours, own.yours) == (False, True)
        assert request.based_on == (f"C-{row.id} accepted by {queue.login_name('ana')}",)

        with pytest.raises(NotAllowed, match="second person"):
            await author.approve(own.id, own.version, own.content_hash, 3, uuid4())
        with pytest.raises(Conflict, match="not what you looked at"):
            await second.approve(request.id, request.version, request.content_hash, 4, uuid4())
        await second.approve(request.id, request.version, request.content_hash, 3, uuid4())

        (publication,) = await author.publications()
        assert (publication.state, publication.count) == ("grace", 3)
        assert publication.approved_by == queue.login_name("cem")
        await author.withdraw(publication.id, publication.version, uuid4())
        (publication,) = await author.publications()
        assert publication.state == "withdrawn"


async def test_a_returned_draft_says_why(queue: Scratch) -> None:
    ana, cem = queue.person("ana", "editor"), queue.person("cem", "approver")
    async with desk_of(ana) as author, desk_of(cem) as second:
        row = (await author.queue_page()).rows[0]
        await author.decide(row.id, row.version, "accepted", "", uuid4())
        made = await author.create_draft([row.id], uuid4())
        await author.submit_draft(made.id, made.version, (await author.segments())[0], uuid4())
        (request,) = await second.approvals()
        await second.return_request(request.id, request.version, "name the date", uuid4())
        assert (await author.draft(made.id)).returned_because == "name the date"


async def test_a_hint_comes_for_each_act_of_another(queue: Scratch) -> None:
    ben, ana = queue.person("ben", "reviewer"), queue.person("ana", "reviewer")
    async with desk_of(ben) as first, desk_of(ana) as second:
        hints = second.hints()
        async with asyncio.timeout(10):
            assert (await anext(hints)).kind == "reconnected"
            row = (await first.queue_page()).rows[0]
            done = await first.decide(row.id, row.version, "accepted", "", uuid4())
            hint = await anext(hints)
            while hint.kind != "change":
                hint = await anext(hints)
        assert (hint.id, hint.version) == (row.id, done.version)
        await hints.aclose()


async def test_an_ended_session_is_told(queue: Scratch) -> None:
    async with desk_of(queue.person("ben", "reviewer")) as source:
        queue.run(
            "UPDATE app.user_sessions SET ended_at = app.pw_now(), ended_by = 'admin' WHERE id = %s",
            str(source.session),
        )
        with pytest.raises(NotAllowed, match="session was ended"):
            await source.status()
