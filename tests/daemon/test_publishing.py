"""From an approved draft to mails: who gets one, when, and what the ledger says afterwards."""

from __future__ import annotations

import email
from collections.abc import AsyncIterator
from email.policy import SMTP
from pathlib import Path
from uuid import uuid4

import pytest

from policywatch.simulated.mail import Refusal, SmtpSink
from policywatchd.publish import send
from tests.daemon.mailing import APPROVER, AUTHOR, World, addresses, members_csv, world
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    async with SmtpSink() as made:
        yield made


@pytest.fixture
async def scene(database: Scratch, tmp_path: Path, sink: SmtpSink) -> AsyncIterator[World]:
    async with world(database, tmp_path) as made:
        made.port = sink.port
        yield made


async def test_every_recipient_of_the_segment_gets_exactly_one_mail(scene: World, sink: SmtpSink) -> None:
    scene.members.write_text(members_csv(30) + "j1@members.test,journalist,FR\n", encoding="utf-8")
    async with scene.room() as room:
        publication = await scene.approved(room, "creators")
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(publication, "sent")
    assert sink.recipients() == dict.fromkeys(addresses(30), 1)
    assert await scene.states() == {"sent": 30}
    events = await scene.rows("SELECT kind, code, count(*) AS n FROM app.delivery_events GROUP BY 1, 2")
    assert events == [{"kind": "sent", "code": "250", "n": 30}]
    draft = await scene.value("SELECT state FROM app.guidance_drafts")
    assert draft == "closed"


async def test_a_mail_carries_the_approved_words_and_one_date_and_an_id_of_its_own(
    scene: World, sink: SmtpSink
) -> None:
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(publication, "sent")
    mails = [email.message_from_bytes(mail.raw, policy=SMTP) for mail in sink.mails]
    assert len({mail["Message-ID"] for mail in mails}) == 5
    assert len({mail["Date"] for mail in mails}) == 1
    assert {mail["Subject"] for mail in mails} == {"What is new"}
    for mail in mails:
        body = mail.get_body(("plain",))
        assert body is not None and ".A line with a dot." in body.get_content()
    stored = {
        row["message_id"] for row in await scene.rows("SELECT message_id FROM app.publication_recipients")
    }
    assert stored == {mail.message_id for mail in sink.mails}


async def test_nothing_is_mailed_before_the_grace_is_over(scene: World, sink: SmtpSink) -> None:
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("4 minutes 50 seconds")
        turns = room.turns
        room.woken.set()
        while room.turns < turns + 6:
            await scene.until("SELECT true")
            room.woken.set()
        assert await scene.value("SELECT state FROM app.guidance_publications") == "grace"
        assert (sink.mails, await scene.states()) == ([], {})
        await scene.move_clock("11 seconds")
        room.woken.set()
        await scene.until_state(publication, "sent")
    assert len(sink.mails) == 5


async def test_what_is_taken_back_in_grace_reaches_nobody(scene: World, sink: SmtpSink) -> None:
    async with scene.room() as room:
        first = await scene.approved(room)
        taken = await scene.act(AUTHOR, "withdraw_publication(%s, %s, 1)", uuid4(), first)
        assert taken["ok"], taken
        second = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(second, "sent")
    assert (
        await scene.value("SELECT state FROM app.guidance_publications WHERE id = %s", first) == "withdrawn"
    )
    assert (
        await scene.value("SELECT count(*) FROM app.publication_recipients WHERE publication_id = %s", first)
        == 0
    )
    assert sink.recipients() == dict.fromkeys(addresses(5), 1)


async def test_growth_beyond_the_limit_pauses_and_a_new_yes_sends(scene: World, sink: SmtpSink) -> None:
    scene.members.write_text(members_csv(100), encoding="utf-8")
    async with scene.room() as room:
        publication = await scene.approved(room)
        scene.members.write_text(members_csv(103), encoding="utf-8")
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(publication, "paused")
        assert sink.mails == []
        row = (await scene.rows("SELECT * FROM app.guidance_publications"))[0]
        assert row["pause_reason"] == "103 recipients now, 100 were approved"
        said = await scene.act(
            APPROVER, "resume_publication(%s, %s, %s)", uuid4(), publication, row["version"]
        )
        assert said["ok"], said
        room.woken.set()
        await scene.until_state(publication, "sent")
    assert sink.recipients() == dict.fromkeys(addresses(103), 1)


async def test_growth_within_the_limit_is_sent(scene: World, sink: SmtpSink) -> None:
    scene.members.write_text(members_csv(100), encoding="utf-8")
    async with scene.room() as room:
        publication = await scene.approved(room)
        scene.members.write_text(members_csv(102), encoding="utf-8")
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(publication, "sent")
    assert len(sink.mails) == 102


