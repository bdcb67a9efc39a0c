"""The ladder: by which step a page is read. Plain HTTP first, then a browser, and the step that worked is remembered.

A page climbs where its plain answer is only the shell that scripts fill: its declared part is missing there, or is a
few words. It is looked at by plain HTTP again once a
week, since pages lose their scripts too. (The third step, an archive followed live, is a document's and not a page's:
see `archives`.)
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Literal

from policywatch.db.collecting import Page
from policywatchd.collect.hosts import patiently
from policywatchd.collect.page import PageReader
from policywatchd.collect.render import Renderer
from policywatchd.collect.seen import Fault, Seen
from policywatchd.reader import BoundedError, Reader

__all__ = ["ALWAYS", "OFF", "Ladder", "first_step"]

log = logging.getLogger("policywatch.collect")

_SHORT = 1500  # characters: the words around a shell may look like a text

Step = Literal["http", "browser"]

OFF = "needs a browser, and fetch.render is off"
ALWAYS = "its settings say render: always"


def first_step(render: str, step: str, *, plain_due: bool) -> Step:
    """Where a look begins. `step`: what read the page last; `plain_due`: a week without a look by plain HTTP."""
    if render == "always":
        return "browser"
    if render == "never" or step != "browser" or plain_due:
        return "http"
    return "browser"


def may_climb(seen: Seen) -> bool:
    """Whether a plain look leaves the question open: a page came whole, and its text was not in it, or is short."""
    if seen.status != HTTPStatus.OK:
        return False
    if seen.fault is not None:
        return seen.fault.state == "suspect" and seen.text is None
    return seen.text is not None and len(seen.text) < _SHORT


class Ladder:
    """Reads pages for visits. `renderer` None: the browser step is switched off."""

    def __init__(self, pages: PageReader, reader: Reader, renderer: Renderer | None) -> None:
        self._pages, self._reader, self._renderer = pages, reader, renderer

    async def read(self, page: Page) -> Seen:
        """Look at a page by the step that fits. Raises HostBusy where its host asks to wait."""
        if first_step(page.render, page.step, plain_due=page.plain_due) == "browser":
            reason = ALWAYS if page.render == "always" else page.step_reason
            return await self._built(page, reason)
        seen = await self._pages.read(page)
        if page.render == "never" or not may_climb(seen):
            return seen
        reason = await self._shell(seen)
        if reason is None:
            return seen
        log.info("page_climbs page=%d reason=%s", page.id, reason)
        built = await patiently(partial(self._built, page, reason))
        known = page.step == "browser"  # it was built before, so what comes without scripts is its shell
        if seen.text is not None and (built.text == seen.text or not (built.fetched or known)):
            return seen  # a short page, and no more than that, as far as is known
        if not built.fetched:
            # Nobody to build it: the look itself is kept, and says nothing of the page's text.
            return replace(seen, fault=built.fault, text=None, raw=None)
        return replace(built, plain=reason)

    async def _built(self, page: Page, reason: str | None) -> Seen:
        if self._renderer is None:
            return Seen(
                page, Fault("failed", "degraded", OFF), step="browser", step_reason=reason, fetched=False
            )
        seen = await self._pages.read(page, self._renderer)
        return replace(seen, step_reason=reason)

    async def _shell(self, seen: Seen) -> str | None:
        """Why a browser is needed for the page; None where it would show nothing else."""
        body = seen.raw if seen.raw is not None else b""
        try:
            return await self._reader.shell(body, seen.headers.get("content-type", ""))
        except BoundedError:
            return None
