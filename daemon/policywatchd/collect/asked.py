"""What people ask about a document's rules, served: a trial now, a filter held against the past, a reading again.

None of it changes what is watched: a rule becomes valid at a visit, and a filter in the YAML. Answers are plain types,
in the words that `policywatch documents` shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from policywatch.db import collecting, contents, requests, rereading
from policywatch.db.collecting import Claim, Page
from policywatch.db.requests import Request
from policywatch.errors import PolicyWatchError
from policywatch.reading.rules import ExtractionError, Rule
from policywatchd.collect.hosts import HostBusy, patiently
from policywatchd.collect.rereading import reextract
from policywatchd.collect.seen import Seen
from policywatchd.collect.sight import Sight
from policywatchd.collect.trial import is_on_trial, tried_page
from policywatchd.reader import BoundedError

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["preview_filter", "read_again", "try_rule"]

_SHOWN = 600  # characters of a text that a trial shows
_CHANGES = 200  # past changes that a preview is held against


async def _document(service: Service, request: Request) -> Claim:
    platform, key = request.arguments.get("platform"), request.arguments.get("document")
    found = await rereading.document_of(service.db, str(platform), str(key))
    if found is None:
        raise PolicyWatchError(
            f"No watched document is named {platform}/{key}.", remedy="See: policywatch documents list"
        )
    return found


async def read_again(service: Service, request: Request) -> Mapping[str, Any]:
    """Read the kept captures again; how far it is stands in the request meanwhile."""
    document = await _document(service, request)

    async def told(done: int, total: int) -> None:
        await requests.tell_progress(
            service.db, request.id, service.worker_id, {"done": done, "total": total}
        )

    return (await reextract(service, document, told)).to_json()


async def try_rule(service: Service, request: Request) -> Mapping[str, Any]:
    """Two fetches of every page of a document; what is on trial is visited next."""
    from policywatchd.collect.loop import open_sight  # the loop's room is put together there

    document = await _document(service, request)
    pages = (await collecting.pages_of(service.db, [document.document_id]))[document.document_id]
    opened: AbstractAsyncContextManager[Sight] = open_sight(service)
    async with opened as sight:
        answers = []
        for number, page in enumerate(pages):
            answers.append(await _tried(service, sight, page, document.language))
            await requests.tell_progress(
                service.db, request.id, service.worker_id, {"done": number + 1, "total": len(pages)}
            )
    if any(is_on_trial(page) for page in pages):
        await collecting.make_due(service.db, document.platform, document.document)
        service.wake("collect").set()
    return {"document": document.name, "pages": answers}


async def _tried(service: Service, sight: Sight, page: Page, language: str) -> dict[str, Any]:
    fresh = replace(
        tried_page(page), trial="waiting", trial_rule_id=None, good_capture=None, accepted_capture=None
    )
    try:
        seen = await patiently(partial(sight.see, fresh, language))
    except HostBusy as busy:
        return {"url": page.url, "trial": "failed", "cause": busy.what}
    good = seen.trial is not None and seen.trial.good
    told: dict[str, Any] = {"url": page.url, "trial": "good" if good else "failed", "step": seen.step}
    if seen.fault is not None:
        told["cause"] = seen.fault.cause
    if seen.trial is not None:
        told |= {name: seen.trial.result[name] for name in ("warnings", "volatile", "quality")}
    if seen.text is not None:
        told |= {
            "characters": len(seen.text),
            "removed": await _removed(service, seen),
            "preview": seen.text[:_SHOWN],
        }
    return told


async def _removed(service: Service, seen: Seen) -> int:
    """How many characters of what is selected the rule cuts out."""
    rule = seen.page.rule
    if seen.raw is None or seen.text is None or not rule.get("remove"):
        return 0
    kind, address = seen.headers.get("content-type", ""), seen.final_url or seen.page.url
    try:
        whole = await service.reader.extract(seen.raw, kind, {**rule, "remove": []}, address)
    except (ExtractionError, BoundedError):
        return 0
    return max(0, len(whole) - len(seen.text))


async def preview_filter(service: Service, request: Request) -> Mapping[str, Any]:
    """How many past changes a document's pages would not have shown with more filters or cuts, and which mattered."""
    document = await _document(service, request)
    pages = {
        page.id: page
        for page in (await collecting.pages_of(service.db, [document.document_id]))[document.document_id]
    }
    wish = dict(request.arguments.get("rule") or {})
    found: dict[str, dict[int, bool]] = {}
    rows = await rereading.past_changes(service.db, document.document_id, _CHANGES)
    for number, row in enumerate(rows, start=1):
        page = pages.get(row["page_id"])
        if page is None:
            continue
        for name, change in (await _previewed(service, row, page, wish)).items():
            found.setdefault(name, {})[change] = bool(row["accepted"])
        if number % 20 == 0:
            progress = {"done": number, "total": len(rows)}
            await requests.tell_progress(service.db, request.id, service.worker_id, progress)
    shown, still = found.get("looked_at", {}), found.get("still", {})
    removed = [change for change in shown if change not in still]
    unread, faults = len(found.get("unread", {})), len(found.get("faults", {}))
    accepted = sum(shown[change] for change in removed)
    sentence = f"would have removed {len(removed)} of {len(shown)} past changes, {accepted} of them accepted"
    return {
        "document": document.name,
        "sentence": sentence,
        "changes": len(shown),
        "removed": len(removed),
        "accepted": accepted,
        "unread": unread,
        "faults": faults,
        "removed_changes": [f"C-{change}" for change in sorted(removed)],
    }


async def _previewed(
    service: Service, row: Mapping[str, Any], page: Page, wish: Mapping[str, Any]
) -> dict[str, int]:
    """One page of one change under both rules: in which lists the change's number stands."""
    rule = Rule.from_json(page.rule)
    more = Rule.from_json({"remove": wish.get("add_remove"), "filters": wish.get("add_filters")})
    proposed = replace(rule, remove=(*rule.remove, *more.remove), filters=(*rule.filters, *more.filters))
    before, after = [await contents.fetch(service.db, bytes(row[name])) for name in ("before", "after")]
    try:
        found = await service.reader.preview(
            (before, str(row["before_type"] or "")),
            (after, str(row["after_type"] or "")),
            str(row["final_url"] or page.url),
            rule.to_json(),
            proposed.to_json(),
        )
    except BoundedError:
        found = {"unread": [1]}
    number = int(row["change_id"])
    told = {name: number for name in ("looked_at", "unread", "faults") if found.get(name)}
    if found.get("looked_at") and not found.get("removed"):
        told["still"] = number
    return told