async def test_a_later_try_follows_a_451_and_a_550_is_final(scene: World, sink: SmtpSink) -> None:
    sink.refusals["m1@members.test"] = Refusal("451 4.7.1 <m1@members.test> later, please", times=1)
    sink.refusals["m2@members.test"] = Refusal("550 5.1.1 <m2@members.test> is unknown")
    sink.refusals["m3@members.test"] = Refusal("452 4.3.1 no room", after_dot=True, times=1)
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until("SELECT count(*) = 5 FROM app.delivery_events")
        assert await scene.states() == {"sent": 2, "deferred": 2, "failed": 1}
        assert await scene.value("SELECT state FROM app.guidance_publications") == "releasing"
        await scene.move_clock("7 minutes")
        room.woken.set()
        await scene.until_state(publication, "sent")
    assert await scene.states() == {"sent": 4, "failed": 1}
    assert sink.duplicates() == 0
    assert sink.recipients() == {f"m{n}@members.test": 1 for n in (1, 3, 4, 5)}


async def test_no_event_alert_or_ledger_text_holds_an_address(scene: World, sink: SmtpSink) -> None:
    sink.refusals["m1@members.test"] = Refusal("550 5.1.1 <m1@members.test> is unknown")
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(publication, "sent")
    for table in (
        "delivery_events",
        "publication_recipients",
        "alerts",
        "audit_log",
        "requests",
        "system_metrics",
    ):
        found = await scene.value(f"SELECT count(*) FROM app.{table} t WHERE t::text LIKE '%%members.test%%'")
        assert found == 0, table
    raw = await scene.rows("SELECT address FROM app.publication_recipients")
    assert all(b"members.test" not in bytes(row["address"]) for row in raw)
    failed = await scene.rows("SELECT code, detail FROM app.delivery_events WHERE kind = 'failed'")
    assert failed[0]["code"] == "550" and "r:" in failed[0]["detail"]


async def test_what_is_closed_after_the_dot_is_uncertain_and_never_sent_again(
    scene: World, sink: SmtpSink
) -> None:
    sink.hang_up.add("m4@members.test")
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(publication, "sent")
        assert await scene.states() == {"sent": 4, "uncertain": 1}
        await scene.move_clock("3 days")
        turns = room.turns
        while room.turns < turns + 6:
            room.woken.set()
            await scene.until("SELECT true")
    async with scene.room("another-daemon"):
        await scene.until("SELECT true")
    assert await scene.states() == {"sent": 4, "uncertain": 1}
    assert sink.recipients() == dict.fromkeys(addresses(5), 1)


async def test_a_frozen_system_releases_and_sends_nothing(scene: World, sink: SmtpSink) -> None:
    async with scene.room() as room:
        await scene.approved(room)
        await scene.owner.execute("SELECT app.freeze('a drill')")
        await scene.move_clock("6 minutes")
        turns = room.turns
        while room.turns < turns + 6:
            room.woken.set()
            await scene.until("SELECT true")
        assert await scene.value("SELECT state FROM app.guidance_publications") == "grace"
    assert (sink.mails, await scene.states()) == ([], {})


async def test_a_freeze_in_the_middle_lets_no_further_mail_leave(scene: World, sink: SmtpSink) -> None:
    scene.members.write_text(members_csv(200), encoding="utf-8")
    scene.mail = {"window": 10, "connections": 2}
    sink.delay = 0.01
    async with scene.room() as room:
        await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await sink.wait_for(20)
        await scene.owner.execute("SELECT app.freeze('a drill')")
        marked = await scene.value("SELECT count(*) FROM app.publication_recipients WHERE state <> 'queued'")
        await scene.until("SELECT count(*) = 0 FROM app.publication_recipients WHERE state = 'sending'")
        turns = room.turns
        while room.turns < turns + 4:
            room.woken.set()
            await scene.until("SELECT true")
        states = await scene.states()
    assert states == {"sent": marked, "queued": 200 - marked}
    assert len(sink.mails) == marked < 200


async def test_a_stop_cancels_what_was_not_sent_and_says_how_many_were_on_their_way(
    scene: World, sink: SmtpSink
) -> None:
    scene.members.write_text(members_csv(200), encoding="utf-8")
    scene.mail = {"window": 10, "connections": 2}
    sink.delay = 0.01
    for n in range(1, 201, 3):
        sink.refusals[f"m{n}@members.test"] = Refusal("451 later")
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await sink.wait_for(20)
        said = await scene.act(AUTHOR, "stop_publication(%s, %s)", uuid4(), publication)
        assert said["ok"], said
        await scene.until("SELECT count(*) = 0 FROM app.publication_recipients WHERE state = 'sending'")
    states = await scene.states()
    assert set(states) == {"sent", "cancelled"}, states  # a late 451 is cancelled too, nothing stays open
    assert states["sent"] == len(sink.mails) < 200
    assert sink.duplicates() == 0


