"""The pretend web: one HTTP/1.1 server on loopback that serves seven platforms by the Host header.

It keeps a log of every request, so that a demo or a test can count what was asked and what was answered. Not
a general web server: GET and HEAD, no bodies in requests, no TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from types import TracebackType

from policywatch.simulated import pages
from policywatch.simulated.pages import Noise, noise_of
from policywatch.simulated.texts import PLATFORMS as ALL_PLATFORMS
from policywatch.simulated.texts import Document, Platform, documents
from policywatch.simulated.truth import Truth, scripted

__all__ = ["Request", "SimulatedWeb", "Trouble"]

log = logging.getLogger("policywatch.simulated")

_MAX_HEAD = 16 * 1024


class Trouble(StrEnum):
    """How a page can go wrong, by switch."""

    NOT_FOUND = "not_found"
    SERVER_ERROR = "server_error"
    EMPTY = "empty"
    BINARY = "binary"
    NO_ANSWER = "no_answer"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the web saw it. `status` is 0 where nothing was answered; `round` is the one answered from."""

    at: datetime
    host: str
    path: str
    if_none_match: str
    if_modified_since: str
    status: int
    round: int

    @property
    def has_validators(self) -> bool:
        """Whether the client said which version it holds."""
        return bool(self.if_none_match or self.if_modified_since)


@dataclass(frozen=True, slots=True)
class _Served:
    """A page as it stands: body and its validators ("" where this platform sends none of that kind)."""

    body: bytes
    etag: str
    last_modified: str


