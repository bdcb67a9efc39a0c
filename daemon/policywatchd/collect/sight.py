"""One page as a visit takes it: read, held against its own past, and what a person accepted taken into account.

A suspect capture is kept with its text and its signs and is never compared. One that a person accepted counts as
good as soon as it is seen again, and stands for the page where the page cannot be read.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace

from policywatch.db import contents, looks
from policywatch.db.collecting import Page
from policywatch.db.pool import Database
from policywatchd.collect.seen import Fault, Seen
from policywatchd.collect.trial import Looker, Trials, is_on_trial
from policywatchd.reader import BoundedError, Gauged, Reader

__all__ = ["Sight"]

log = logging.getLogger("policywatch.collect")

_STRANGE = 0.6  # share of the last good text's lines below which a text may be another page's
_HEAD = 40_000  # bytes of the body in which signs are looked for
#: What the signs of a bad capture say of the page's health; the heaviest sign decides.
_HEALTH = {
    **dict.fromkeys(
        ("challenge", "login", "blocked", "rate_limit", "consent", "gate", "password"), "blocked"
    ),
    **dict.fromkeys(("paywall",), "blocked"),
    **dict.fromkeys(("front_page", "other_site", "other_page"), "moved"),
    **dict.fromkeys(("missing", "status"), "gone"),
    "unavailable": "degraded",
}


class Sight:
    """Looks at pages for visits."""

    def __init__(self, db: Database, pages: Looker, reader: Reader) -> None:
        self._db, self._pages, self._reader = db, pages, reader
        self._trials = Trials(pages, reader, self.gauge)

    async def see(self, page: Page, language: str) -> Seen:
        """A look at a page whose document is in `language`. Raises HostBusy where its host asks to wait."""
        if is_on_trial(page):
            return self._accepted(await self._trials.see(page, language))
        seen = await self._pages.read(page)
        if (
            page.accepted_capture is not None
            and seen.text is not None
            and _sha256(seen.text) == page.accepted_text
        ):
            return replace(seen, fault=None, accepted=page.accepted_capture)
        return self._accepted(await self.gauge(seen, language))

    def _accepted(self, seen: Seen) -> Seen:
        """A capture that a person accepted stands for a page that cannot be read."""
        accepted = seen.page.accepted_capture
        return seen if accepted is None or seen.fault is None else replace(seen, accepted=accepted)

    async def gauge(self, seen: Seen, language: str) -> Seen:
        """Judge a capture whose text is new; a bad one gets its fault."""
        page = seen.page
        if seen.text is None or seen.fault is not None or _sha256(seen.text) == page.text_sha256:
            return seen
        past = await looks.past_of(self._db, page.id)
        last = None if page.text_sha256 is None else await contents.fetch_text(self._db, page.text_sha256)
        kind = seen.headers.get("content-type", "")
        look = {
            "status": seen.status,
            "content_type": kind,
            "url": page.url,
            "final_url": seen.final_url or page.url,
            "redirects": [dict(hop) for hop in seen.redirects],
            "text": seen.text,
            "whole": await self._is_whole(seen),
        }
        try:
            found = await self._reader.quality(
                look,
                b"" if seen.raw is None or seen.raw.startswith(b"%PDF-") else seen.raw[:_HEAD],
                lengths=past.lengths,
                last=last,
                neighbours=past.neighbours,
                language=language,
            )
            if not found.suspect and last is not None and found.kept < _STRANGE:
                found = await self._as_neighbour(page.id, seen.text, last, found)
        except BoundedError as error:
            cause = f"the page cannot be judged within its limits ({error.reason})"
            return replace(seen, fault=Fault("suspect", "needs-rules", cause))
        hashes = (found.reader_hash, found.link_hash)
        seen = replace(seen, quality=found.score, signals=found.signals, hashes=hashes)
        return replace(seen, fault=_suspicion(found)) if found.suspect else seen

    async def _as_neighbour(self, page: int, text: str, last: str, found: Gauged) -> Gauged:
        """A text that has little of its own past: is it another page's, in a wording of today?"""
        others = [
            await contents.fetch_text(self._db, one) for one in await looks.neighbour_texts(self._db, page)
        ]
        own, names = await looks.names_around(self._db, page)
        why = await self._reader.resembles(text, last, others, own=own, names=names)
        if not why:
            return found
        sign = {"name": "other_page", "weight": 0.6, "detail": why}
        return replace(found, suspect=True, score=max(found.score, 0.6), signals=(*found.signals, sign))

    async def _is_whole(self, seen: Seen) -> bool:
        """Whether the body has its end; one that never had one is not missed."""
        kept = seen.page.raw_sha256
        if seen.raw is None or kept is None or "html" not in seen.headers.get("content-type", ""):
            return True
        if _is_closed(seen.raw):
            return True
        with contextlib.suppress(contents.MissingContent, contents.DamagedContent):
            return not _is_closed(await contents.fetch(self._db, kept))
        return True


def _is_closed(body: bytes) -> bool:
    end = body[-4096:].lower()
    return b"</html" in end or b"</body" in end


def _suspicion(found: Gauged) -> Fault:
    heavy: Sequence[dict[str, object]] = sorted(
        (dict(one) for one in found.signals), key=lambda one: -float(str(one["weight"]))
    )
    said = "; ".join(str(one["detail"]) for one in heavy[:3])
    health = next((_HEALTH[str(one["name"])] for one in heavy if one["name"] in _HEALTH), "needs-rules")
    return Fault("suspect", health, f"this is hardly the policy: {said}"[:500])


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
