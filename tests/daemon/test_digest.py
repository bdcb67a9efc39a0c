"""One digest a day for operators and one for those who review: at its hour, once, when something waits, by mail."""

from __future__ import annotations

import asyncio
import email
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
import pytest_asyncio

from policywatch.db.digests import Figures
from policywatch.db.pool import Database
from policywatch.settings import Settings
from policywatch.simulated.mail import SmtpSink
from policywatchd.service import Service
from policywatchd.upkeep.digest import Digesting, send_due, wording
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

OPERATOR = "ops@desk.example"


@dataclass
class Desk:
    """A daemon, its relay, and a clock that stands at a quarter past seven."""

    scratch: Scratch
    service: Service
    sink: SmtpSink

    def settings(self, **alerts: Any) -> None:
        """Other settings of alerts."""
        self.service.settings = settings(self.sink.port, **alerts)

    def clock(self, to: str) -> None:
        """It is that time of the day (UTC) from now on."""
        self.scratch.run(
            "UPDATE app.test_clock SET shift = shift + (date_trunc('day', app.pw_now() AT TIME ZONE 'UTC') + %s::interval"
            " - app.pw_now() AT TIME ZONE 'UTC')",
            to,
        )

    def mails(self) -> list[EmailMessage]:
        """What arrived."""
        return [email.message_from_bytes(mail.raw, policy=default) for mail in self.sink.mails]

    def blind(self) -> None:
        """A source is blind, and its alert open."""
        self.scratch.run(
            "INSERT INTO app.policy_documents (platform_id, key, name, health, blind_since)"
            " SELECT id, 'terms', 'Terms', 'blocked', app.pw_now() FROM app.platforms WHERE key = 'x'"
        )
        self.scratch.run(
            "INSERT INTO app.alerts (kind, subject, sentence) VALUES ('source_blind', 'x/terms',"
            " 'x/terms is blind: its page, never read well: ask someone@x.example.')"
        )


def settings(port: int, **alerts: Any) -> Settings:
    """Settings with this relay."""
    return Settings.model_validate(
        {
            "catalogue": "none",
            "mail": {"host": "127.0.0.1", "port": port, "sender": "desk@policywatch.test"},
            "alerts": {"mail_to": [OPERATOR], **alerts},
        }
    )


@pytest_asyncio.fixture
async def desk(database: Scratch) -> AsyncIterator[Desk]:
    database.replace_clock()
    async with SmtpSink() as sink, await Database.open(database.daemon) as db:
        service = Service(db, settings(sink.port))
        made = Desk(database, service, sink)
        made.clock("07:15")
        yield made
        await service.reader.close()


