"""The trial of a rule: two fetches, one after the other, that must give the same text.

A page that was never read well, and a page whose rule was edited, are tried at their visit. Only a good trial makes
a rule valid: until then a new page is no part of its document, and an edited rule waits beside the old one, by which
the same answer is read. What moved between the two fetches is told, as what a filter could take out.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from policywatch.db.collecting import Page
from policywatch.reading.extract import MIN_TEXT
from policywatch.reading.rules import ExtractionError
from policywatchd.collect.hosts import patiently
from policywatchd.collect.seen import Fault, Seen, Trial
from policywatchd.reader import BoundedError, Reader

__all__ = ["Looker", "Trials", "is_on_trial", "tried_page"]

log = logging.getLogger("policywatch.collect")

Gauge = Callable[[Seen, str], Awaitable[Seen]]


class Looker(Protocol):
    """Whatever looks at pages: raises HostBusy where a host asks to wait."""

    async def read(self, page: Page) -> Seen:
        """One look."""
        ...


def is_on_trial(page: Page) -> bool:
    """Whether the page's rule is valid only after a good trial."""
    return page.trial_rule_id is not None or (page.good_capture is None and page.trial != "good")


def tried_page(page: Page) -> Page:
    """The page under the rule that is to be tried, fetched whole."""
    if page.trial_rule_id is None or page.trial_rule is None:
        return page
    return replace(
        page, rule_id=page.trial_rule_id, rule=page.trial_rule, etag=None, last_modified=None, raw_sha256=None
    )


@dataclass(frozen=True, slots=True)
class _Second:
    """What the second fetch says against the first; `cause` "" where they agree."""

    cause: str = ""
    learned: bool = True  # False: it did not come to a comparison
    length: int | None = None
    volatile: tuple[Mapping[str, Any], ...] = ()


class Trials:
    """Tries the rules of pages. `gauge` judges a capture against its past."""

    def __init__(self, pages: Looker, reader: Reader, gauge: Gauge) -> None:
        self._pages, self._reader, self._gauge = pages, reader, gauge

    async def see(self, page: Page, language: str) -> Seen:
        """A look at a page whose rule is on trial; what it says of the page is what holds after the trial.

        Raises HostBusy.
        """
        candidate = tried_page(page)
        first = await self._gauge(await self._pages.read(candidate), language)
        if first.fault is not None:
            if first.text is None and first.raw is None:
                return replace(first, page=page)  # not reached: nothing is known about the rule
            result = _result(first, await self._warnings(first), cause=first.fault.cause)
            return await self._failed(
                page, first, Trial(candidate.rule_id, good=False, result=result), language
            )
        second = await self._second(candidate, first)
        result = _result(first, await self._warnings(first), second=second)
        if not second.cause:
            return replace(first, trial=Trial(candidate.rule_id, good=True, result=result))
        state = "suspect" if second.learned else "failed"
        doubted = replace(
            first, fault=Fault(state, "needs-rules" if second.learned else "degraded", second.cause)
        )
        if not second.learned:
            return await self._failed(page, doubted, None, language)
        return await self._failed(
            page, doubted, Trial(candidate.rule_id, good=False, result=result), language
        )

    async def _second(self, candidate: Page, first: Seen) -> _Second:
        assert first.text is not None
        whole = replace(
            candidate,
            etag=None,
            last_modified=None,
            raw_sha256=None,
            text_sha256=None,
            step=first.step,  # the two are compared: by the same step of the ladder
            step_reason=first.step_reason,
            plain_due=False,
        )
        again = await patiently(partial(self._pages.read, whole))
        if again.fault is not None or again.text is None:
            cause = again.fault.cause if again.fault is not None else "it brought no page"
            learned = again.fault is not None and again.fault.state == "suspect"
            return _Second(f"the second fetch of the trial failed: {cause}", learned=learned)
        if again.text == first.text:
            return _Second(length=len(again.text))
        try:
            hashes = [await self._reader.hashes(text) for text in (first.text, again.text)]
            if hashes[0][0] == hashes[1][0]:
                return _Second(length=len(again.text))
            volatile = await self._reader.volatile(first.text, again.text)
        except BoundedError as error:
            return _Second(f"two fetches cannot be compared within their limits ({error.reason})")
        cause = f"two fetches, one after the other, give different texts ({len(volatile) or 'some'} passages)"
        return _Second(cause, length=len(again.text), volatile=tuple(volatile[:20]))

    async def _warnings(self, seen: Seen) -> list[str]:
        """What is doubtful about the rule though it may work today."""
        try:
            return await self._reader.warnings(seen.page.rule)
        except BoundedError:
            return []

    async def _failed(self, page: Page, first: Seen, trial: Trial | None, language: str) -> Seen:
        """The look as it counts without the rule that was tried: by the old rule, or as no good look at all."""
        if trial is not None:
            log.info("trial_failed page=%d rule=%d cause=%s", page.id, trial.rule_id, trial.result["cause"])
        if page.trial_rule_id is None or first.raw is None:
            return replace(first, page=page, trial=trial)
        kind, address = first.headers.get("content-type", ""), first.final_url or page.url
        bare = replace(
            first, page=page, trial=trial, fault=None, text=None, quality=None, signals=(), hashes=None
        )
        try:
            text = await self._reader.extract(first.raw, kind, page.rule, address)
        except (ExtractionError, BoundedError) as error:
            return replace(bare, fault=Fault("suspect", "needs-rules", error.what))
        if len(text.strip()) < MIN_TEXT:
            cause = f"the declared part of the page holds only {len(text.strip())} characters"
            return replace(bare, fault=Fault("suspect", "needs-rules", cause))
        return await self._gauge(replace(bare, text=text), language)


def _result(
    first: Seen, warnings: list[str], *, second: _Second | None = None, cause: str | None = None
) -> dict[str, Any]:
    """What is kept of a trial, in plain types."""
    second = second or _Second()
    return {
        "lengths": [len(first.text) if first.text is not None else 0, second.length],
        "cause": cause or second.cause or None,
        "quality": first.quality,
        "warnings": warnings,
        "volatile": [dict(one) for one in second.volatile],
    }
