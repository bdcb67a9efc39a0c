"""One page of a visit: fetched with the validators of its last good capture, read by its rule, judged sound.

Whatever goes wrong is a `Seen` with a fault that says so in a sentence; only a host that asks to wait, and faults
of our own, are raised. Nothing is stored here.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from policywatch.db.collecting import Page
from policywatch.reading.extract import ENGINE, MIN_TEXT
from policywatch.reading.rules import ExtractionError
from policywatch.settings import Fetch
from policywatchd.collect.fetch import Ask, Fetched, FetchFault, Limits, fetch, retry_after
from policywatchd.collect.hosts import Lanes
from policywatchd.collect.seen import Fault, Seen, of_code, of_status
from policywatchd.reader import BoundedError, Reader

__all__ = ["NEEDS_BROWSER", "PageReader", "is_stale", "user_agent"]

log = logging.getLogger("policywatch.collect")

NEEDS_BROWSER = "needs a browser; not rendered in this version"


def user_agent(version: str, contact: str | None) -> str:
    """Who we are, truthfully, and where we can be reached."""
    return f"PolicyWatch/{version} (policy change monitor; {contact or 'no contact given'})"


def is_stale(page: Page) -> bool:
    """Whether the last good capture was read by another rule or engine than today's."""
    return page.good_capture is None or page.good_rule != page.rule_id or page.engine != ENGINE


class PageReader:
    """Fetches and reads pages through one transport, in the lanes of their hosts."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, lanes: Lanes, reader: Reader, settings: Fetch, agent: str
    ) -> None:
        self._transport, self._lanes, self._reader = transport, lanes, reader
        self._language, self._agent = settings.accept_language, agent
        self._limits = Limits(settings.timeout / timedelta(seconds=1), settings.max_raw, settings.max_decoded)

    async def read(self, page: Page) -> Seen:
        """Look at a page. Raises HostBusy where its host asks to wait."""
        if page.render == "always":
            return Seen(page, Fault("failed", "degraded", NEEDS_BROWSER), fetched=False)
        stale = is_stale(page)
        ask = Ask(
            url=page.url,
            user_agent=self._agent,
            accept_language=self._language,
            headers=page.headers,
            etag=None if stale else page.etag,
            last_modified=None if stale else page.last_modified,
        )
        try:
            got = await fetch(self._transport, ask, self._limits, self._lanes.lane)
        except FetchFault as fault:
            return Seen(
                page,
                of_code(fault.code, fault.what),
                status=fault.status,
                redirects=fault.redirects,
                final_url=fault.final_url,
                conditional=ask.conditional,
                elapsed=fault.elapsed,
            )
        seen = Seen(
            page,
            status=got.status,
            headers=got.headers,
            redirects=got.redirects,
            final_url=got.final_url,
            conditional=got.conditional,
            elapsed=got.elapsed,
        )
        if got.status == HTTPStatus.NOT_MODIFIED and got.conditional:
            return seen
        if got.status != HTTPStatus.OK:
            return await self._refused(seen, got)
        return await self._understood(seen, got, stale)

    async def _refused(self, seen: Seen, got: Fetched) -> Seen:
        wait = None
        if got.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            wait = retry_after(got.headers.get("retry-after", ""))
            if wait:
                await self._lanes.ask_later(urlsplit(got.final_url).hostname or "", wait)
        return replace(seen, fault=of_status(got.status), wait=wait)

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