class SimulatedWeb:
    """Seven platforms with 21 policies that change from round to round.

    `seed` decides the noise, `truth` the real changes (default: the scripted story as of `today`). `delay` is
    how long an answer takes, in seconds, so that overlapping requests can be seen. Use as an async context,
    or `start` and `stop`.
    """

    def __init__(
        self,
        seed: int = 1,
        platforms: Sequence[Platform] = ALL_PLATFORMS,
        *,
        truth: Truth | None = None,
        today: date | None = None,
        delay: float = 0.002,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.seed = seed
        self.clock = clock
        self.platforms = tuple(platforms)
        self.truth = truth or scripted(today or clock().date())
        keys = {platform.key for platform in self.platforms}
        self.documents = tuple(document for document in documents() if document.platform in keys)
        self.round = 0
        self.port = 0
        self.log: list[Request] = []
        self.most_in_flight: dict[str, int] = {}
        self.troubles: dict[tuple[str, str], Trouble] = {}
        self._in_flight: Counter[str] = Counter()
        self._delay = delay
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._answered = asyncio.Condition()
        self._born = clock().replace(microsecond=0) - timedelta(days=1)
        self._pages: dict[tuple[str, str], _Served] = {}
        self._compose()

    async def start(self) -> SimulatedWeb:
        """Listen on a free port of 127.0.0.1; `port` says which."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MAX_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("web_started port=%d pages=%d", self.port, len(self.documents))
        return self

    async def stop(self) -> None:
        """Close the port and every connection; waits until all of it is gone."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> SimulatedWeb:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def advance(self) -> int:
        """Go to the next round and return it; after the last round only noise goes on."""
        self.round += 1
        self._compose()
        log.info("web_advanced round=%d changed=%d", self.round, len(self.truth.changed(self.round)))
        return self.round

    def spoil(self, document: Document, trouble: Trouble) -> None:
        """From now on that page fails in that way."""
        self.troubles[document.host, document.path] = trouble

    def mend(self, document: Document) -> None:
        """The page is served again."""
        self.troubles.pop((document.host, document.path), None)

    def text(self, document: Document) -> str:
        """What the policy says now."""
        return self.truth.text(document, self.round)

    def page(self, document: Document) -> bytes:
        """The page as it is served now."""
        return self._pages[document.host, document.path].body

    def reads(self, document: Document, *, round_: int | None = None) -> tuple[Request, ...]:
        """The answered requests for that page, all or those of one round, in order."""
        return tuple(
            request
            for request in tuple(self.log)
            if (request.host, request.path) == (document.host, document.path)
            and request.status
            and (round_ is None or request.round == round_)
        )

    async def wait_until_read(self, times: int = 1, *, timeout: float = 30.0) -> None:
        """Wait until each page has been answered so often in this round; TimeoutError names the rest."""
        round_ = self.round

        def lacking() -> list[str]:
            return [known.page for known in self.documents if len(self.reads(known, round_=round_)) < times]

        try:
            async with asyncio.timeout(timeout), self._answered:
                await self._answered.wait_for(lambda: not lacking())
        except TimeoutError as late:
            names = ", ".join(lacking())
            raise TimeoutError(
                f"not read {times} times within {timeout:g} s in round {round_}: {names}"
            ) from late

    def second_pass(self) -> tuple[int, int]:
        """Of the last reads of the pages read again in round 0: how many sent validators, how many got a 304."""
        seconds = [reads[-1] for known in self.documents if len(reads := self.reads(known, round_=0)) > 1]
        with_validators = sum(request.has_validators for request in seconds)
        return with_validators, sum(request.status == HTTPStatus.NOT_MODIFIED for request in seconds)

    # -- the pages as they stand in this round --

    def _compose(self) -> None:
        for document in self.documents:
            times: Counter[Noise] = Counter()
            touched = 0
            for round_ in range(1, self.round + 1):
                noise = noise_of(self.seed, document, round_)
                times.update(noise)
                if noise or document in self.truth.changed(round_):
                    touched = round_
            body = pages.page(document, self.truth.text(document, self.round), self.seed, times)
            self._pages[document.host, document.path] = _Served(
                body, *self._validators(document, body, touched)
            )

    def _validators(self, document: Document, body: bytes, touched: int) -> tuple[str, str]:
        """ETag and Last-Modified: by platform strong and date, weak and date, or the date alone."""
        digest = hashlib.sha256(body).hexdigest()[:20]
        modified = format_datetime(self._born + timedelta(hours=touched), usegmt=True)
        manner = [platform.key for platform in self.platforms].index(document.platform) % 3
        return ("" if manner == 2 else f'W/"{digest}"' if manner == 1 else f'"{digest}"'), modified

    # -- HTTP --

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.debug("web_connection_lost")
        except asyncio.CancelledError:
            # Only `stop` cancels; a task of the stream server that ends cancelled is logged as an error.
            log.debug("web_connection_stopped")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; returns whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, _, rest = first.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        host = headers.get("host", "").partition(":")[0].lower()
        self._in_flight[host] += 1
        self.most_in_flight[host] = max(self.most_in_flight.get(host, 0), self._in_flight[host])
        try:
            if self._delay:
                await asyncio.sleep(self._delay)
            trouble = self.troubles.get((host, path))
            if trouble is Trouble.NO_ANSWER:
                await self._note(host, path, headers, 0, self.round)
                await reader.read()  # until the client gives up
                return False
            round_ = self.round  # the round may change while the answer is on its way
            status, extra, body = self._answer(method, host, path, headers)
            await self._send(writer, status, extra, body, method=method, cut=trouble is Trouble.CUT)
            await self._note(host, path, headers, 0 if trouble is Trouble.CUT else status, round_)
        finally:
            self._in_flight[host] -= 1
        return trouble is not Trouble.CUT and headers.get("connection", "").lower() != "close"

    def _answer(
        self, method: str, host: str, path: str, headers: dict[str, str]
    ) -> tuple[HTTPStatus, dict[str, str], bytes]:
        """Status, headers beyond the usual ones, body."""
        html = {"Content-Type": "text/html; charset=utf-8"}
        served = self._pages.get((host, path))
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, html, b"<p>Only reading is possible.</p>"
        match self.troubles.get((host, path)):
            case Trouble.NOT_FOUND:
                served = None
            case Trouble.SERVER_ERROR:
                return HTTPStatus.INTERNAL_SERVER_ERROR, html, b"<h1>Something went wrong</h1>"
            case Trouble.EMPTY:
                return HTTPStatus.OK, html, b""
            case Trouble.BINARY:
                return HTTPStatus.OK, {"Content-Type": "application/octet-stream"}, bytes(range(256)) * 16
            case _:
                pass
        if path == "/robots.txt" and any(platform.host == host for platform in self.platforms):
            return HTTPStatus.OK, {"Content-Type": "text/plain"}, b"User-agent: *\nAllow: /\n"
        if served is None:
            return HTTPStatus.NOT_FOUND, html, b"<h1>There is no such page</h1>"
        extra = {"Last-Modified": served.last_modified, "Cache-Control": "no-cache"}
        if served.etag:
            extra["ETag"] = served.etag
        if _is_held(served, headers):
            return HTTPStatus.NOT_MODIFIED, extra, b""
        return HTTPStatus.OK, extra | html, served.body

    async def _send(
        self,
        writer: asyncio.StreamWriter,
        status: HTTPStatus,
        extra: dict[str, str],
        body: bytes,
        *,
        method: str,
        cut: bool,
    ) -> None:
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Date: {format_datetime(self.clock(), usegmt=True)}",
        ]
        lines += [f"{name}: {value}" for name, value in extra.items()]
        if status is not HTTPStatus.NOT_MODIFIED:
            lines.append(f"Content-Length: {len(body)}")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if method == "GET" and status is not HTTPStatus.NOT_MODIFIED:
            writer.write(body[: len(body) // 2] if cut else body)
        await writer.drain()

    async def _note(self, host: str, path: str, headers: dict[str, str], status: int, round_: int) -> None:
        held = headers.get("if-none-match", ""), headers.get("if-modified-since", "")
        async with self._answered:
            self.log.append(Request(self.clock(), host, path, *held, int(status), round_))
            self._answered.notify_all()


def _is_held(served: _Served, headers: dict[str, str]) -> bool:
    """Whether the client holds this very version (RFC 9110, 13.1: a tag outranks a date)."""
    if tags := headers.get("if-none-match"):
        named = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return bool(served.etag) and (served.etag.removeprefix("W/") in named or "*" in named)
    if since := headers.get("if-modified-since"):
        with contextlib.suppress(ValueError):
            return parsedate_to_datetime(served.last_modified) <= parsedate_to_datetime(since)
    return False
