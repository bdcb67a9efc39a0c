"""The browser's only way out: a forward proxy on loopback whose connections all pass the wall.

The browser resolves nothing and connects to nobody but us; each connection that it asks for is resolved, checked and
made by the wall, so that neither a name that answers twice nor an address in a script leads anywhere else. A proxy
lives as long as one page: it counts the page's bytes and ends with it. While the page itself is on its way
(`navigating`), only its own host is open: a redirect to another host is for whoever asked to decide, with robots.txt
and lane of that host, and no header meant for one host reaches the next. Only who knows the page's word is served: the
port is open to every program of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Coroutine
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpcore

from policywatchd.collect.wall import WallRefusal
from policywatchd.render.wire import host_of

__all__ = ["PageProxy"]

_HEAD = 64 * 1024
_HEAD_WITHIN = 30.0  # seconds
_CONNECT_WITHIN = 20.0
_PIECE = 64 * 1024
_USER = "page"
_WHO = (
    b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="page"\r\n'
    b"Content-Length: 0\r\nConnection: close\r\nProxy-Connection: close\r\n\r\n"
)
_DROPPED = frozenset({b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive"})


class _Refused(Exception):
    """Nothing is sent for this request."""


class PageProxy:
    """The way out for one page. `faults`: why a host could not be reached, as (code, sentence)."""

    def __init__(self, gate: httpcore.AsyncNetworkBackend, url: str, limit: int) -> None:
        """`gate` makes the connections; `limit`: most bytes that may come in for the page and all it loads."""
        self._gate, self._limit = gate, limit
        self._host, self._secure = host_of(url), urlsplit(url).scheme == "https"
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._hosts: dict[asyncio.Task[None], str] = {}  # to which each open connection leads
        self._word = secrets.token_urlsafe(24)
        self.navigating = True
        self.received = 0
        self.faults: dict[str, tuple[str, str]] = {}

    @property
    def address(self) -> str:
        """Where the browser reaches it."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def login(self) -> dict[str, str]:
        """User and password that the browser is to give."""
        return {"username": _USER, "password": self._word}

    @property
    def authorization(self) -> str:
        """The same as a header has it."""
        return f"Basic {b64encode(f'{_USER}:{self._word}'.encode()).decode()}"

    async def leave(self) -> None:
        """The page goes on its way: its own host alone is open, also in tunnels that were there already."""
        self.navigating = True
        others = [task for task, host in self._hosts.items() if host != self._host]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    @property
    def overrun(self) -> bool:
        """Whether the page wanted more bytes than its limit."""
        return self.received > self._limit

    async def __aenter__(self) -> PageProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._cut()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _cut(self) -> None:
        for task in tuple(self._open):
            if task is not asyncio.current_task():
                task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(_Refused, OSError, asyncio.CancelledError, httpcore.NetworkError):
                await self._serve(reader, writer)
        finally:
            self._open.discard(task)
            self._hosts.pop(task, None)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_WITHIN):
                head = await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        method, target, lines = _split(head)
        if not self._is_known(lines):
            writer.write(_WHO)
            await writer.drain()
            return
        if method == "CONNECT":
            host, port = _authority(target)
            server = await self._connect(host, port, secure=True)
            try:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._both(reader, writer, server)
            finally:
                await server.aclose()
            return
        host, port, path = _absolute(target)
        body = _body_length(lines)
        server = await self._connect(host, port, secure=False)
        try:
            await server.write(_origin_form(method, path, lines))
            while body:
                piece = await reader.read(min(body, _PIECE))
                if not piece:
                    return
                await server.write(piece)
                body -= len(piece)
            await self._until_either_ends(reader, writer, server)
        finally:
            await server.aclose()

    def _is_known(self, lines: list[bytes]) -> bool:
        """Whether the page's own browser asks."""
        said = [
            value.strip()
            for name, _, value in (line.partition(b":") for line in lines)
            if name.strip().lower() == b"proxy-authorization"
        ]
        return len(said) == 1 and hmac.compare_digest(said[0], self.authorization.encode())

    async def _connect(self, host: str, port: int, *, secure: bool) -> httpcore.AsyncNetworkStream:
        if self.overrun:
            raise _Refused
        if self.navigating and (host != self._host or (self._secure and not secure)):
            raise _Refused
        if (task := asyncio.current_task()) is not None:
            self._hosts[task] = host
        try:
            return await self._gate.connect_tcp(host, port, _CONNECT_WITHIN)
        except WallRefusal as refusal:
            self.faults.setdefault(host, ("wall", refusal.what))
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            self.faults.setdefault(host, ("connect", str(error)[:200] or "no connection"))
        raise _Refused

    async def _both(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: httpcore.AsyncNetworkStream
    ) -> None:
        """A tunnel, until one side ends."""
        await _first_of(self._up(reader, server), self._down(server, writer))

    async def _until_either_ends(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: httpcore.AsyncNetworkStream
    ) -> None:
        """One answer in clear text: nothing more goes up, since a second request may be for another host."""
        await _first_of(_gone(reader), self._down(server, writer))

    async def _up(self, reader: asyncio.StreamReader, server: httpcore.AsyncNetworkStream) -> None:
        while piece := await reader.read(_PIECE):
            await server.write(piece)

    async def _down(self, server: httpcore.AsyncNetworkStream, writer: asyncio.StreamWriter) -> None:
        while piece := await server.read(_PIECE):
            self.received += len(piece)
            if self.overrun:
                self._cut()
                return
            writer.write(piece)
            await writer.drain()


async def _gone(reader: asyncio.StreamReader) -> None:
    await reader.read(1)


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run both until the first ends; the other is cancelled. Errors of the first are raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _split(head: bytes) -> tuple[str, str, list[bytes]]:
    first, *lines = head[:-4].split(b"\r\n")
    parts = first.split(b" ")
    if len(parts) != 3:
        raise _Refused
    return parts[0].decode("ascii", "replace"), parts[1].decode("ascii", "replace"), lines


def _authority(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    if not host or not port.isdigit() or len(port) > 5:
        raise _Refused
    return host.strip("[]").lower(), int(port)


def _absolute(target: str) -> tuple[str, int, str]:
    try:
        parts = urlsplit(target)
        host, port = (parts.hostname or "").lower(), parts.port or 80
    except ValueError:
        raise _Refused from None
    if parts.scheme != "http" or not host:
        raise _Refused
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, port, path


def _body_length(lines: list[bytes]) -> int:
    for line in lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            try:
                return max(0, int(value))
            except ValueError:
                raise _Refused from None
        if name.strip().lower() in (b"transfer-encoding", b"upgrade"):
            raise _Refused
    return 0


def _origin_form(method: str, path: str, lines: list[bytes]) -> bytes:
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in _DROPPED]
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *kept, b"Connection: close", b"", b""])
