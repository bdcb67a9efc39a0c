"""One page of a visit: fetched with the validators of its last good capture, read by its rule, judged sound.

Whatever goes wrong is a `Seen` with a fault that says so in a sentence; only a host that asks to wait, and faults
of our own, are raised. Nothing is stored here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from policywatch.db.collecting import Page
from policywatch.errors import PolicyWatchError
from policywatch.reading.extract import ENGINE, MIN_TEXT
from policywatch.reading.rules import ExtractionError
from policywatch.settings import Fetch
from policywatch.settings.catalogue import CREDENTIAL_MARK
from policywatchd.collect.fetch import Ask, Fetched, FetchFault, Limits, Transport, fetch
from policywatchd.collect.render import AWAY, Renderer
from policywatchd.collect.robots import Passage, Robots
from policywatchd.collect.seen import Fault, Seen, of_code, of_status
from policywatchd.reader import BoundedError, Reader

__all__ = ["PageReader", "Secret", "is_stale", "user_agent"]

log = logging.getLogger("policywatch.collect")

_LARGE_AT_ONCE = 3  # bodies beyond 1 MiB that are read at the same time

NEEDS_BROWSER = "needs a browser; not rendered in this version"


def user_agent(version: str, contact: str | None) -> str:
    """Who we are, truthfully, and where we can be reached."""
    return f"PolicyWatch/{version} (policy change monitor; {contact or 'no contact given'})"


def is_stale(page: Page) -> bool:
    """Whether the last good capture was read by another rule or engine than today's."""
    return page.good_capture is None or page.good_rule != page.rule_id or page.engine != ENGINE


#: The value of a credential of a platform, by their names.
Secret = Callable[[str, str], Awaitable[str]]


class PageReader:
    """Fetches and reads pages through one transport, past robots.txt and in the lanes of their hosts.

    `secret` gives the values of credentials; without it a page that needs one is not fetched.
    """

    def __init__(
        self,
        transport: Transport,
        robots: Robots,
        reader: Reader,
        settings: Fetch,
        agent: str,
        *,
        secret: Secret | None = None,
    ) -> None:
        self._transport, self._robots, self._reader, self._secret = transport, robots, reader, secret
        self._language, self._agent = settings.accept_language, agent
        self._full = settings.full_fetch / timedelta(seconds=1)
        self._limits = Limits(
            settings.timeout / timedelta(seconds=1),
            settings.max_raw,
            settings.max_decoded,
            large=asyncio.Semaphore(_LARGE_AT_ONCE),
        )

    async def read(self, page: Page, browser: Renderer | None = None) -> Seen:
        """Look at a page, by plain HTTP or as a browser builds it. Raises HostBusy where its host asks to wait."""
        stale, step = is_stale(page), "http" if browser is None else "browser"
        bare = stale or browser is not None or self._is_full_due(page)
        passage = self._robots.passage(overridden=page.overridden)
        try:
            plain, secret = await self._headers(page)
            ask = Ask(
                url=page.url,
                user_agent=self._agent,
                accept_language=self._language,
                headers=plain,
                etag=None if bare else page.etag,
                last_modified=None if bare else page.last_modified,
                secret=secret,
            )
            if browser is None:
                got = await fetch(self._transport, ask, self._limits, passage.lane)
            else:
                got = await browser.fetch(ask, self._limits, passage.lane, _watched(page))
        except FetchFault as fault:
            return replace(_unanswered(page, fault, passage), step=step)
        seen = Seen(
            page,
            status=got.status,
            headers=got.headers,
            redirects=got.redirects,
            final_url=got.final_url,
            conditional=got.conditional,
            elapsed=got.elapsed,
            robots=passage.verdict,
            egress=got.egress,
            moved_to=got.moved_to if got.redirects else None,
            step=step,
        )
        if got.status == HTTPStatus.NOT_MODIFIED and got.conditional:
            return seen
        if got.status != HTTPStatus.OK:
            wait = passage.turn.wait if passage.turn else None
            return replace(seen, fault=of_status(got.status), wait=wait, moved_to=None)
        return await self._understood(seen, got, stale)

    def _is_full_due(self, page: Page) -> bool:
        """Whether the page is to be fetched whole: each at its own share of the longest time, never all on one day."""
        return page.full_age is None or page.full_age > self._full * (0.7 + page.id * 37 % 100 / 100 * 0.22)

    async def _headers(self, page: Page) -> tuple[Mapping[str, str], dict[str, str]]:
        """The headers for everybody, and those that carry the page's credential."""
        if page.credential is None:
            return page.headers, {}
        try:
            if self._secret is None:
                raise PolicyWatchError("No credential can be used here.")
            value = await self._secret(page.platform, page.credential)
        except PolicyWatchError as error:
            raise FetchFault(error.what, code="credential", remedy=error.remedy) from None
        if not value.isascii() or not value.isprintable() or value != value.strip():
            what = f"the credential {page.platform}/{page.credential} holds signs that no header can carry"
            raise FetchFault(what, code="credential")
        marked = {name: text for name, text in page.headers.items() if CREDENTIAL_MARK in text}
        plain = {name: text for name, text in page.headers.items() if name not in marked}
        return plain, {name: text.replace(CREDENTIAL_MARK, value) for name, text in marked.items()}

    async def _understood(self, seen: Seen, got: Fetched, stale: bool) -> Seen:
        page = seen.page
        if not got.body.strip():
            return replace(seen, fault=Fault("suspect", "needs-rules", "the page is empty"))
        if not stale and hashlib.sha256(got.body).digest() == page.raw_sha256:
            return seen
        seen = replace(seen, raw=got.body)
        try:
            text = await self._reader.extract(got.body, got.content_type, page.rule, got.final_url)
        except ExtractionError as error:
            return replace(seen, fault=Fault("suspect", "needs-rules", error.what))
        except BoundedError as error:
            log.warning("parser_gave_up page=%d reason=%s", page.id, error.reason)
            cause = f"the page cannot be parsed within its limits ({error.reason})"
            return replace(seen, fault=Fault("suspect", "needs-rules", cause))
        if len(text.strip()) < MIN_TEXT:
            cause = f"the declared part of the page holds only {len(text.strip())} characters"
            return replace(seen, fault=Fault("suspect", "needs-rules", cause))
        return replace(seen, text=text)


def _watched(page: Page) -> tuple[str, ...]:
    """The selectors whose text is to come to rest before a built page is taken."""
    return tuple(one for one in page.rule.get("select", ()) if isinstance(one, str))


def _unanswered(page: Page, fault: FetchFault, passage: Passage) -> Seen:
    """A look that brought no whole answer; one that was never made leaves no capture."""
    made = fault.status is not None or fault.code not in ("robots", "robots-unknown", "credential", AWAY)
    return Seen(
        page,
        of_code(fault.code or "", fault.what),
        status=fault.status,
        redirects=fault.redirects,
        final_url=fault.final_url or None,
        elapsed=fault.elapsed,
        fetched=made,
        robots=passage.verdict,
    )
