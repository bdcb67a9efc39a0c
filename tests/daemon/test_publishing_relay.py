"""One conversation with a relay, phase by phase: what each answer, or none, means for the recipient."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from policywatch.secrets import SecretText
from policywatchd.publish import smtp
from policywatchd.publish.smtp import Lane, LaneTrouble, Outcome, Relay

MAIL = b"Subject: x\r\n\r\n.hello\r\n"
GONE = None  # the relay closes the connection instead of answering


class Script:
    """A relay that answers by the first word of a command: a reply, GONE, or silence (an empty reply)."""

    def __init__(self, **replies: str | None) -> None:
        self.replies: dict[str, str | None] = {
            "GREETING": "220 relay.test", "EHLO": "250 relay.test", "MAIL": "250 ok", "RCPT": "250 ok",
            "DATA": "354 go on", "DOT": "250 2.0.0 kept", "RSET": "250 ok", "QUIT": "221 bye", **replies,
        }  # fmt: skip
        self.commands: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            if not self._answer(writer, "GREETING"):
                return
            while line := await reader.readline():
                word = line.split()[0].decode().upper()
                self.commands.append(word)
                if not self._answer(writer, word):
                    return
                if word == "DATA" and str(self.replies["DATA"]).startswith("354"):
                    body = await reader.readuntil(b"\r\n.\r\n")
                    self.bodies.append(body)
                    if not self._answer(writer, "DOT"):
                        return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, word: str) -> bool:
        reply = self.replies.get(word, "500 what?")
        if reply is GONE:
            return False
        if reply:
            writer.write(f"{reply}\r\n".encode())
        return True


@asynccontextmanager
async def relay(script: Script, **more: object) -> AsyncIterator[Lane]:
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    lane = Lane(Relay("127.0.0.1", port, "desk@policywatch.test", **more))  # type: ignore[arg-type]
    try:
        yield lane
    finally:
        await lane.close()
        server.close()


@pytest.mark.parametrize(
    ("replies", "outcome", "code", "counted"),
    [
        ({}, Outcome.SENT, "250", True),
        ({"DOT": "251 2.0.0 kept elsewhere"}, Outcome.SENT, "251", True),
        ({"RCPT": "550 5.1.1 nobody"}, Outcome.FAILED, "550", True),
        ({"RCPT": "450 4.2.1 busy"}, Outcome.DEFERRED, "450", True),
        ({"RCPT": "421 closing"}, Outcome.DEFERRED, "421", False),
        ({"MAIL": "451 4.3.0 not now"}, Outcome.DEFERRED, "451", False),
        ({"DATA": "451 4.3.0 not now"}, Outcome.DEFERRED, "451", True),
        ({"DATA": "554 5.5.1 no"}, Outcome.FAILED, "554", True),
        ({"DOT": "452 4.3.1 no room"}, Outcome.DEFERRED, "452", True),
        ({"DOT": "554 5.7.1 refused"}, Outcome.FAILED, "554", True),
        ({"MAIL": GONE}, Outcome.RETURNED, "", False),
        ({"RCPT": GONE}, Outcome.RETURNED, "", False),
        ({"DOT": GONE}, Outcome.UNCERTAIN, "", True),
        ({"DOT": "hello?"}, Outcome.UNCERTAIN, "", True),
    ],
)
async def test_an_answer_means_what_its_phase_says(
    replies: dict[str, str | None], outcome: Outcome, code: str, counted: bool
) -> None:
    async with relay(Script(**replies)) as lane:
        answer = await lane.hand_over("m1@members.test", MAIL)
    assert (answer.outcome, answer.code, answer.counted) == (outcome, code, counted)
    assert not answer.refuses_us


async def test_silence_after_the_dot_is_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "DOT_SECONDS", 0.2)
    async with relay(Script(DOT="")) as lane:
        answer = await lane.hand_over("m1@members.test", MAIL)
        assert answer.outcome is Outcome.UNCERTAIN
        assert not lane.connected  # a late answer would belong to the next mail


async def test_a_refused_sender_is_our_fault_and_no_recipients() -> None:
    async with relay(Script(MAIL="553 5.7.1 not you")) as lane:
        answer = await lane.hand_over("m1@members.test", MAIL)
    assert (answer.outcome, answer.refuses_us) == (Outcome.RETURNED, True)


async def test_a_refusal_keeps_the_connection_for_the_next_mail() -> None:
    script = Script(RCPT="550 5.1.1 nobody")
    async with relay(script) as lane:
        await lane.hand_over("m1@members.test", MAIL)
        script.replies["RCPT"] = "250 ok"
        assert (await lane.hand_over("m2@members.test", MAIL)).outcome is Outcome.SENT
    assert script.connections == 1
    assert script.commands == ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_a_line_that_begins_with_a_dot_arrives_with_its_dot_doubled() -> None:
    script = Script()
    async with relay(script) as lane:
        await lane.hand_over("m1@members.test", MAIL)
    assert script.bodies == [b"Subject: x\r\n\r\n..hello\r\n.\r\n"]


async def test_a_connection_is_renewed_after_a_hundred_mails() -> None:
    script = Script()
    async with relay(script) as lane:
        for number in range(101):
            await lane.hand_over(f"m{number}@members.test", MAIL)
    assert (script.connections, len(script.bodies)) == (2, 101)


@pytest.mark.parametrize("replies", [{"GREETING": "554 go away"}, {"EHLO": "554 no"}, {"GREETING": GONE}])
async def test_a_relay_that_refuses_to_talk_is_trouble_of_the_lane(replies: dict[str, str | None]) -> None:
    async with relay(Script(**replies, HELO=None)) as lane:
        with pytest.raises(LaneTrouble):
            await lane.hand_over("m1@members.test", MAIL)


async def test_a_relay_without_starttls_gets_nothing_in_clear_text() -> None:
    script = Script()
    async with relay(script, tls="starttls") as lane:
        with pytest.raises(LaneTrouble):
            await lane.hand_over("m1@members.test", MAIL)
    assert "MAIL" not in script.commands


async def test_a_relay_that_refuses_the_password_is_trouble_of_the_lane() -> None:
    script = Script(EHLO="250-relay.test\r\n250 AUTH PLAIN", AUTH="535 5.7.8 wrong")
    async with relay(script, user="desk", password=SecretText("hidden")) as lane:
        with pytest.raises(LaneTrouble) as told:
            await lane.hand_over("m1@members.test", MAIL)
    assert "hidden" not in str(told.value)


async def test_a_mail_that_was_cut_off_after_the_dot_is_beyond_recall() -> None:
    script = Script(DOT="")
    async with relay(script) as lane:
        handing = asyncio.create_task(lane.hand_over("m1@members.test", MAIL))
        await _when(lambda: bool(script.bodies))
        handing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handing
        assert lane.beyond_recall


async def _when(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the script sets no event
            await asyncio.sleep(0.01)
