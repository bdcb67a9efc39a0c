"""Pages that scripts build, on loopback, under names that end in .test; and a browser to build them with.

Helpers of the tests of the browser step. `NEIGHBOUR` is a service that no page may reach; it counts who connects.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from policywatch.errors import ServiceAway
from policywatchd.collect.wall import Gate
from policywatchd.render.browser import Browser, Limits, find_chromium
from policywatchd.render.server import Server

__all__ = [
    "POLICY",
    "Neighbour",
    "ScriptWeb",
    "browser_for_tests",
    "lacking",
    "neighbour",
    "rendering",
    "script_page",
    "web",
]

POLICY = [
    f"Rule {number}. You must not sell what others wrote, and we may end your account for it."
    for number in range(1, 9)
]


def script_page(script: str, *, before: str = "") -> str:
    """A page with nothing in it but a root and a script."""
    return (
        "<!doctype html><html><head><title>Terms</title></head><body>"
        f'{before}<noscript>You need to enable JavaScript to run this app.</noscript><div id="root"></div>'
        f"<script>{script}</script></body></html>"
    )


_BUILT = f"""
setTimeout(() => {{
  const main = document.createElement('main');
  for (const rule of {POLICY!r}) {{ const p = document.createElement('p'); p.textContent = rule; main.append(p); }}
  document.getElementById('root').append(main);
}}, 150);
"""
#: A page whose text a script builds a moment after it came.
BUILT = script_page(_BUILT)


@dataclass
class Request:
    """What the web was asked."""

    host: str
    path: str
    headers: Mapping[str, str]


@dataclass
class ScriptWeb:
    """Answers every name with what `pages` says of (host, path); remembers what it was asked."""

    pages: dict[tuple[str, str], str | tuple[int, dict[str, str], str]] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    def paths(self, host: str = "x.test") -> list[str]:
        """What of a host was asked for, in order."""
        return [one.path for one in self.asked if one.host == host]

    async def resolve(self, host: str, port: int) -> list[tuple[str, int]]:
        """Names in .test live here; addresses are what they are."""
        if host.endswith(".test"):
            return [("127.0.0.1", self.port)]
        if host.replace(".", "").isdigit() or ":" in host:
            return [(host, port)]
        if host == "localhost":
            return [("127.0.0.1", port)]
        raise OSError(f"{host} does not exist")

    @property
    def allowed(self) -> frozenset[tuple[str, int]]:
        """The one address on loopback that the wall lets through."""
        return frozenset({("127.0.0.1", self.port)})

    def gate(self) -> Gate:
        """The wall of the browser's proxy, open to this web alone."""
        return Gate(self.resolve, self.allowed)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
            host, path = headers["host"].partition(":")[0], first.split()[1]
            self.asked.append(Request(host, path, headers))
            if path.startswith("/held"):
                self.reached.set()
                await self.hold.wait()
            found = self.pages.get((host, path), (404, {}, "not here"))
            status, more, body = found if isinstance(found, tuple) else (200, {}, found)
            told = {"Content-Type": "text/html; charset=utf-8", **more, "Connection": "close"}
            content = body.encode()
            head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            writer.write(
                f"HTTP/1.1 {status} Told\r\n{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
            )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def web() -> AsyncIterator[ScriptWeb]:
    """A running web."""
    opened = ScriptWeb()
    server = await asyncio.start_server(opened.answer, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        opened.hold.set()
        server.close()


@dataclass
class Neighbour:
    """Something on this machine that no page may reach, by TCP or UDP."""

    port: int = 0
    connects: int = 0


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, seen: Neighbour) -> None:
        self._seen = seen

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._seen.connects += 1


@asynccontextmanager
async def neighbour(address: str = "127.0.0.1") -> AsyncIterator[Neighbour]:
    """A listener that counts who connects."""
    seen = Neighbour()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connects += 1
        writer.close()

    server = await asyncio.start_server(answer, address, 0)
    seen.port = server.sockets[0].getsockname()[1]
    datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(seen), local_addr=(address, seen.port)
    )
    try:
        yield seen
    finally:
        server.close()
        datagrams.close()


@asynccontextmanager
async def rendering(socket: Path, web: ScriptWeb, browser: Browser, *, pages: int = 2) -> AsyncIterator[None]:
    """A render service at a socket, its wall open to `web` alone."""
    server = Server(socket, browser, web.gate(), pages=pages)
    await server.start()
    try:
        yield
    finally:
        await server.close()


def lacking() -> str:
    """What is missing for a browser; empty where nothing is."""
    try:
        import playwright  # noqa: F401

        find_chromium()
    except ImportError:
        return "Playwright is not installed"
    except ServiceAway as away:
        return away.what
    return ""


def browser_for_tests(limits: Limits | None = None) -> Browser:
    """A browser; the test is skipped where there is none, or fails under REQUIRE_ALL.

    Its own sandbox refuses root; only here, with pages of our own, it runs without.
    """
    if missing := lacking():
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail(missing)
        pytest.skip(missing)
    return Browser(limits=limits, sandbox=os.geteuid() != 0)