async def test_operators_get_one_digest_a_day_at_its_hour(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk.blind()
    assert await send_due(desk.service) == []
    desk.clock("08:01")
    assert await send_due(desk.service) == ["operators"]
    assert await send_due(desk.service) == []
    desk.clock("23:59")
    assert await send_due(desk.service) == []

    (mail,) = desk.mails()
    words = mail.get_content()
    assert (mail["To"], mail["Subject"]) == (OPERATOR, "PolicyWatch: 1 source blind")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "* warning: x/terms is blind: its page, never read well: ask (address)." in words
    assert "1 alert opened, 0 closed" in words
    assert desk.scratch.run("SELECT audience, state, recipients, cause FROM app.digests") == [
        {"audience": "operators", "state": "sent", "recipients": 1, "cause": None}
    ]
    assert desk.scratch.run("SELECT count(*) AS n FROM app.audit_log WHERE action = 'digest.sent'") == [
        {"n": 1}
    ]
    assert not [
        one for one in caplog.records if one.name.startswith("policywatch") and "@" in one.getMessage()
    ]
    assert desk.scratch.run("SELECT count(*) AS n FROM app.audit_log WHERE after::text LIKE '%%@%%'") == [
        {"n": 0}
    ]

    desk.clock("32:01")  # the next morning: it is still blind, and said again with the figures alone
    assert await send_due(desk.service) == ["operators"]
    assert "x/terms" not in desk.mails()[1].get_content()


async def test_those_who_review_get_one_of_their_own_and_viewers_and_leavers_none(desk: Desk) -> None:
    desk.settings(mail_to=[])
    for name, role in (
        ("rita", "reviewer"),
        ("eva", "editor"),
        ("abe", "approver"),
        ("vic", "viewer"),
        ("lea", "reviewer"),
    ):
        desk.scratch.person(name, role)
        desk.scratch.run(
            "UPDATE app.users SET mail = %s WHERE name = %s",
            f"{name}@desk.example",
            desk.scratch.login_name(name),
        )
    desk.scratch.run("UPDATE app.users SET state = 'disabled' WHERE mail LIKE 'lea@%%'")
    desk.blind()
    desk.clock("08:00:01")

    assert await send_due(desk.service) == ["reviewers"]
    mails = desk.mails()
    assert {mail["To"] for mail in mails} == {f"{name}@desk.example" for name in ("rita", "eva", "abe")}
    assert all(
        "x/terms" not in mail.get_content() for mail in mails
    )  # counts alone, whatever part one may see


async def test_an_address_that_no_header_can_carry_costs_nobody_else_their_mail(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.settings(mail_to=[])
    for name, mail in (
        ("abe", "a@["),
        ("eva", "eva@desk.example\r\nBcc: all@desk.example"),
        ("ned", "ned@desk.example, all@desk.example"),
        ("rita", "rita@desk.example"),
    ):
        desk.scratch.person(name, "reviewer")
        desk.scratch.run(
            "UPDATE app.users SET mail = %s WHERE name = %s", mail, desk.scratch.login_name(name)
        )
    desk.blind()
    desk.clock("08:00:01")

    assert await send_due(desk.service) == ["reviewers"]
    assert [mail["To"] for mail in desk.mails()] == ["rita@desk.example"]
    told = [one.getMessage() for one in caplog.records if "digest_addresses" in one.getMessage()]
    assert told and "@" not in told[0] and "3" in told[0]


async def test_nothing_is_sent_when_nothing_waits_and_the_day_is_over_with_that(desk: Desk) -> None:
    desk.clock("09:00")
    assert await send_due(desk.service) == []
    desk.blind()
    assert await send_due(desk.service) == []

    assert desk.mails() == []
    assert desk.scratch.run("SELECT state, cause, recipients FROM app.digests") == [
        {"state": "sent", "cause": "nothing waited", "recipients": 0}
    ]


async def test_two_daemons_at_the_same_moment_send_one(desk: Desk) -> None:
    desk.blind()
    desk.clock("08:30")
    async with await Database.open(desk.scratch.daemon) as db:
        other = Service(db, desk.service.settings)
        await asyncio.gather(send_due(desk.service), send_due(other))
        await other.reader.close()
    assert len(desk.mails()) == 1


async def test_a_relay_that_is_away_is_told_and_tried_again_after_an_hour_with_one_mail_in_the_end(
    desk: Desk,
) -> None:
    desk.blind()
    desk.clock("08:30")
    desk.service.settings = settings(1)
    assert await send_due(desk.service) == []
    desk.settings()
    assert await send_due(desk.service) == []  # not yet
    (alert,) = desk.scratch.run("SELECT sentence, closed_at FROM app.alerts WHERE kind = 'digest_failed'")
    assert (
        alert["sentence"].startswith("The digest for operators was not mailed: ")
        and alert["closed_at"] is None
    )

    desk.clock("09:31")
    assert await send_due(desk.service) == ["operators"]
    assert len(desk.mails()) == 1
    assert desk.scratch.run(
        "SELECT count(*) AS n FROM app.alerts WHERE kind = 'digest_failed' AND closed_at IS NULL"
    ) == [{"n": 0}]


async def test_a_daemon_that_ended_in_the_middle_leaves_no_second_mail(desk: Desk) -> None:
    desk.blind()
    desk.clock("08:30")
    desk.scratch.run(
        "INSERT INTO app.digests (audience, day, figures, recipients)"
        " VALUES ('operators', (app.pw_now() AT TIME ZONE 'UTC')::date, '{}', 1)"
    )
    desk.clock("10:00")
    assert await send_due(desk.service) == []
    assert desk.mails() == []
    assert desk.scratch.run("SELECT state, cause FROM app.digests") == [
        {"state": "failed", "cause": "the daemon ended while it was sent"}
    ]


async def test_nothing_leaves_a_frozen_system_and_none_where_it_is_switched_off(desk: Desk) -> None:
    desk.blind()
    desk.clock("08:30")
    desk.settings(digest_at="off")
    assert await send_due(desk.service) == []
    desk.settings()
    desk.scratch.run("UPDATE app.system_config SET value = 'true' WHERE key = 'frozen'")
    assert await send_due(desk.service) == []
    assert desk.mails() == [] and desk.scratch.run("SELECT * FROM app.digests") == []


async def test_the_hour_is_that_of_its_time_zone(desk: Desk) -> None:
    desk.blind()
    desk.settings(digest_at="21:00 Asia/Tokyo")  # noon UTC, all year
    desk.clock("11:59")
    assert await send_due(desk.service) == []
    desk.clock("12:01")
    assert await send_due(desk.service) == ["operators"]


async def test_a_slow_relay_holds_nobody_up_and_what_was_raised_is_not_lost(desk: Desk) -> None:
    desk.blind()
    desk.clock("08:30")
    digesting = Digesting()
    await digesting.look(desk.service)
    async with asyncio.timeout(20):
        while not desk.sink.mails:  # noqa: ASYNC110 (the sink sends no event)
            await asyncio.sleep(0.01)
    await digesting.close()
    assert len(desk.mails()) == 1


async def test_an_alert_is_one_printable_line_of_a_mail() -> None:
    at = datetime(2026, 11, 27, 7, tzinfo=UTC)
    sentence = "x.test says \x1b[2J\u202e\x00\r\nBcc: all@desk.example"
    alert = {"level": "warning", "sentence": sentence, "opened_at": at, "reminders": 0}

    words = wording("operators", Figures(*[1] * 12), [alert], at)

    assert all(line.isprintable() for line in words.split("\n"))
    assert not any(line.startswith("Bcc") for line in words.splitlines())
