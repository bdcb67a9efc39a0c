"""The service on its Unix socket: one request a connection, a few pages at the same time, the others wait.

Whoever hangs up is forgotten, with the page that was built for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import stat
from pathlib import Path

import httpcore

from policywatch.errors import PolicyWatchError, ServiceAway
from policywatchd.render.browser import Browser
from policywatchd.render.page import render
from policywatchd.render.wire import LINE, PING, Answer, Ask, BadLine, host_of

__all__ = ["Server"]

log = logging.getLogger("policywatch.render")

_LINE_WITHIN = 10.0
_LONGEST_PATH = 107  # bytes of a socket's path that Linux takes


class Server:
    """Serves `socket` until closed. `pages`: how many are built at the same time; `mode` of the socket."""

    def __init__(
        self,
        socket: Path,
        browser: Browser,
        gate: httpcore.AsyncNetworkBackend,
        *,
        pages: int = 2,
        mode: int = 0o600,
    ) -> None:
        self._socket, self._browser, self._gate, self._mode = socket, browser, gate, mode
        self._places = asyncio.Semaphore(pages)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.rendered = 0

    async def start(self) -> None:
        """Listen. Raises ServiceAway where the socket cannot be made, or another service has it."""
        if len(os.fsencode(self._socket)) > _LONGEST_PATH:
            raise ServiceAway(
                f"The path of the socket is longer than {_LONGEST_PATH} bytes.",
                remedy="Choose a shorter fetch.render_socket.",
            )
        await self._clear()
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._accept, self._socket, limit=LINE)
        except OSError as error:
            raise ServiceAway(
                f"The socket {self._socket} cannot be made: {error.strerror}.",
                remedy="Name one whose folder this account may write: policywatch-render --socket PATH",
            ) from None
        finally:
            os.umask(before)
        self._socket.chmod(self._mode)

    async def close(self) -> None:
        """End all pages and the socket; the browser is of whoever made it."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                self._socket.unlink()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _clear(self) -> None:
        """Remove a socket that nobody serves any more; nothing else that lies there."""
        try:
            if not stat.S_ISSOCK(self._socket.lstat().st_mode):
                raise ServiceAway(f"{self._socket} is there and is no socket.")
        except FileNotFoundError:
            return
        try:
            _, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            self._socket.unlink(missing_ok=True)
            return
        writer.close()
        raise ServiceAway(f"Another service answers at {self._socket} already.")

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_LINE_WITHIN):
                line = await reader.readline()
        except (TimeoutError, ValueError):
            return
        if not line:
            return  # only wanted to know whether we are here
        if line == PING:
            facts = {
                "browser": self._browser.version,
                "rendered": self.rendered,
                "started": self._browser.started,
            }
            writer.write(json.dumps(facts).encode() + b"\n")
            await writer.drain()
            return
        try:
            ask = Ask.parse(line)
        except BadLine as bad:
            writer.write(Answer(cause=bad.what, code="request").line())
            await writer.drain()
            return
        work = asyncio.create_task(self._render(ask))
        gone = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                writer.write(work.result().line())
                await writer.drain()
            else:
                log.info("asker_gone host=%s", host_of(ask.url))
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _render(self, ask: Ask) -> Answer:
        try:
            async with asyncio.timeout(ask.timeout):
                await self._places.acquire()
        except TimeoutError:
            return Answer(cause="the browser has too many pages to build", code="busy", final_url=ask.url)
        try:
            answer = await render(self._browser, self._gate, ask)
        except PolicyWatchError as error:
            log.error("browser_away what=%s", error.what)
            return Answer(cause=error.what, code="browser", final_url=ask.url)
        finally:
            self._places.release()
        self.rendered += 1
        log.info(
            "page_rendered host=%s status=%s code=%s seconds=%.1f",
            host_of(ask.url),
            answer.status,
            answer.code or "ok",
            answer.elapsed,
        )
        return answer
