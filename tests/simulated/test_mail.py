"""The recording mail server is a reliable witness."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import pytest
import pytest_asyncio

from policywatch.simulated.mail import Refusal, SmtpSink

SENDER = "guidance@policywatch.test"


def message(number: int) -> bytes:
    return f"Message-ID: <{number}@policywatch.test>\r\nSubject: s\r\n\r\nhello\r\n.dot\r\n".encode()


@pytest_asyncio.fixture
async def sink(tmp_path: Path) -> AsyncIterator[SmtpSink]:
    async with SmtpSink(folder=tmp_path / "mails") as running:
        yield running


@pytest_asyncio.fixture
async def relay(sink: SmtpSink) -> AsyncIterator[aiosmtplib.SMTP]:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=sink.port, timeout=5, start_tls=False, use_tls=False)
    await client.connect()
    yield client
    client.close()


async def send(relay: aiosmtplib.SMTP, to: str, raw: bytes) -> int:
    await relay.mail(SENDER)
    await relay.rcpt(to)
    return (await relay.data(raw)).code


async def test_an_accepted_mail_is_recorded_in_memory_and_as_a_file(
    sink: SmtpSink, relay: aiosmtplib.SMTP
) -> None:
    assert await send(relay, "ada@members.test", message(1)) == 250

    [mail] = sink.mails
    assert (mail.mail_from, mail.rcpt, mail.message_id) == (
        SENDER,
        "ada@members.test",
        "<1@policywatch.test>",
    )
    assert mail.raw == message(1)
    assert sink.folder is not None
    [kept] = sorted(sink.folder.iterdir())
    assert kept.read_bytes().endswith(message(1))
    assert kept.read_bytes().startswith(b"Return-Path: <guidance@policywatch.test>\r\nDelivered-To: ada@")


async def test_the_same_message_to_the_same_person_is_a_duplicate(
    sink: SmtpSink, relay: aiosmtplib.SMTP
) -> None:
    for to, number in (("ada@members.test", 1), ("ben@members.test", 1), ("Ada@members.test", 1)):
        await send(relay, to, message(number))

    assert sink.duplicates() == 1
    assert sink.recipients()["ada@members.test"] == 2


async def test_an_address_can_be_refused_for_good_or_for_a_while(
    sink: SmtpSink, relay: aiosmtplib.SMTP
) -> None:
    sink.refusals["gone@members.test"] = Refusal()
    sink.refusals["later@members.test"] = Refusal("451 4.2.0 later", times=1)
    sink.refusals["content@members.test"] = Refusal("554 5.7.1 no", after_dot=True)

    with pytest.raises(aiosmtplib.SMTPRecipientRefused) as gone:
        await send(relay, "gone@members.test", message(1))
    await relay.rset()
    with pytest.raises(aiosmtplib.SMTPRecipientRefused) as later:
        await send(relay, "later@members.test", message(2))
    await relay.rset()
    with pytest.raises(aiosmtplib.SMTPDataError) as content:
        await send(relay, "content@members.test", message(3))
    await relay.rset()
    again = await send(relay, "later@members.test", message(2))

    assert (gone.value.code, later.value.code, content.value.code, again) == (550, 451, 554, 250)
    assert [mail.rcpt for mail in sink.mails] == ["later@members.test"]


async def test_a_hang_up_after_the_dot_leaves_an_arrived_mail_without_an_answer(
    sink: SmtpSink, relay: aiosmtplib.SMTP
) -> None:
    sink.hang_up_next = 1

    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await send(relay, "ada@members.test", message(1))

    assert len(sink.mails) == 1


async def test_a_client_that_dies_while_it_waits_does_not_harm_the_next(sink: SmtpSink) -> None:
    sink.delay = 30
    dying = aiosmtplib.SMTP(hostname="127.0.0.1", port=sink.port, timeout=0.3, start_tls=False)
    await dying.connect()
    with pytest.raises(aiosmtplib.SMTPException):
        await send(dying, "ada@members.test", message(1))
    dying.close()
    sink.delay = 0

    second = aiosmtplib.SMTP(hostname="127.0.0.1", port=sink.port, timeout=5, start_tls=False)
    await second.connect()
    assert await send(second, "ben@members.test", message(2)) == 250
    second.close()

    await sink.wait_for(2, timeout=5)
    with pytest.raises(TimeoutError, match="2 of 3"):
        await sink.wait_for(3, timeout=0.01)
