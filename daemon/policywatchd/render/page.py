"""One page built by the browser: asked for, waited for until its text comes to rest, given back as HTML.

Only what text needs is loaded: pictures, media, fonts and frames are not. Everything goes out through the page's own
proxy (`proxy`). Whatever goes wrong is an answer with a sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from policywatch.errors import ServiceAway
from policywatchd.render.browser import Browser, Lent
from policywatchd.render.proxy import PageProxy
from policywatchd.render.wire import Answer, Ask, host_of

__all__ = ["render"]

log = logging.getLogger("policywatch.render")

_BLOCKED = frozenset({"image", "media", "font", "manifest", "texttrack", "eventsource", "ping"})
_LOOK_EVERY = 0.2  # seconds between two looks at the text
_REST = 0.8  # seconds without a change of the text, with nothing loading
_LONG_REST = 3.0  # the same while something loads, or while there is no text at all
_STUCK = 10.0  # a request that is open so long carries no text (long polling)
_HOPS = 5
_WIRE_FACTOR = 4  # bytes over the wire for a page and its scripts, to bytes of its HTML
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

# Length and hash of the watched text, whether the page is still being parsed, how much is there to look at.
_LOOK = """(watch) => {
  const chosen = watch.flatMap(s => { try { return [...document.querySelectorAll(s)] } catch { return [] } });
  const parts = chosen.length ? chosen : document.body ? [document.body] : [];
  let length = 0, hash = 7;
  for (const part of parts) {
    const text = part.innerText || '';
    length += text.trim().length;
    for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  }
  return [length, hash, document.readyState === 'loading'];
}"""
_SIZE = "() => document.documentElement ? document.documentElement.outerHTML.length : 0"


class _Ended(Exception):
    """The page ends with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


@dataclass(slots=True)
class _View:
    """What was seen of a page by now."""

    ask: Ask
    proxy: PageProxy
    page: Any
    url: str
    hops: list[dict[str, str | int]] = field(default_factory=list)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    committed: bool = False
    leads: str | None = None
    loading: dict[Any, float] = field(default_factory=dict)
    going: Any = None  # the request for the page that is on its way, before any redirect

    def answer(self, code: str | None = None, cause: str | None = None, **more: Any) -> Answer:
        return Answer(self.status, self.url, tuple(self.hops), self.headers, cause=cause, code=code, **more)

    def end(self, code: str, cause: str) -> _Ended:
        return _Ended(self.answer(code, cause))

    def is_elsewhere(self, url: str) -> bool:
        """Another host, or the way from https down to http: not ours to follow."""
        here, there = urlsplit(self.ask.url), urlsplit(url)
        return host_of(url) != host_of(self.ask.url) or (here.scheme, there.scheme) == ("https", "http")

    @property
    def is_quiet(self) -> bool:
        """Whether nothing loads that may still bring text."""
        now = time.monotonic()
        return not any(now - since < _STUCK for since in self.loading.values())


async def render(browser: Browser, gate: httpcore.AsyncNetworkBackend, ask: Ask) -> Answer:
    """Build a page. Never raises for what the page does; ServiceAway where there is no browser."""
    began = time.monotonic()
    async with PageProxy(gate, ask.url, ask.max_bytes * _WIRE_FACTOR) as proxy:
        answer = await _within(browser, proxy, ask)
    return replace(answer, elapsed=round(time.monotonic() - began, 3))


async def _within(browser: Browser, proxy: PageProxy, ask: Ask) -> Answer:
    view: _View | None = None
    try:
        async with asyncio.timeout(ask.timeout), browser.lend(**_options(proxy, ask)) as lent:
            try:
                page = await lent.context.new_page()
                view = _View(ask, proxy, page, ask.url)
                await _listen(lent, view)
                return await _build(view)
            except _Ended as ended:
                return ended.answer
            except ServiceAway:
                raise
            except Exception as error:  # noqa: BLE001 (Playwright's, after the browser died or the page went away)
                return _broken(lent, view or _View(ask, proxy, None, ask.url), error)
    except TimeoutError:
        if view is not None and view.committed:
            return view.answer("unsettled", f"its text did not come to rest within {ask.timeout:g} s")
        seen = view or _View(ask, proxy, None, ask.url)
        return seen.answer("timeout", f"the browser had no page within {ask.timeout:g} s")


def _options(proxy: PageProxy, ask: Ask) -> dict[str, Any]:
    language = ask.accept_language.split(",")[0].split(";")[0].strip()
    return {
        "proxy": {"server": proxy.address, **proxy.login},
        "user_agent": ask.user_agent,
        "locale": language if language and language != "*" else "en",
        "extra_http_headers": {"Accept-Language": ask.accept_language},
        "viewport": {"width": 1280, "height": 2000},
        "reduced_motion": "reduce",
    }


def _broken(lent: Lent, view: _View, error: Exception) -> Answer:
    if lent.took_too_much:
        return view.answer("memory", "the page took more memory than the browser may have")
    if not lent.alive:
        return view.answer("browser", "the browser was ended while it built the page")
    log.info("page_broken host=%s error=%s", host_of(view.ask.url), type(error).__name__)
    return view.answer("page", "the page ended itself while it was built")


