"""One page over the wire: conditional request, own redirect loop, bounded time, bounded bytes.

Nothing here trusts the other side: a total deadline stands over headers and body together, raw and inflated
bytes are counted while they come, and an encoding that was not asked for is refused. What the bytes mean is
the business of `visit` and `policywatch.reading`. No cookies are kept, no environment variable is read, and
requests go straight to the transport, so that nothing is sent that is not written here.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

import httpcore
import httpx

from policywatch.errors import PolicyWatchError
from policywatchd.collect import headers as headers_
from policywatchd.collect.headers import retry_after
from policywatchd.collect.wall import WallRefusal

__all__ = [
    "Ask",
    "FetchFault",
    "Fetched",
    "Lane",
    "Limits",
    "Transport",
    "Turn",
    "fetch",
    "parsed",
    "retry_after",
]


class Transport(Protocol):
    """What sends a request: the wall."""

    async def send(
        self, url: httpx.URL, headers: Sequence[tuple[bytes, bytes]], connect_within: float
    ) -> httpcore.Response:
        """The answer's head; its body is in the stream, and it is to be closed. httpcore's errors, WallRefusal."""


class Turn(Protocol):
    """One turn at a host, which learns what came of it."""

    async def again(self, url: httpx.URL) -> None:
        """Before another request to the same host (a redirect)."""

    def answered(self, status: int, wait: float | None) -> None:
        """It answered; `wait`: seconds, as its Retry-After says."""

    def gave_none(self, why: str) -> None:
        """No whole answer came."""


#: Gives a turn at the host of an address, for as long as the context is open.
Lane = Callable[[httpx.URL], AbstractAsyncContextManager[Turn]]

_HOPS = 5
_PIECE = 64 * 1024
_LARGE = 1024 * 1024
_MOST_PIECES = 100_000  # that a body comes in: each costs time and memory, however small it is
_RATIO, _RATIO_FROM = 200, 1024 * 1024  # inflated to raw bytes, once so much has come out
_GZIP = 47  # zlib: gzip or deflate by its own header, 32 KiB window
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_THE_HOST = frozenset({"timeout", "connect", "cut"})  # faults that its breaker counts
_PERMANENT = frozenset({301, 308})
_CONNECT_WITHIN = 20.0  # seconds for one address of a host
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Limits:
    """What one page may cost: seconds in all, bytes from the wire, bytes after inflation.

    `whole`: too large a body is a fault; otherwise what came until then is the body. `large`: places for bodies
    beyond 1 MiB, so that many of them at once stay within a bounded memory.
    """

    seconds: float = 60.0
    raw: int = 8 * 1024 * 1024
    decoded: int = 16 * 1024 * 1024
    whole: bool = True
    large: asyncio.Semaphore | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What to fetch. `etag` and `last_modified` are the server's own words of the last good capture.

    `secret` are headers for the address' own origin alone: a redirect elsewhere does not see them.
    """

    url: str
    user_agent: str
    accept_language: str = "en"
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    last_modified: str | None = None
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def conditional(self) -> bool:
        """Whether validators are sent."""
        return bool(self.etag or self.last_modified)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer that came whole: any status, body inflated ("" for 304 and for errors)."""

    status: int
    headers: dict[str, str]
    redirects: tuple[dict[str, str | int], ...]
    final_url: str
    content_type: str
    body: bytes
    elapsed: float
    conditional: bool
    egress: str | None = None  # our address of the last hop

    @property
    def moved_to(self) -> str | None:
        """Where the page lives from now on: every hop on the way was permanent, and led to another host or path."""
        if not self.redirects or any(hop["status"] not in _PERMANENT for hop in self.redirects):
            return None
        first, last = httpx.URL(str(self.redirects[0]["from"])), httpx.URL(self.final_url)
        same = (first.host, first.path.rstrip("/")) == (last.host, last.path.rstrip("/"))
        return None if same else self.final_url


class FetchFault(PolicyWatchError):
    """No whole answer came. `code` names the kind; what is known of the way there stands beside it."""

    status: int | None = None
    elapsed: float = 0.0
    redirects: tuple[dict[str, str | int], ...] = ()
    final_url: str = ""


async def fetch(transport: Transport, ask: Ask, limits: Limits, lane: Lane) -> Fetched:
    """Fetch a page, following at most five redirects, each through the wall and in its host's lane.

    Waiting for a lane does not count against `limits.seconds`. Raises FetchFault; errors of the lane pass, its
    FetchFaults with what is known of the way.
    """
    way = _start(ask)
    left, host = limits.seconds, ""
    async with AsyncExitStack() as held:
        while True:
            try:
                if way.url.host != host:
                    await held.aclose()
                    host = way.url.host
                    turn = await held.enter_async_context(lane(way.url))
                else:
                    await turn.again(way.url)
            except FetchFault as refusal:
                raise way.fault(refusal.code or "lane", refusal.what, refusal.remedy) from None
            started = time.monotonic()
            try:
                async with asyncio.timeout(left):
                    fetched = await _hop(transport, ask, limits, way, turn)
            except TimeoutError:
                turn.gave_none(f"no whole answer within {limits.seconds:g} s")
                raise way.fault("timeout", f"no whole answer within {limits.seconds:g} s") from None
            except FetchFault as fault:
                if fault.code in _OF_THE_HOST:
                    turn.gave_none(fault.what)
                raise
            finally:
                spent = time.monotonic() - started
                way.elapsed += spent
                left = max(0.0, left - spent)
            if fetched is not None:
                return fetched


def parsed(url: httpx.URL) -> httpx.URL:
    """The address without its fragment. ValueError for a host that is no name, and a port that is none."""
    if not 0 < (url.port or 80) <= _LAST_PORT:
        raise ValueError
    _ = url.host  # which raises for an A-label that stands for no name
    return url.copy_with(fragment=None)


def _start(ask: Ask) -> _Way:
    try:
        way = _Way(ask.url)
        if parsed(way.url).scheme in ("http", "https") and way.url.host:
            return way
    except (httpx.InvalidURL, ValueError):
        pass
    raise FetchFault("the address is none of the web", code="address")


@dataclass(slots=True)
class _Way:
    """Where the fetch is by now."""

    first: str
    url: httpx.URL = field(init=False)
    redirects: list[dict[str, str | int]] = field(default_factory=list)
    status: int | None = None
    elapsed: float = 0.0

    def __post_init__(self) -> None:
        self.url = httpx.URL(self.first)

    def fault(self, code: str, what: str, remedy: str = "") -> FetchFault:
        fault = FetchFault(what, code=code, remedy=remedy)
        fault.status, fault.elapsed = self.status, self.elapsed
        fault.redirects, fault.final_url = tuple(self.redirects), str(self.url)
        return fault

    def turn(self, status: int, location: str) -> None:
        """Go on to where the answer points, if that is allowed."""
        try:
            target = parsed(self.url.join(location))
        except (httpx.InvalidURL, ValueError):
            raise self.fault("redirect", "the redirect points to no address") from None
        if target.scheme not in ("http", "https") or not target.host:
            raise self.fault(
                "redirect", f"the redirect points to {target.scheme or 'no scheme'}:, not the web"
            )
        if self.url.scheme == "https" and target.scheme == "http":
            raise self.fault("redirect", "the redirect leads from https to http")
        if len(self.redirects) >= _HOPS:
            raise self.fault("redirect", f"more than {_HOPS} redirects")
        self.redirects.append({"status": status, "from": str(self.url), "to": str(target)})
        self.url = target


async def _hop(transport: Transport, ask: Ask, limits: Limits, way: _Way, turn: Turn) -> Fetched | None:
    """One request; None where it was a redirect and the way went on."""
    began = time.monotonic()
    try:
        response = await transport.send(way.url, _headers(ask, way.url), min(_CONNECT_WITHIN, limits.seconds))
        try:
            status = way.status = response.status
            headers = headers_.named(response.headers)
            turn.answered(status, retry_after(headers.get("retry-after", "")))
            if status in _REDIRECTS and "location" in headers:
                await _drain(response, headers)
                way.turn(status, headers["location"])
                return None
            if status == HTTPStatus.OK:
                body = await _body(response, headers, limits, way)
            else:
                body = b""
                await _drain(response, headers)
            egress = response.extensions.get("egress")
        finally:
            await response.aclose()
    except WallRefusal as refusal:
        raise way.fault("wall", refusal.what, refusal.remedy) from None
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        raise way.fault("connect", _connect_words(error)) from None
    except httpcore.TimeoutException:
        raise way.fault("timeout", f"no answer within {limits.seconds:g} s") from None
    except httpcore.LocalProtocolError:  # its words quote the header, which may hold a credential
        raise way.fault("address", "a header of the request holds what no header can carry") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
        raise way.fault("cut", f"the answer broke off ({_short(error)})") from None
    except zlib.error:
        raise way.fault("encoding", "the body is not the gzip that its header says") from None
    return Fetched(
        status=status,
        headers=headers_.kept(headers),
        redirects=tuple(way.redirects),
        final_url=str(way.url),
        content_type=headers.get("content-type", ""),
        body=body,
        elapsed=way.elapsed + time.monotonic() - began,
        conditional=ask.conditional,
        egress=egress,
    )


def _headers(ask: Ask, url: httpx.URL) -> list[tuple[bytes, bytes]]:
    named: dict[str, str] = {
        "Accept": "text/html,application/xhtml+xml,text/markdown,text/plain;q=0.9,*/*;q=0.1",
        "Accept-Language": ask.accept_language,
        **ask.headers,
        "User-Agent": ask.user_agent,
        "Accept-Encoding": "gzip",
    }
    if ask.secret and _origin(url) == _origin(httpx.URL(ask.url)):
        named |= ask.secret
    if ask.etag:
        named["If-None-Match"] = ask.etag
    if ask.last_modified:
        named["If-Modified-Since"] = ask.last_modified
    return [
        (b"Host", url.netloc),
        *((name.encode("ascii"), headers_.encoded(value)) for name, value in named.items()),
    ]


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _body(response: httpcore.Response, headers: Mapping[str, str], limits: Limits, way: _Way) -> bytes:
    """The body, inflated in small pieces and counted on both sides."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise way.fault("encoding", f"the body is encoded as {encoding[:40]!r}, which was not asked for")
    inflate = _Inflate() if encoding.endswith("gzip") else None
    parts: list[bytes] = []
    raw = decoded = pieces = 0
    async with AsyncExitStack() as place:
        holds = limits.large is None
        async for piece in response.aiter_stream():
            raw, pieces = raw + len(piece), pieces + 1
            if pieces > _MOST_PIECES:
                raise way.fault("size", f"the page comes in more than {_MOST_PIECES} pieces")
            if raw > limits.raw and limits.whole:
                raise way.fault("size", f"the page is larger than {limits.raw // 1024} KiB")
            for out in inflate.feed(piece) if inflate else (piece,):
                decoded += len(out)
                if not limits.whole and decoded >= limits.decoded:
                    return b"".join((*parts, out))[: limits.decoded]
                if decoded > limits.decoded or (decoded > _RATIO_FROM and decoded > raw * _RATIO):
                    raise way.fault("bomb", f"the page inflates from {raw} bytes to more than {decoded}")
                if not holds and decoded > _LARGE and limits.large is not None:
                    await place.enter_async_context(limits.large)
                    holds = True
                parts.append(out)
    if inflate and raw and not inflate.whole:
        raise way.fault("cut", "the compressed body ends before its end")
    return b"".join(parts)


async def _drain(response: httpcore.Response, headers: Mapping[str, str]) -> None:
    """Read what is there of a body that nobody wants, if it is short: so the connection can be kept."""
    length = headers.get("content-length", "")
    if response.status == HTTPStatus.NOT_MODIFIED or (length.isdigit() and len(length) < 6):
        left = _PIECE
        async for piece in response.aiter_stream():
            left -= len(piece)
            if left < 0:
                return


class _Inflate:
    """gzip in pieces of at most 64 KiB, members one after the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._fresh = True

    @property
    def whole(self) -> bool:
        """Whether the last member has come to its end."""
        return self._fresh or self._member.eof

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What comes out for a piece that came in."""
        while piece:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            self._fresh = False
            yield self._member.decompress(piece, _PIECE)
            piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:120]


def _connect_words(error: Exception) -> str:
    words = _short(error)
    if "CERTIFICATE" in words.upper():
        return f"its certificate is not trusted ({words})"
    return words if "name" in words or "answer" in words else f"no connection ({words})"
