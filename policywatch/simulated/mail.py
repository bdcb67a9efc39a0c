"""A mail server on loopback that records what arrives, and can be told to misbehave.

A message counts as arrived when its final dot has been read, whether or not the client lived to see the
answer: that is what makes it a witness for mails sent twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

__all__ = ["ReceivedMail", "Refusal", "SmtpSink"]

log = logging.getLogger("policywatch.simulated")


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """One accepted message for one recipient; `raw` is what came between DATA and the dot."""

    at: datetime
    mail_from: str
    rcpt: str
    message_id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an address is answered: at RCPT or after the dot, so often (None: always)."""

    reply: str = "550 5.1.1 no such person"
    after_dot: bool = False
    times: int | None = None


class SmtpSink:
    """Records mails on 127.0.0.1, in the event loop it was started in. Use as an async context.

    `folder`: one file a mail, with the envelope as Return-Path and Delivered-To above it. `delay`: seconds
    between the final dot and the answer. `refusals`: by address, lower case. `hang_up`: addresses whose
    connection is closed after the dot without an answer; `hang_up_next` does it to the next so many mails.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        delay: float = 0.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.folder = folder
        self.delay = delay
        self.port = 0
        self.mails: list[ReceivedMail] = []
        self.refusals: dict[str, Refusal] = {}
        self.hang_up: set[str] = set()
        self.hang_up_next = 0
        self.connections = 0
        self._clock = clock
        self._refused: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.BaseTransport] = set()
        self._arrived = asyncio.Condition()

    async def start(self, port: int = 0) -> SmtpSink:
        """Listen; a free port unless one is given. `port` says which."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Conversation(self, loop), "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("sink_started port=%d", self.port)
        return self

    async def stop(self) -> None:
        """Close the port and every open conversation."""
        if self._server is None:
            return
        self._server.close()
        for transport in tuple(self._transports):
            transport.close()
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> SmtpSink:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def wait_for(self, count: int, *, timeout: float = 30.0) -> None:
        """Wait until so many mails have arrived in all; TimeoutError says how many did."""
        try:
            async with asyncio.timeout(timeout), self._arrived:
                await self._arrived.wait_for(lambda: len(self.mails) >= count)
        except TimeoutError as late:
            raise TimeoutError(f"{len(self.mails)} of {count} mails arrived within {timeout:g} s") from late

    def duplicates(self) -> int:
        """Mails beyond the first of the same recipient and Message-ID."""
        seen = Counter((mail.rcpt.lower(), mail.message_id) for mail in tuple(self.mails))
        return sum(times - 1 for times in seen.values())

    def recipients(self) -> Counter[str]:
        """How many mails each address received."""
        return Counter(mail.rcpt.lower() for mail in tuple(self.mails))

    # -- what aiosmtpd calls --

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer RCPT."""
        if reply := self._refusal(address, after_dot=False):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The dot has been read: record, wait, answer."""
        for address in envelope.rcpt_tos:
            if reply := self._refusal(address, after_dot=True):
                return reply
        raw = envelope.original_content or b""
        message_id = str(BytesHeaderParser().parsebytes(raw).get("Message-ID", "")).strip()
        async with self._arrived:
            for address in envelope.rcpt_tos:
                mail = ReceivedMail(self._clock(), str(envelope.mail_from or ""), address, message_id, raw)
                self.mails.append(mail)
                self._keep(mail, len(self.mails))
            self._arrived.notify_all()
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.hang_up_next or any(address.lower() in self.hang_up for address in envelope.rcpt_tos):
            self.hang_up_next = max(0, self.hang_up_next - 1)
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return "250 2.0.0 recorded"

    def _refusal(self, address: str, *, after_dot: bool) -> str:
        refusal = self.refusals.get(address.lower())
        if refusal is None or refusal.after_dot is not after_dot:
            return ""
        if refusal.times is not None and self._refused[address.lower()] >= refusal.times:
            return ""
        self._refused[address.lower()] += 1
        return refusal.reply

    def _keep(self, mail: ReceivedMail, number: int) -> None:
        if self.folder is None:
            return
        part = self.folder / f"{number:06d}.part"
        envelope = f"Return-Path: <{mail.mail_from}>\r\nDelivered-To: {mail.rcpt}\r\n"
        part.write_bytes(envelope.encode() + mail.raw)
        part.rename(part.with_suffix(".eml"))

    def _opened(self, transport: asyncio.BaseTransport) -> None:
        self.connections += 1
        self._transports.add(transport)

    def _closed(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is not None:
            self._transports.discard(transport)


class _Conversation(SMTP):  # type: ignore[misc,unused-ignore]  # aiosmtpd has no types
    """One connection; tells the sink when it opens and ends."""

    def __init__(self, sink: SmtpSink, loop: asyncio.AbstractEventLoop) -> None:
        # A fixed name: aiosmtpd would ask the resolver for ours at each connection.
        super().__init__(
            sink, hostname="sink.test", ident="PolicyWatch sink", enable_SMTPUTF8=True, loop=loop
        )
        self._sink = sink
        self._mine: asyncio.BaseTransport | None = None

    def connection_made(self, transport: Any) -> None:
        """A client is there."""
        self._mine = transport
        self._sink._opened(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone, in whatever way."""
        self._sink._closed(self._mine)
        super().connection_lost(error)