async def test_whoever_is_suppressed_after_the_approval_gets_nothing(scene: World, sink: SmtpSink) -> None:
    async with scene.room() as room:
        first = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(first, "sent")
        unwanted = "SELECT recipient_hash, 'unsubscribe' FROM app.publication_recipients ORDER BY id LIMIT 2"
        await scene.owner.execute(f"INSERT INTO app.suppressions (recipient_hash, reason) {unwanted}")
        request = await scene.submit()
        room.woken.set()
        shown = await scene.counted(request)
        assert (shown["recipient_count"], shown["suppressed_count"]) == (3, 2)
        second = await scene.approve(request)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(second, "sent")
    assert await scene.states() == {"sent": 8, "suppressed": 2}
    assert len(sink.mails) == 8


async def test_a_relay_that_is_away_costs_no_recipient_and_is_told(scene: World, sink: SmtpSink) -> None:
    await sink.stop()
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until(
            "SELECT count(*) = 1 FROM app.alerts WHERE kind = 'relay_away' AND closed_at IS NULL"
        )
        assert await scene.states() == {"queued": 5}
        await sink.start(scene.port)
        await scene.until_state(publication, "sent")
        await scene.until(
            "SELECT count(*) = 0 FROM app.alerts WHERE kind = 'relay_away' AND closed_at IS NULL"
        )
    assert sink.recipients() == dict.fromkeys(addresses(5), 1)


async def test_a_relay_that_goes_away_in_the_middle_leaves_no_row_on_its_way(
    scene: World, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "GIVE_BACK_SECONDS", 0.5)
    scene.members.write_text(members_csv(60), encoding="utf-8")
    scene.mail = {"window": 20, "connections": 2}
    sink.delay = 0.02
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await sink.wait_for(10)
        await sink.stop()
        await scene.until("SELECT count(*) = 0 FROM app.publication_recipients WHERE state = 'sending'")
        left = await scene.states()
        assert set(left) == {"sent", "queued", "uncertain"} and left["uncertain"] <= 2, left
        await sink.start(scene.port)
        await scene.until_state(publication, "sent")
    states = await scene.states()
    assert set(states) == {"sent", "uncertain"} and sum(states.values()) == 60
    assert max(sink.recipients().values()) == 1


async def test_a_database_that_breaks_off_in_the_middle_costs_neither_a_mail_nor_an_answer(
    scene: World, sink: SmtpSink
) -> None:
    scene.members.write_text(members_csv(150), encoding="utf-8")
    scene.mail = {"window": 10, "connections": 4}
    sink.delay = 0.01
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        for arrived in (20, 50, 80, 110):
            await sink.wait_for(arrived)
            await scene.owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'publishing-test' AND datname = current_database()"
            )
        await scene.until_state(publication, "sent")
    assert await scene.states() == {"sent": 150}
    assert sink.recipients() == dict.fromkeys(addresses(150), 1)
    assert await scene.value("SELECT count(*) FROM app.delivery_events") == 150


async def test_no_more_mails_leave_than_the_rate_allows(scene: World, sink: SmtpSink) -> None:
    scene.members.write_text(members_csv(30), encoding="utf-8")
    scene.mail = {"rate": 20}
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(publication, "sent")
    took = await scene.value(
        "SELECT extract(epoch FROM max(sending_at) - min(sending_at))::float8 FROM app.publication_recipients"
    )
    assert 0.45 <= took < 5  # a burst of 20, then 20 a second
    assert len(sink.mails) == 30


async def test_a_refused_sender_pauses_the_publication_and_fails_nobody(scene: World, sink: SmtpSink) -> None:
    async def refuse(*_: object) -> str:
        return "553 5.7.1 not you"

    sink.handle_MAIL = refuse  # type: ignore[attr-defined]
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await scene.until_state(publication, "paused")
        await scene.until("SELECT count(*) = 5 FROM app.publication_recipients WHERE state = 'queued'")
        reason = await scene.value("SELECT pause_reason FROM app.guidance_publications")
        assert reason == "the relay refuses our sender address: 553 5.7.1 not you"


async def test_a_clean_stop_in_the_middle_leaves_nothing_on_its_way(scene: World, sink: SmtpSink) -> None:
    scene.members.write_text(members_csv(100), encoding="utf-8")
    scene.mail = {"window": 20, "connections": 2}
    sink.delay = 0.02
    async with scene.room() as room:
        publication = await scene.approved(room)
        await scene.move_clock("6 minutes")
        room.woken.set()
        await sink.wait_for(10)
    states = await scene.states()
    assert set(states) == {"sent", "queued"} and states["sent"] == len(sink.mails) < 100
    sink.delay = 0
    await scene.move_clock("1 minute")
    async with scene.room("another-daemon"):
        await scene.until_state(publication, "sent")
    assert sink.recipients() == dict.fromkeys(addresses(100), 1)


async def test_a_publication_that_was_not_released_in_time_lapses(scene: World, sink: SmtpSink) -> None:
    async with scene.room() as room:
        publication = await scene.approved(room)
    await scene.move_clock("25 hours")
    async with scene.room():
        await scene.until_state(publication, "lapsed")
    assert sink.mails == []
