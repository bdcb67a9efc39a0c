"""What a good visit adds to the history of a document: nothing, or one or two snapshots and a change.

"Ours" and "theirs" are never mixed: where the rule, the engine or the set of pages changed, the old raw pages are
read again in today's way first (a technical snapshot, never queued), and only what differs from that is a change
of the platform. Everything slow happens here, before the transaction that stores it (`policywatchd.collect.finish`).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from policywatch.db import collecting, contents
from policywatch.db.collecting import Base, Claim, Page
from policywatch.db.pool import Database
from policywatch.reading.rules import ExtractionError
from policywatchd.judge.texts import Part, compose, is_comparable
from policywatchd.reader import BoundedError, Judged, Reader

__all__ = ["COMPARER", "Judge", "Step"]

log = logging.getLogger("policywatch.judge")

COMPARER = "compare-1"


@dataclass(frozen=True, slots=True)
class Step:
    """A snapshot to store. `captures` None: those of this visit. `judged`: its change against the step before."""

    kind: str
    text: str
    reader_hash: bytes
    link_hash: bytes
    parts: tuple[Part, ...]
    captures: tuple[int, ...] | None = None
    judged: Judged | None = None


@dataclass(frozen=True, slots=True)
class _Again:
    """The base as today's rules read it."""

    text: str
    parts: tuple[Part, ...]


class Judge:
    """Decides what a document's new text means."""

    def __init__(self, db: Database, reader: Reader, today: Callable[[], date]) -> None:
        self._db, self._reader, self._today = db, reader, today

    async def steps(
        self, claim: Claim, base: Base | None, pages: Sequence[Page], parts: tuple[Part, ...], text: str
    ) -> list[Step]:
        """What to store for `text`, oldest first; empty where a reader sees no difference.

        Raises BoundedError where reading takes more than its limits.
        """
        read, links = await self._reader.hashes(text)
        if base is None:
            return [Step("first", text, read, links, parts)]
        if is_comparable(base.origin, parts):
            if (read, links) == (base.reader_hash, base.link_hash):
                return []
            before = await contents.fetch_text(self._db, base.text_sha256)
            return [Step("change", text, read, links, parts, judged=await self._judge(claim, before, text))]
        again = await self._read_again(base, pages)
        if again is None:
            log.info("technical_snapshot document=%s reason=not_readable_again", claim.name)
            return [Step("technical", text, read, links, parts)]
        old_read, old_links = await self._reader.hashes(again.text)
        if (old_read, old_links) == (read, links):
            return [Step("technical", text, read, links, parts)]
        return [
            Step("technical", again.text, old_read, old_links, again.parts, captures=base.captures),
            Step("change", text, read, links, parts, judged=await self._judge(claim, again.text, text)),
        ]

    async def _judge(self, claim: Claim, before: str, after: str) -> Judged:
        return await self._reader.judge(
            before,
            after,
            at=self._today(),
            document=claim.document_name,
            platform=claim.platform_name,
        )

    async def _read_again(self, base: Base, pages: Sequence[Page]) -> _Again | None:
        """The pages of the base by today's rules; None where one of them is not there or gives no text."""
        rows = {row["page_id"]: row for row in await collecting.captures_of(self._db, base.captures)}
        texts: list[tuple[str, str]] = []
        parts: list[Part] = []
        for page in pages:
            text = await self._text_again(rows.get(page.id), page)
            if text is None:
                return None
            texts.append((page.url, text))
            parts.append(Part(page.id, page.rule_id, page.url, hashlib.sha256(text.encode()).digest()))
        return _Again(compose(texts), tuple(parts))

    async def _text_again(self, row: Mapping[str, Any] | None, page: Page) -> str | None:
        if row is None or row["raw_sha256"] is None:
            return None
        try:
            raw = await contents.fetch(self._db, bytes(row["raw_sha256"]))
            return await self._reader.extract(
                raw, str(row["content_type"] or ""), page.rule, str(row["final_url"] or page.url)
            )
        except (ExtractionError, BoundedError, contents.MissingContent):
            return None
        except contents.DamagedContent as damage:
            log.error("raw_damaged page=%d what=%s", page.id, damage.what)
            return None
