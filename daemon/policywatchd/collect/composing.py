"""A document's text out of what a visit saw of its pages.

A page that could not be read this time does not stop the others: its last good text stands in, read by today's
rule; one that was never good is absent. What was really read is told apart, since only that can be judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from policywatch.db import collecting, contents
from policywatch.db.collecting import Base, Page
from policywatch.db.pool import Database
from policywatchd.collect.page import is_stale
from policywatchd.collect.seen import Seen
from policywatchd.judge.steps import Judge
from policywatchd.judge.texts import Composed, Part, is_made_of

__all__ = ["Composer"]


class Composer:
    """Puts documents together; `judge` reads stored captures again where a rule or the engine is a new one."""

    def __init__(self, db: Database, judge: Judge) -> None:
        self._db, self._judge = db, judge

    async def compose(self, seen: Sequence[Seen], base: Base | None) -> Composed | None:
        """The document as it stands after these looks; texts only where it is not the base itself, or a look is open.

        None where no page was read at all.
        """
        fresh = frozenset(one.page.id for one in seen if one.is_read)
        if not fresh:
            return None
        parts: list[Part] = []
        texts: dict[int, str] = {}
        for one in seen:
            page, text = one.page, None
            if one.is_read:
                sha256 = _sha256(one)
                text = one.text if one.fault is None else None
            elif page.text_sha256 is None:
                continue  # never good: no part of the document yet
            elif is_stale(page):
                text = await self._again(page)
                sha256 = hashlib.sha256(text.encode()).digest()
            else:
                sha256 = page.text_sha256
            step = one.step if one.is_read and one.text is not None else page.good_step
            parts.append(Part(page.id, page.rule_id, page.url, sha256, step))
            if text is not None:
                texts[page.id] = text
        made = Composed(tuple(parts), texts, fresh, len(seen), _hashes(seen) if len(parts) == 1 else None)
        if base is None or base.open or not is_made_of(base.origin, parts):
            for part in parts:
                if part.page_id not in texts:
                    texts[part.page_id] = await contents.fetch_text(self._db, part.text_sha256)
        return made

    async def _again(self, page: Page) -> str:
        """The last good capture by today's rule; the text of its time where that gives none."""
        assert page.good_capture is not None and page.text_sha256 is not None
        (row,) = await collecting.captures_of(self._db, [page.good_capture])
        text = await self._judge.text_again(row, page)
        return text if text is not None else await contents.fetch_text(self._db, page.text_sha256)


def _hashes(seen: Sequence[Seen]) -> tuple[bytes, bytes] | None:
    """The hashes of the one text, where this visit read and judged it; not those of a look that another stands for."""
    only = seen[0] if len(seen) == 1 else None
    return only.hashes if only is not None and only.fault is None and only.text is not None else None


def _sha256(seen: Seen) -> bytes:
    """The hash of what a page says that was read: its new text, the accepted one, or what it said before."""
    page = seen.page
    if seen.fault is not None:
        assert page.accepted_text is not None
        return page.accepted_text
    if seen.text is not None:
        return hashlib.sha256(seen.text.encode()).digest()
    assert page.text_sha256 is not None  # unchanged means that there is a good capture
    return page.text_sha256
