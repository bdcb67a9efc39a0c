"""The daemon's side of the browser step: pages are built by `policywatch-render`, which is asked over its socket.

A rendered page is fetched like any other: in its host's lane, by the rules of robots.txt, hop by hop, since the
service hands back unfollowed what leads to another host. Its text has no validators: nothing is conditional.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx

from policywatchd.collect.fetch import Ask, Fetched, FetchFault, Lane, Limits, parsed, retry_after
from policywatchd.render.wire import PING, Answer, BadLine
from policywatchd.render.wire import Ask as Line

__all__ = ["ADVICE", "AWAY", "Renderer"]

#: The code of a fault that says: no service answers.
AWAY = "render-away"
ADVICE = "needs a browser: start policywatch-render (policywatch doctor says how)"

_HOPS = 5
_CONNECT_WITHIN = 5.0
_AIR = 10.0  # seconds beyond a page's own, for the service to end it and to answer
_PIECE = 256 * 1024
_KEPT = ("content-language", "date", "cache-control", "vary", "server", "retry-after")
#: Faults that the host itself made, which its breaker counts.
_OF_THE_HOST = frozenset({"timeout", "connect", "cut"})


class Renderer:
    """Asks the service at `socket`. A page may wait for its turn there as long as it may take itself."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ping(self) -> Mapping[str, Any] | None:
        """Facts of the service; None where none answers."""
        with contextlib.suppress(FetchFault, ValueError):
            found = json.loads(await self._exchange(PING, _CONNECT_WITHIN, 64 * 1024))
            return found if isinstance(found, dict) else None
        return None

    async def fetch(self, ask: Ask, limits: Limits, lane: Lane, watch: tuple[str, ...] = ()) -> Fetched:
        """The page as a browser builds it. `watch`: selectors whose text must come to rest.

        Raises FetchFault, with code AWAY where no service answers; errors of the lane pass.
        """
        await self._knock()
        redirects: list[dict[str, str | int]] = []
        try:
            url, host, spent = parsed(httpx.URL(ask.url)), "", 0.0
        except (httpx.InvalidURL, ValueError):
            raise FetchFault("the address is none of the web", code="address") from None
        async with AsyncExitStack() as held:
            while True:
                try:
                    if url.host != host:
                        await held.aclose()
                        host = url.host
                        turn = await held.enter_async_context(lane(url))
                    else:
                        await turn.again(url)
                except FetchFault as refusal:
                    raise _fault(refusal.code or "lane", refusal.what, url, redirects, spent) from None
                began = time.monotonic()
                answer = await self._ask(_line(ask, url, limits, watch), limits)
                spent += time.monotonic() - began
                for hop in (
                    answer.redirects
                ):  # within the host the browser went on by itself; its rules hold there too
                    redirects.append(hop)
                    try:
                        await turn.again(httpx.URL(str(hop["to"])))
                    except FetchFault as refusal:
                        raise _fault(refusal.code or "lane", refusal.what, url, redirects, spent) from None
                    except (httpx.InvalidURL, ValueError):
                        raise _fault(
                            "redirect", "a redirect points to no address", url, redirects, spent
                        ) from None
                if answer.status is not None:
                    turn.answered(answer.status, retry_after(answer.headers.get("retry-after", "")))
                if answer.location is not None:
                    target = _target(answer, url, redirects, spent)
                    redirects.append(
                        {"status": answer.status or 200, "from": answer.final_url, "to": str(target)}
                    )
                    url = target
                    continue
                if answer.cause is not None:
                    code = answer.code or "render"
                    if code in _OF_THE_HOST:
                        turn.gave_none(answer.cause)
                    raise _fault(code, answer.cause, url, redirects, spent, answer.status)
                return _fetched(answer, redirects, spent)

    async def _ask(self, line: Line, limits: Limits) -> Answer:
        most = limits.decoded * 4 + _PIECE  # a sign may take several as JSON
        try:
            return Answer.parse(await self._exchange(line.line(), 2 * limits.seconds + _AIR, most))
        except BadLine as bad:
            raise FetchFault(f"the render service answers nonsense: {bad.what}", code="render") from None

    async def _knock(self) -> None:
        """No host is bothered for a page that nobody can build."""
        _, writer = await self._connect()
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(_CONNECT_WITHIN):
                return await asyncio.open_unix_connection(self._socket)
        except (OSError, TimeoutError):
            raise FetchFault(ADVICE, code=AWAY) from None

    async def _exchange(self, line: bytes, within: float, most: int) -> bytes:
        reader, writer = await self._connect()
        try:
            async with asyncio.timeout(within):
                writer.write(line)
                await writer.drain()
                parts, size = [], 0
                while piece := await reader.read(_PIECE):
                    parts.append(piece)
                    size += len(piece)
                    if size > most:
                        raise FetchFault(f"the built page is larger than {most // 1024} KiB", code="size")
        except TimeoutError:
            raise FetchFault(
                f"the render service did not answer within {within:g} s", code="render"
            ) from None
        except OSError:
            raise FetchFault("the render service hung up", code="render") from None
        finally:
            writer.close()
        if not parts or not parts[-1].endswith(b"\n"):
            raise FetchFault("the render service hung up", code="render")
        return b"".join(parts)


def _line(ask: Ask, url: httpx.URL, limits: Limits, watch: tuple[str, ...]) -> Line:
    headers = dict(ask.headers)
    first = httpx.URL(ask.url)
    if (url.scheme, url.host, url.port) == (first.scheme, first.host, first.port):
        headers |= ask.secret
    return Line(
        url=str(url),
        user_agent=ask.user_agent,
        accept_language=ask.accept_language,
        headers=headers,
        timeout=limits.seconds,
        max_bytes=limits.decoded,
        watch=watch,
    )


def _target(answer: Answer, url: httpx.URL, redirects: list[dict[str, str | int]], spent: float) -> httpx.URL:
    """Where the page leads, if that is allowed."""
    try:
        target = parsed(httpx.URL(answer.location or ""))
    except (httpx.InvalidURL, ValueError):
        raise _fault("redirect", "the redirect points to no address", url, redirects, spent) from None
    if target.scheme not in ("http", "https") or not target.host:
        raise _fault("redirect", "the redirect does not point to the web", url, redirects, spent)
    if url.scheme == "https" and target.scheme == "http":
        raise _fault("redirect", "the redirect leads from https to http", url, redirects, spent)
    if len(redirects) >= _HOPS:
        raise _fault("redirect", f"more than {_HOPS} redirects", url, redirects, spent)
    return target


def _fault(
    code: str,
    what: str,
    url: httpx.URL,
    redirects: list[dict[str, str | int]],
    spent: float,
    status: int | None = None,
) -> FetchFault:
    fault = FetchFault(what, code=code)
    fault.status, fault.elapsed = status, spent
    fault.redirects, fault.final_url = tuple(redirects), str(url)
    return fault


def _fetched(answer: Answer, redirects: list[dict[str, str | int]], spent: float) -> Fetched:
    """As a fetch would give it; what was built is HTML in UTF-8, whatever the server had sent, without validators."""
    kind = "text/html; charset=utf-8"
    headers = {name: _printable(answer.headers[name]) for name in _KEPT if name in answer.headers}
    return Fetched(
        status=answer.status or 0,
        headers={"content-type": kind, **headers},
        redirects=tuple(redirects),
        final_url=answer.final_url,
        content_type=kind,
        body=answer.html.encode("utf-8", "replace"),
        elapsed=spent,
        conditional=False,
    )


def _printable(value: str) -> str:
    return "".join(sign for sign in value[:500] if sign.isprintable())
