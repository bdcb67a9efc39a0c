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
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from policywatch.errors import PolicyWatchError
from policywatchd.collect.wall import WallRefusal

__all__ = ["Ask", "FetchFault", "Fetched", "Lane", "Limits", "fetch", "retry_after"]

#: Holds the one place at a host for as long as the context is open.
Lane = Callable[[str], AbstractAsyncContextManager[object]]

_HOPS = 5
_PIECE = 64 * 1024
_RATIO, _RATIO_FROM = 200, 1024 * 1024  # inflated to raw bytes, once so much has come out
_GZIP = 47  # zlib: gzip or deflate by its own header, 32 KiB window
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LONGEST_WAIT = 24 * 3600.0
_KEPT_HEADERS = (
    "content-type", "content-length", "content-encoding", "content-language", "etag", "last-modified", "date",
    "cache-control", "expires", "vary", "retry-after", "location", "server",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What one page may cost: seconds in all, bytes from the wire, bytes after inflation."""

    seconds: float = 60.0
    raw: int = 8 * 1024 * 1024
    decoded: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ask:
    """What to fetch. `etag` and `last_modified` are the server's own words of the last good capture."""

    url: str
    user_agent: str
    accept_language: str = "en"
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    last_modified: str | None = None

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


class FetchFault(PolicyWatchError):
    """No whole answer came. `code` names the kind; what is known of the way there stands beside it."""

    status: int | None = None
    elapsed: float = 0.0
    redirects: tuple[dict[str, str | int], ...] = ()
    final_url: str = ""


async def fetch(transport: httpx.AsyncBaseTransport, ask: Ask, limits: Limits, lane: Lane) -> Fetched:
    """Fetch a page, following at most five redirects, each through the wall and in its host's lane.

    Waiting for a lane does not count against `limits.seconds`. Raises FetchFault; errors of the lane pass.
    """
    way = _Way(ask.url)
    left = limits.seconds
    async with AsyncExitStack() as held:
        host = ""
        while True:
            if way.url.host != host:
                await held.aclose()
                host = way.url.host
                await held.enter_async_context(lane(host))
            started = time.monotonic()
            try:
                async with asyncio.timeout(left):
                    fetched = await _hop(transport, ask, limits, way)
            except TimeoutError:
                raise way.fault("timeout", f"no whole answer within {limits.seconds:g} s") from None
            finally:
                spent = time.monotonic() - started
                way.elapsed += spent
                left = max(0.0, left - spent)
            if fetched is not None:
                return fetched


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
            target = self.url.join(location).copy_with(fragment=None)
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


async def _hop(transport: httpx.AsyncBaseTransport, ask: Ask, limits: Limits, way: _Way) -> Fetched | None:
    """One request; None where it was a redirect and the way went on."""
    began = time.monotonic()
    request = httpx.Request(
        "GET",
        way.url,
        headers=_headers(ask),
        extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), limits.seconds)},
    )
    try:
        response = await transport.handle_async_request(request)
        try:
            way.status = response.status_code
            if response.status_code in _REDIRECTS and "location" in response.headers:
                way.turn(response.status_code, response.headers["location"])
                return None
            body = await _body(response, limits, way) if response.status_code == HTTPStatus.OK else b""
        finally:
            await response.aclose()
    except WallRefusal as refusal:
        raise way.fault("wall", refusal.what, refusal.remedy) from None
    except httpx.TimeoutException:
        raise way.fault("timeout", f"no answer within {limits.seconds:g} s") from None
    except httpx.ConnectError as error:
        raise way.fault("connect", _connect_words(error)) from None
    except (httpx.TransportError, ssl.SSLError) as error:
        raise way.fault("cut", f"the answer broke off ({_short(error)})") from None
    except zlib.error:
        raise way.fault("encoding", "the body is not the gzip that its header says") from None
    return Fetched(
        status=response.status_code,
        headers=_kept(response.headers),
        redirects=tuple(way.redirects),
        final_url=str(way.url),
        content_type=response.headers.get("content-type", ""),
        body=body,
        elapsed=way.elapsed + time.monotonic() - began,
        conditional=ask.conditional,
    )


def _headers(ask: Ask) -> dict[str, str]:
    headers = {
        "Accept": "text/html,application/xhtml+xml,text/markdown,text/plain;q=0.9,*/*;q=0.1",
        "Accept-Language": ask.accept_language,
        **ask.headers,
        "User-Agent": ask.user_agent,
        "Accept-Encoding": "gzip",
    }
    if ask.etag:
        headers["If-None-Match"] = ask.etag
    if ask.last_modified:
        headers["If-Modified-Since"] = ask.last_modified
    return headers


async def _body(response: httpx.Response, limits: Limits, way: _Way) -> bytes:
    """The body, inflated in small pieces and counted on both sides."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise way.fault("encoding", f"the body is encoded as {encoding[:40]!r}, which was not asked for")
    inflate = _Inflate() if encoding.endswith("gzip") else None
    parts: list[bytes] = []
    raw = decoded = 0
    async for piece in _raw(response):
        raw += len(piece)
        if raw > limits.raw:
            raise way.fault("size", f"the page is larger than {limits.raw // 1024} KiB")
        for out in inflate.feed(piece) if inflate else (piece,):
            decoded += len(out)
            if decoded > limits.decoded or (decoded > _RATIO_FROM and decoded > raw * _RATIO):
                raise way.fault("bomb", f"the page inflates from {raw} bytes to more than {decoded}")
            parts.append(out)
    if inflate and raw and not inflate.whole:
        raise way.fault("cut", "the compressed body ends before its end")
    return b"".join(parts)


async def _raw(response: httpx.Response) -> AsyncIterator[bytes]:
    async for piece in response.stream:  # type: ignore[union-attr]
        yield piece


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


def _kept(headers: httpx.Headers) -> dict[str, str]:
    return {
        name: "".join(sign for sign in headers[name][:500] if sign.isprintable())
        for name in _KEPT_HEADERS
        if name in headers
    }


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:120]


def _connect_words(error: httpx.ConnectError) -> str:
    words = _short(error)
    if "CERTIFICATE" in words.upper():
        return f"its certificate is not trusted ({words})"
    return words if "name" in words or "answer" in words else f"no connection ({words})"


def retry_after(value: str, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks to wait (a number or a date), at most a day; None for neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_WAIT) if len(value) < 12 else _LONGEST_WAIT
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - (now or datetime.now(UTC))).total_seconds(), 0.0), _LONGEST_WAIT)
