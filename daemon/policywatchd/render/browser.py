"""The browser itself: started when a page asks for it, replaced after so many pages, ended when it takes too much.

The one home of Playwright. Each page gets a context of its own, which shares nothing with any other and forgets all.
What happens within a page is the business of `page`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policywatch.errors import ServiceAway
from policywatchd.render import memory

__all__ = ["Browser", "Lent", "Limits", "find_chromium"]

log = logging.getLogger("policywatch.render")

_LOOK_EVERY = 0.1  # seconds between two looks at the memory while a page is built
_CLOSE_WITHIN = 5.0
_LAUNCH_WITHIN = 60.0
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
# The browser's own traffic finds a proxy at which nobody listens; each page brings a proxy of its own.
_ARGUMENTS = (
    "--proxy-server=http://127.0.0.1:1",
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-gpu",
    "--disable-remote-fonts",
    "--disable-sync",
    "--no-pings",
    "--mute-audio",
    "--dns-prefetch-disable",
    "--renderer-process-limit=4",
)

_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/{}.0.0.0 Safari/537.36 {}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a browser may take: bytes of memory of all its processes; pages until it is replaced."""

    memory: int = 1536 * 1024 * 1024
    pages: int = 50


@dataclass(slots=True)
class _Running:
    """One started browser. `over`: it was ended because it took too much memory."""

    driver: Any
    chromium: Any
    pid: int | None
    pages: int = 0
    open: int = 0
    over: bool = False

    @property
    def alive(self) -> bool:
        return bool(self.chromium.is_connected())


@dataclass(frozen=True, slots=True)
class Lent:
    """A fresh context in a running browser, for one page."""

    context: Any
    running: _Running

    @property
    def took_too_much(self) -> bool:
        """Whether the browser was ended for its memory."""
        return self.running.over

    @property
    def alive(self) -> bool:
        """Whether the browser still runs."""
        return self.running.alive


def find_chromium(named: str | None = None) -> str:
    """The browser's program: the named one, else the first that the system has. Raises ServiceAway."""
    for program in (named,) if named else _PROGRAMS:
        if (found := shutil.which(program)) is not None:
            return found
    raise ServiceAway(
        f"There is no browser here ({named or 'chromium'}).",
        remedy="Install one (Debian: apt-get install chromium), or name it: policywatch-render --chromium PATH",
    )


def _playwright() -> Any:
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        raise ServiceAway(
            "Playwright, which drives the browser, is not installed.",
            remedy="Install the extra: pip install 'policywatch[render]'",
        ) from None
    return async_playwright()


class Browser:
    """Lends contexts, one for each page; keeps a browser running between pages.

    `sandbox` False is for containers that give no user namespaces: the browser's own walls are then missing.
    """

    def __init__(
        self, program: str | None = None, *, limits: Limits | None = None, sandbox: bool = True
    ) -> None:
        self._program, self._limits, self._sandbox = find_chromium(program), limits or Limits(), sandbox
        self._running: _Running | None = None
        self._starting = asyncio.Lock()
        self.started = 0

    @property
    def version(self) -> str:
        """The version of the browser that runs; empty before the first page."""
        return str(self._running.chromium.version) if self._running is not None else ""

    @property
    def pid(self) -> int | None:
        """The process of the browser that runs."""
        return self._running.pid if self._running is not None else None

    @asynccontextmanager
    async def lend(self, user_agent: str, **options: Any) -> AsyncIterator[Lent]:
        """A fresh context with these options. Raises ServiceAway where no browser starts.

        `user_agent` is added to the browser's own words: it says both what it is and whose it is.
        """
        running = await self._current()
        running.pages += 1
        running.open += 1
        watch = asyncio.create_task(self._watch(running))
        context = None
        try:
            context = await running.chromium.new_context(
                user_agent=_AGENT.format(running.chromium.version.partition(".")[0], user_agent),
                service_workers="block",
                accept_downloads=False,
                permissions=[],
                **options,
            )
            context.set_default_timeout(0)
            yield Lent(context, running)
        finally:
            watch.cancel()
            running.open -= 1
            await self._give_back(running, context)

    async def close(self) -> None:
        """End the browser."""
        running, self._running = self._running, None
        if running is not None:
            await self._end(running)

    async def _current(self) -> _Running:
        """The browser for the next page: the one that runs, or a new one where that is worn or gone."""
        async with self._starting:
            running = self._running
            if running is not None and running.alive and running.pages < self._limits.pages:
                return running
            self._running = None
            if running is not None and running.open == 0:
                await self._end(running)
            self._running = await self._start()
            return self._running

    async def _start(self) -> _Running:
        before = memory.browsers()
        driver = None
        try:
            async with asyncio.timeout(_LAUNCH_WITHIN):
                driver = await _playwright().start()
                chromium = await driver.chromium.launch(
                    executable_path=self._program,
                    headless=True,
                    chromium_sandbox=self._sandbox,
                    handle_sigint=False,
                    handle_sigterm=False,
                    handle_sighup=False,
                    args=[*_ARGUMENTS, f"--js-flags=--max-old-space-size={self._limits.memory // 2 >> 20}"],
                )
        except ServiceAway:
            raise
        except Exception as error:  # noqa: BLE001 (Playwright's errors have no common home outside this module)
            if driver is not None:
                with contextlib.suppress(Exception):
                    await driver.stop()
            raise ServiceAway(
                f"The browser {self._program} does not start: {_first_line(error)}",
                remedy="Try it by hand as the service's account; without user namespaces see --no-sandbox.",
            ) from None
        self.started += 1
        new = memory.browsers() - before
        log.info("browser_started version=%s number=%d", chromium.version, self.started)
        return _Running(driver, chromium, min(new) if new else None)

    async def _give_back(self, running: _Running, context: Any) -> None:
        """Close the context; a browser that does not obey, or that was replaced meanwhile, is ended."""
        obeys = True
        if context is not None and running.alive:
            try:
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await context.close()
            except Exception:  # noqa: BLE001 (whatever it is: this browser is not used again)
                obeys = False
        if not obeys or not running.alive or (running is not self._running and running.open == 0):
            if self._running is running:
                self._running = None
            await self._end(running)

    async def _end(self, running: _Running) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_WITHIN):
                await running.chromium.close()
        if (
            running.pid is not None
            and Path(f"/proc/{running.pid}").exists()
            and running.pid in memory.browsers()
        ):
            memory.kill(running.pid)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_WITHIN):
                await running.driver.stop()

    async def _watch(self, running: _Running) -> None:
        """End the browser as soon as it takes more than its limit."""
        while running.pid is not None and running.alive:
            if memory.taken(running.pid) > self._limits.memory:
                running.over = True
                log.warning("browser_took_too_much limit=%d", self._limits.memory)
                memory.kill(running.pid)
                return
            await asyncio.sleep(_LOOK_EVERY)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
