"""One connection to the mail relay, with the phase of a conversation kept in view.

What an answer means depends on when it comes: before the message is handed over, a broken connection is a plain
retry; after it, nobody knows. So the low-level calls of aiosmtplib are used, and each outcome is named.
Not here: rows, windows, retries (`send`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import aiosmtplib

from policywatch import secrets
from policywatch.guidance.addresses import domain_of
from policywatch.settings import Settings

__all__ = ["Answer", "Lane", "LaneTrouble", "Outcome", "Relay"]

log = logging.getLogger("policywatch.publish")

CONNECT_SECONDS = 30.0
COMMAND_SECONDS = 60.0  # MAIL and RCPT, each
DOT_SECONDS = 600.0  # RFC 5321, 4.5.3.2.6: shorter ones make duplicates
MAILS_A_CONNECTION = 100


class Outcome(StrEnum):
    """What became of a mail that was to be handed over."""

    SENT = "sent"  # 250 to the final dot
    DEFERRED = "deferred"  # an explicit 4xx
    FAILED = "failed"  # an explicit 5xx about this recipient or this text
    UNCERTAIN = "uncertain"  # handed over or not: unknown
    RETURNED = "queued"  # provably not handed over, and not because of the recipient


class LaneTrouble(Exception):
    """The relay cannot be reached or refuses us as such; no recipient is to blame. Holds no secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome with the relay's words. `counted`: whether it was a try. `refuses_us`: the sender is refused."""

    outcome: Outcome
    code: str = ""
    text: str = ""
    counted: bool = True
    refuses_us: bool = False


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mails are handed over, and as whom."""

    host: str
    port: int
    sender: str
    tls: Literal["none", "starttls", "tls"] = "none"
    user: str | None = None
    password: secrets.SecretText | None = None
    context: ssl.SSLContext | None = None  # None: the system's authorities, with a verified name

    @classmethod
    def of(cls, settings: Settings) -> Relay:
        """The relay of the settings. SettingsError if its password is nowhere to be found."""
        mail = settings.mail
        password = secrets.resolve(mail.password, settings, keyring=False) if mail.password else None
        return cls(mail.host, mail.port, mail.sender, mail.tls, mail.user, password)


class Lane:
    """One connection to the relay, used by one task. Opened on demand, renewed after a hundred mails."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._client: aiosmtplib.SMTP | None = None
        self._handed = 0
        #: True from the moment the message may be at the relay until its answer is known.
        self.beyond_recall = False

    @property
    def connected(self) -> bool:
        """Whether a mail can be handed over without connecting first."""
        return self._client is not None and self._client.is_connected

    async def open(self) -> None:
        """Connect and greet, with TLS and password as the settings say. LaneTrouble says why not."""
        await self.close()
        relay = self._relay
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            use_tls=relay.tls == "tls",
            start_tls=False,
            timeout=CONNECT_SECONDS,
            local_hostname=domain_of(relay.sender),
            tls_context=relay.context or (None if relay.tls == "none" else ssl.create_default_context()),
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect()
                await client.ehlo()
                if relay.tls == "starttls":  # refused or not offered: trouble, never plain text
                    await client.starttls()
                    await client.ehlo()
                if relay.user is not None and relay.password is not None:
                    await client.login(relay.user, relay.password)
        except BaseException as fault:
            client.close()
            if isinstance(fault, aiosmtplib.SMTPException | OSError | ValueError):
                raise LaneTrouble(_words_of(fault)) from fault
            raise
        self._client, self._handed = client, 0

    async def close(self) -> None:
        """Say goodbye, if anybody listens."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            if client.is_connected:
                with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                    await client.quit(timeout=2.0)
        finally:
            client.close()

    async def hand_over(
        self, recipient: str, octets: bytes, *, before: Callable[[], None] = lambda: None
    ) -> Answer:
        """Try to deliver one mail. Never raises for what a relay may do; LaneTrouble before anything was said.

        `before` is called when the relay took the envelope, before the message leaves; what it raises stops it.
        """
        if not self.connected or self._handed >= MAILS_A_CONNECTION:
            await self.open()
        client = self._client
        if client is None:  # pragma: no cover - open() sets it or raises
            raise LaneTrouble("there is no connection")
        self.beyond_recall = False
        self._handed += 1
        answer = await self._envelope(client, recipient)
        if answer is None:
            before()
            self.beyond_recall = True
            answer = await self._message(client, octets)
            self.beyond_recall = False
        if answer.outcome is not Outcome.SENT:
            await self._start_anew(client, answer)
        return answer

    async def _envelope(self, client: aiosmtplib.SMTP, recipient: str) -> Answer | None:
        """MAIL and RCPT; None: the relay waits for the message. Nothing has been handed over yet."""
        try:
            await client.mail(self._relay.sender, timeout=COMMAND_SECONDS)
        except aiosmtplib.SMTPResponseException as refusal:
            if 500 <= refusal.code < 600:
                return _said(Outcome.RETURNED, refusal, counted=False, refuses_us=True)
            if 400 <= refusal.code < 500:
                return _said(Outcome.DEFERRED, refusal, counted=False)
            return Answer(Outcome.RETURNED, text=_words_of(refusal), counted=False)
        except (aiosmtplib.SMTPException, OSError) as fault:
            return Answer(Outcome.RETURNED, text=_words_of(fault), counted=False)
        try:
            await client.rcpt(recipient, timeout=COMMAND_SECONDS)
        except aiosmtplib.SMTPResponseException as refusal:
            if 500 <= refusal.code < 600:
                return _said(Outcome.FAILED, refusal)
            if 400 <= refusal.code < 500:
                return _said(Outcome.DEFERRED, refusal, counted=refusal.code != 421)
            return Answer(Outcome.RETURNED, text=_words_of(refusal), counted=False)
        except (aiosmtplib.SMTPException, OSError) as fault:
            return Answer(Outcome.RETURNED, text=_words_of(fault), counted=False)
        return None

    async def _message(self, client: aiosmtplib.SMTP, octets: bytes) -> Answer:
        """DATA, the message and the dot. Whatever is no clear answer is uncertain."""
        try:
            done = await client.data(octets, timeout=DOT_SECONDS)
        except aiosmtplib.SMTPResponseException as answer:
            if 500 <= answer.code < 600:
                return _said(Outcome.FAILED, answer)
            if 400 <= answer.code < 500:
                return _said(Outcome.DEFERRED, answer, counted=answer.code != 421)
            if 200 <= answer.code < 300:
                return _said(Outcome.SENT, answer)
            return Answer(Outcome.UNCERTAIN, text=_words_of(answer))
        except (aiosmtplib.SMTPException, OSError) as fault:
            return Answer(Outcome.UNCERTAIN, text=_words_of(fault))
        return Answer(Outcome.SENT, str(done.code), done.message)

    async def _start_anew(self, client: aiosmtplib.SMTP, answer: Answer) -> None:
        """After a refusal the connection goes on with RSET; after anything else it is not trusted again."""
        if (
            answer.outcome in (Outcome.DEFERRED, Outcome.FAILED)
            and answer.code != "421"
            and client.is_connected
        ):
            try:
                await client.rset(timeout=COMMAND_SECONDS)
                return
            except (aiosmtplib.SMTPException, OSError) as fault:
                log.info("lane_reset_failed reason=%r", _words_of(fault))
        client.close()
        self._client = None


def _said(
    outcome: Outcome,
    answer: aiosmtplib.SMTPResponseException,
    *,
    counted: bool = True,
    refuses_us: bool = False,
) -> Answer:
    return Answer(outcome, str(answer.code), str(answer.message), counted, refuses_us)


def _words_of(fault: BaseException) -> str:
    """What went wrong, on one line."""
    words = " ".join(str(fault).split())
    return f"{type(fault).__name__}: {words}"[:300] if words else type(fault).__name__
