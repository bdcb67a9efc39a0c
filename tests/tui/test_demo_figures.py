"""The demo's numbers: each one that is off the script is named, and mails are counted without trust."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from policywatch.simulated.mail import ReceivedMail
from policywatch_tui.commands.demo.figures import Script, deviations, received
from policywatch_tui.commands.demo.teller import Teller

SCRIPT = Script(platforms=7, documents=21, changes=15, recipients=3)
AS_SCRIPTED: dict[str, Any] = {
    "platforms": 7,
    "documents": 21,
    "visits": 126,
    "changes_expected": 15,
    "changes_found": 15,
    "false_alarms": 0,
    "missed": 0,
    "drafts": 2,
    "self_approvals_refused": 1,
    "approved": 2,
    "recipients": 3,
    "sent": 3,
    "mails_received": 3,
    "duplicates": 0,
    "taken_back": 1,
    "taken_back_recipients": 0,
    "taken_back_mails": 0,
    "second_pass_pages_with_validators": 21,
    "second_pass_304": 21,
    "audit_rows": 90,
    "delivery_events": 3,
    "seconds": 12.5,
}


def mail(rcpt: str, subject: str, message_id: str = "<1@policywatch.test>") -> ReceivedMail:
    raw = f"Subject: {subject}\r\nMessage-ID: {message_id}\r\n\r\nHello\r\n".encode()
    return ReceivedMail(datetime(2026, 11, 27, tzinfo=UTC), "from@policywatch.test", rcpt, message_id, raw)


def test_a_run_as_scripted_has_no_deviation() -> None:
    assert deviations(AS_SCRIPTED, SCRIPT) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("platforms", 6),
        ("changes_found", 14),
        ("false_alarms", 1),
        ("missed", 1),
        ("self_approvals_refused", 0),
        ("approved", 3),
        ("recipients", 4),
        ("sent", 2),
        ("mails_received", 4),
        ("duplicates", 1),
        ("taken_back", 0),
        ("taken_back_mails", 1),
        ("second_pass_304", 20),
    ],
)
def test_a_number_off_the_script_is_named(name: str, value: int) -> None:
    told = deviations(AS_SCRIPTED | {name: value}, SCRIPT)

    assert any(sentence.startswith(f"{name} is {value};") for sentence in told)


def test_a_run_of_more_than_ninety_seconds_is_a_deviation() -> None:
    assert deviations(AS_SCRIPTED | {"seconds": 90.1}, SCRIPT) == [
        "It took 90.1 seconds; 90 are allowed.",
    ]


def test_the_same_guidance_twice_to_one_person_is_a_duplicate_whatever_its_message_id() -> None:
    mails = [mail("a@members.test", "One", "<1@x>"), mail("A@members.test", "One", "<2@x>")]

    assert received(mails, "Two") == {"mails_received": 2, "duplicates": 1, "taken_back_mails": 0}


def test_the_same_message_id_twice_to_one_person_is_a_duplicate_whatever_its_subject() -> None:
    mails = [mail("a@members.test", "One"), mail("a@members.test", "Other")]

    assert received(mails, "Two")["duplicates"] == 1


def test_a_mail_of_what_was_taken_back_is_seen_behind_its_encoded_subject() -> None:
    encoded = "=?utf-8?q?Facebook=3A_a_change?="

    assert received([mail("a@members.test", encoded)], "Facebook: a change")["taken_back_mails"] == 1


def test_the_story_is_told_in_plain_lines_where_nobody_watches() -> None:
    stream = io.StringIO()
    teller = Teller(stream, mono=lambda: 0.0)

    teller.doing("reading")
    teller.told("It is \x1b[31mread.")

    assert stream.getvalue().startswith("   0.0 s  It is ")
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_the_line_under_way_gives_way_to_the_one_that_is_done() -> None:
    stream = io.StringIO()
    teller = Teller(stream, lively=True, mono=lambda: 0.0)

    teller.doing("reading")
    teller.told("It is read.")

    assert stream.getvalue() == "          reading ...\r\x1b[K   0.0 s  It is read.\n"
