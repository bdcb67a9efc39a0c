"""What dead daemons leave, late answers, paces and waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from policywatch.db import publishing
from policywatch.db.pool import Database
from policywatch.db.publishing import Answered, Holder
from policywatch.simulated.mail import SmtpSink
from policywatchd.publish.journal import Journal
from policywatchd.publish.pace import Pace, retry_after
from policywatchd.publish.recover import boot_id, gone, recover
from policywatchd.publish.send import LEASE
from policywatchd.publish.smtp import Lane, LaneTrouble
from tests.daemon.mailing import World, addresses, world
from tests.databases import Scratch


@pytest.fixture
async def scene(database: Scratch, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database, tmp_path) as made:
        yield made


async def _released(scene: World) -> int:
    """A publication whose recipients are frozen and whose relay is not there."""
    scene.port = 9  # nobody listens
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(publication, "releasing")
        await scene.until("SELECT count(*) = 5 FROM app.publication_recipients")
    return publication


async def _mark(db: Database, publication: int, worker: str, most: int) -> tuple[UUID, list[int]]:
    """Rows that a worker marked and then said nothing more about."""
    claim = uuid4()
    async with db.transaction() as tx:
        await publishing.share(tx, publication)
        assert await publishing.may_send(tx, publication)
        rows, _ = await publishing.claim_recipients(
            tx, publication, worker=worker, claim=claim, lease=LEASE, most=most
        )
        await publishing.mark_sending(tx, claim, LEASE, {row.id: f"<{row.id}@test>" for row in rows})
    return claim, [row.id for row in rows]


@pytest.mark.needs_db
async def test_rows_of_another_daemon_wait_for_its_lease_and_are_never_sent_again(scene: World) -> None:
    publication = await _released(scene)
    async with await Database.open(scene.daemon) as db:
        await _mark(db, publication, "elsewhere", 2)
        await recover(db, "here", scene.folder / "none")
        assert await scene.states() == {"queued": 3, "sending": 2}
        await scene.move_clock("31 minutes")
        assert await recover(db, "here", scene.folder / "none") == 2
    assert await scene.states() == {"queued": 3, "uncertain": 2}
    async with SmtpSink() as sink:
        scene.port = sink.port
        async with scene.room("here"):
            await scene.until_state(publication, "sent")
        assert len(sink.mails) == 3
    assert await scene.states() == {"sent": 3, "uncertain": 2}


@pytest.mark.needs_db
async def test_a_late_250_of_the_same_claim_turns_uncertain_into_sent_and_no_other_does(scene: World) -> None:
    publication = await _released(scene)
    async with await Database.open(scene.daemon) as db:
        claim, (row, other) = await _mark(db, publication, "slow", 2)
        await scene.move_clock("31 minutes")
        await recover(db, "here", scene.folder / "none")
        async with db.transaction() as tx:
            foreign = [Answered(row, publication, uuid4(), "sent", "250")]
            assert await publishing.settle(tx, foreign) == []
            late = [
                Answered(row, publication, claim, "sent", "250"),
                Answered(other, publication, claim, "deferred", "451", wait=60),
            ]
            assert sorted(await publishing.settle(tx, late)) == [
                (publication, "queued", 1),
                (publication, "sent", 1),
            ]
            assert await publishing.settle(tx, late) == []  # each answer counts once
    events = await scene.rows("SELECT kind FROM app.delivery_events WHERE recipient_id = %s ORDER BY id", row)
    assert [event["kind"] for event in events] == ["uncertain", "sent"]


@pytest.mark.needs_db
async def test_a_journal_settles_what_it_covers_and_leaves_the_rest_uncertain(scene: World) -> None:
    publication = await _released(scene)
    folder = scene.folder / "journals"
    async with await Database.open(scene.daemon) as db:
        install = await scene.value("SELECT value #>> '{}' FROM app.system_config WHERE key = 'install_id'")
        journal = Journal.begin(folder, "dead", boot=boot_id(), install=install)
        claim, (accepted, handed, untouched) = await _mark(db, publication, "dead", 3)
        _, (uncovered,) = await _mark(db, publication, "dead", 1)
        journal.claim(claim)
        journal.hand_over(accepted)
        journal.accepted(accepted)
        journal.hand_over(handed)
        assert await recover(db, "here", folder) == 0  # it lives: its journal is locked
        journal.end(settled=False)
        assert await recover(db, "here", folder) == 2
    rows = await scene.rows("SELECT id, state FROM app.publication_recipients")
    states = {row["id"]: row["state"] for row in rows}
    assert [states[row] for row in (accepted, handed, untouched, uncovered)] == [
        "sent", "uncertain", "queued", "uncertain"
    ]  # fmt: skip
    events = await scene.rows("SELECT recipient_id, kind FROM app.delivery_events ORDER BY recipient_id")
    assert [(event["recipient_id"], event["kind"]) for event in events] == [
        (accepted, "sent"), (handed, "uncertain"), (uncovered, "uncertain")
    ]  # fmt: skip


@pytest.mark.needs_db
async def test_a_daemon_of_the_same_name_frees_its_own_rows_at_the_start_alone(scene: World) -> None:
    publication = await _released(scene)
    async with await Database.open(scene.daemon) as db:
        await _mark(db, publication, "here", 2)
        await recover(db, "here", scene.folder / "none")
        assert (await scene.states())["sending"] == 2
        assert await recover(db, "here", scene.folder / "none", starting=True) == 2
    assert await scene.states() == {"queued": 3, "uncertain": 2}


@pytest.mark.needs_db
async def test_a_marking_whose_commit_was_not_confirmed_is_given_back(scene: World) -> None:
    publication = await _released(scene)
    async with await Database.open(scene.daemon) as db:
        claim, rows = await _mark(db, publication, "here", 3)
        async with db.transaction() as tx:
            assert await publishing.return_claim(tx, claim) == len(rows) == 3
    assert await scene.states() == {"queued": 5}
    assert await scene.value("SELECT max(tries) FROM app.publication_recipients") == 0


@pytest.mark.needs_db
async def test_two_daemons_share_a_publication_without_overlap(scene: World) -> None:
    publication = await _released(scene)
    async with SmtpSink(delay=0.01) as sink:
        scene.port, scene.mail = sink.port, {"window": 2, "connections": 1}
        async with scene.room("one"), scene.room("two"):
            await scene.until_state(publication, "sent")
        assert sink.recipients() == dict.fromkeys(addresses(5), 1)


@pytest.mark.needs_db
async def test_a_stop_waits_for_a_marking_and_no_marking_follows_it(scene: World) -> None:
    publication = await _released(scene)
    async with await Database.open(scene.daemon) as db:
        async with db.transaction() as tx:
            await publishing.share(tx, publication)
            assert await publishing.may_send(tx, publication)
            stop = asyncio.create_task(scene.act("ada", "stop_publication(%s, %s)", uuid4(), publication))
            await scene.until("SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            assert not stop.done()
            claim = uuid4()
            rows, _ = await publishing.claim_recipients(
                tx, publication, worker="here", claim=claim, lease=LEASE, most=2
            )
            await publishing.mark_sending(tx, claim, LEASE, {row.id: "<x@test>" for row in rows})
        said = await stop
        assert said["sentence"] == f"P-{publication} is stopped: 3 not sent, 2 were on their way."
        async with db.transaction() as tx:
            await publishing.share(tx, publication)
            assert not await publishing.may_send(tx, publication)


@pytest.mark.needs_db
async def test_a_stop_that_is_lost_in_a_connection_attempt_is_repeated(
    scene: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication = await _released(scene)
    attempts = []

    async def open_(lane: Lane) -> None:
        attempts.append(lane)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LaneTrouble("refused at that moment") from None

    monkeypatch.setattr(Lane, "open", open_)
    async with asyncio.timeout(15), scene.room() as room:
        while not attempts:
            await scene.until("SELECT true")
        assert room.turns
    assert (
        await scene.value("SELECT state FROM app.guidance_publications WHERE id = %s", publication)
        == "releasing"
    )


def _holder(**known: object) -> Holder:
    values = {"owner": "other", "host": "h", "boot_id": "b", "pid": 7, "stopped": False} | known
    return Holder(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("holder", "runs", "dead"),
    [
        (_holder(), True, False),
        (_holder(), False, True),
        (_holder(pid=1), True, True),  # our own pid under another name: an earlier container
        (_holder(boot_id="before"), True, True),
        (_holder(host="elsewhere"), False, False),
        (_holder(stopped=True, host="elsewhere"), True, True),
        (_holder(host=None, boot_id=None, pid=None), False, False),
        (_holder(owner="me"), False, False),
    ],
)
def test_only_what_is_provably_gone_counts_as_dead(holder: Holder, runs: bool, dead: bool) -> None:
    found = gone([holder], "me", host="h", boot="b", runs=lambda pid: runs, own_pid=1)
    assert (found == [holder.owner]) is dead


def test_waits_between_tries_grow_to_eight_hours() -> None:
    def middle(low: float, high: float) -> float:
        return (low + high) / 2

    assert [retry_after(tries, middle) / 60 for tries in (1, 2, 3, 6, 60)] == [5, 15, 60, 480, 480]


def test_a_pace_never_gives_more_than_its_rate() -> None:
    now = [0.0]
    pace = Pace(10.0, lambda: now[0])
    given = 0
    for _ in range(100):
        room = pace.room(50)
        pace.spend(room)
        given += room
        now[0] += 0.1
    assert 100 <= given <= 110
    assert Pace(None).room(50) == 50