async def _listen(lent: Lent, view: _View) -> None:
    page = view.page
    await lent.context.route("**/*", _router(view))
    page.on("request", lambda request: _asked(view, request))
    for event in ("requestfinished", "requestfailed"):
        page.on(event, lambda request: view.loading.pop(request, None))
    page.on("requestfailed", lambda request: _arrived(view, request))
    page.on("response", lambda response: _answered(view, response))
    page.on("dialog", lambda dialog: _aside(dialog.dismiss()))
    lent.context.on("page", lambda other: _aside(other.close()) if other is not page else None)


def _aside(work: Awaitable[Any]) -> None:
    async def done() -> None:
        with contextlib.suppress(Exception):
            await work

    task = asyncio.ensure_future(done())
    _ASIDE.add(task)
    task.add_done_callback(_ASIDE.discard)


_ASIDE: set[asyncio.Future[None]] = set()


def _is_main(view: _View, request: Any) -> bool:
    """Whether the request is for the page itself."""
    try:
        return bool(request.is_navigation_request() and request.frame == view.page.main_frame)
    except Exception:  # noqa: BLE001 (a frame that is not there yet: of a window that the page opens)
        return False


def _router(view: _View) -> Callable[[Any], Awaitable[None]]:
    """Who may go out at all; addresses are the proxy's business."""

    async def route(asked: Any) -> None:
        request = asked.request
        with contextlib.suppress(Exception):  # the page may be gone by now
            if _is_main(view, request):
                if view.is_elsewhere(request.url):
                    view.leads = request.url
                    await asked.abort("blockedbyclient")
                    return
                view.going = request
                await view.proxy.leave()
                await asked.continue_(headers={**await request.all_headers(), **view.ask.headers})
            elif (
                request.resource_type in _BLOCKED
                or request.is_navigation_request()
                or urlsplit(request.url).scheme not in ("http", "https")
            ):
                await asked.abort("blockedbyclient")
            else:
                await asked.continue_()

    return route


def _arrived(view: _View, request: Any) -> None:
    """The page's own request has its answer, or none; what the page loads may go out from now on."""
    while request.redirected_from is not None:
        request = request.redirected_from
    if request is view.going:
        view.going, view.proxy.navigating = None, False


def _asked(view: _View, request: Any) -> None:
    if request.resource_type not in _BLOCKED:
        view.loading[request] = time.monotonic()


def _answered(view: _View, response: Any) -> None:
    if not _is_main(view, response.request):
        return
    location = response.headers.get("location")
    if response.status in _REDIRECTS and location:
        target = urljoin(response.url, location)
        if view.is_elsewhere(target):
            view.status, view.url, view.leads = response.status, response.url, target
        else:
            view.hops.append({"status": response.status, "from": response.url, "to": target})
        return
    _arrived(view, response.request)
    view.status, view.url, view.headers = response.status, response.url, dict(response.headers)


async def _build(view: _View) -> Answer:
    ask = view.ask
    try:
        await view.page.goto(ask.url, wait_until="commit", timeout=0)
    except Exception as error:
        _why_nothing_came(view, error)
        raise
    view.committed = True
    _elsewhere(view)
    if len(view.hops) > _HOPS:
        raise view.end("redirect", f"more than {_HOPS} redirects")
    if view.status != 200:
        return view.answer()
    kind = view.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    if kind not in ("", "text/html", "application/xhtml+xml"):
        raise view.end("kind", f"the address gives {kind[:60]}, which needs no browser")
    await _settle(view)
    size = await view.page.evaluate(_SIZE)
    if size > ask.max_bytes:
        raise view.end("size", f"the built page is larger than {ask.max_bytes // 1024} KiB")
    html = await view.page.content()
    _elsewhere(view)
    return view.answer(html=html)


def _elsewhere(view: _View) -> None:
    if view.leads is not None:
        raise _Ended(view.answer(location=view.leads))


def _why_nothing_came(view: _View, error: Exception) -> None:
    """Say why, where it is known; else the error goes on."""
    _elsewhere(view)
    if view.proxy.overrun:
        raise view.end("size", "the page loads more bytes than it may")
    fault = view.proxy.faults.get(host_of(view.ask.url))
    if fault is not None:
        raise view.end(*fault)
    words = str(error)
    if "ERR_CERT" in words or "ERR_SSL" in words:
        raise view.end("connect", "its certificate is not trusted")
    if "Download is starting" in words:
        raise view.end("kind", "the address gives a file, which needs no browser")
    if "ERR_TOO_MANY_REDIRECTS" in words:
        raise view.end("redirect", f"more than {_HOPS} redirects")
    if "net::ERR_" in words:
        raise view.end("cut", "the page did not come whole")


async def _settle(view: _View) -> None:
    """Wait until the text rests; the deadline stands over all. Raises _Ended where the page leads away."""
    last: tuple[int, int] | None = None
    since = time.monotonic()
    while True:
        _elsewhere(view)
        if view.proxy.overrun:
            raise view.end("size", "the page loads more bytes than it may")
        look = await _look(view)
        now = time.monotonic()
        if look is None or look[:2] != last:
            last, since = (look[:2] if look else None), now
        elif not look[2]:
            rest = _REST if view.is_quiet and look[0] > 0 else _LONG_REST
            if now - since >= rest:
                return
        await asyncio.sleep(_LOOK_EVERY)


async def _look(view: _View) -> tuple[int, int, bool] | None:
    """The text as it is now; None while the page goes from one document to the next."""
    try:
        length, hash_, parsing = await view.page.evaluate(_LOOK, list(view.ask.watch))
    except Exception as error:
        if "context was destroyed" in str(error) or "navigat" in str(error):
            return None
        raise
    return int(length), int(hash_), bool(parsing)
