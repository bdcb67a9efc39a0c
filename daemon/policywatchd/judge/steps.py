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
from policywatch.domain.changes import NoiseKind
from policywatch.reading.rules import ExtractionError
from policywatchd.judge.texts import Composed, Part, compose, is_comparable, stands_in
from policywatchd.reader import BoundedError, Judged, Reader

__all__ = ["COMPARER", "Judge", "Step"]

log = logging.getLogger("policywatch.judge")

COMPARER = "compare-1"


@dataclass(frozen=True, slots=True)
class Step:
    """A snapshot to store. `captures` None: those of this visit. `judged`: its change against the step before.

    `untold`: pages whose words are others than before, and could not be compared.
    """

    kind: str
    text: str
    reader_hash: bytes
    link_hash: bytes
    parts: tuple[Part, ...]
    captures: tuple[int, ...] | None = None
    judged: Judged | None = None
    untold: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Again:
    """The base as today's rules read it."""

    text: str
    parts: tuple[Part, ...]
    captures: tuple[int, ...]
    untold: tuple[str, ...]


class Judge:
    """Decides what a document's new text means."""

    def __init__(self, db: Database, reader: Reader, today: Callable[[], date]) -> None:
        self._db, self._reader, self._today = db, reader, today

    async def hashes(self, composed: Composed) -> tuple[bytes, bytes]:
        """What a reader reads, and where the links lead, each as a hash. Raises BoundedError."""
        return composed.hashes or await self._reader.hashes(composed.text)

    async def steps(
        self,
        claim: Claim,
        base: Base | None,
        pages: Sequence[Page],
        composed: Composed,
        hashes: tuple[bytes, bytes],
    ) -> list[Step]:
        """What to store for what a visit composed, oldest first; empty where a reader sees no difference.

        Raises BoundedError where reading takes more than its limits.
        """
        (read, links), parts, text = hashes, composed.parts, composed.text
        if base is None:
            return [Step("first", text, read, links, parts)]
        if is_comparable(base.origin, parts):
            if (read, links) == (base.reader_hash, base.link_hash):
                return []
            before = await contents.fetch_text(self._db, base.text_sha256)
            return [Step("change", text, read, links, parts, judged=await self._judge(claim, before, text))]
        again = await self._read_again(base, pages, composed)
        if base.source == "archive" and again.text != text:
            return await self._after_archive(claim, base, again, composed, hashes)
        ours = _ours(again, await self._reader.hashes(again.text))
        if (ours.reader_hash, ours.link_hash) == (read, links):
            return [Step("technical", text, read, links, parts, untold=again.untold)]
        return [
            ours,
            Step("change", text, read, links, parts, judged=await self._judge(claim, again.text, text)),
        ]

    async def _after_archive(
        self, claim: Claim, base: Base, again: _Again, composed: Composed, hashes: tuple[bytes, bytes]
    ) -> list[Step]:
        """The pages are back, and say other words than before: a change, if the archive does not have it all."""
        (read, links), parts, text = hashes, composed.parts, composed.text
        judged = await self._judge(claim, again.text, text)
        told = await contents.fetch_text(self._db, base.text_sha256)
        if judged.comparison.noise_kind is not NoiseKind.NONE or stands_in(judged.comparison, told):
            return [Step("technical", text, read, links, parts, untold=again.untold)]
        return [
            _ours(again, await self._reader.hashes(again.text)),
            Step("change", text, read, links, parts, judged=judged),
        ]

    async def _judge(self, claim: Claim, before: str, after: str) -> Judged:
        return await self._reader.judge(
            before,
            after,
            at=self._today(),
            document=claim.document_name,
            platform=claim.platform_name,
        )

    async def _read_again(self, base: Base, pages: Sequence[Page], composed: Composed) -> _Again:
        """The base by today's rules. A page that it does not hold says there what it said when it was last good.

        One that never was, or that gives no text any more, has today's text: what it says today is then no change of
        the platform, since nobody knows what it said before.
        """
        rows = {row["page_id"]: row for row in await collecting.captures_of(self._db, base.captures)}
        known = {page.id: page for page in pages}
        left = [page.good_capture for page in pages if page.id not in rows and page.good_capture is not None]
        rows |= {row["page_id"]: row for row in await collecting.captures_of(self._db, left)}
        texts: list[tuple[str, str]] = []
        parts: list[Part] = []
        untold: list[str] = []
        said = {part[0]: part[2] for part in base.origin.get("parts", ())}
        replaced = bool(set(said) - set(known))  # a page left the settings, which another may stand for now
        for part in composed.parts:
            row = rows.get(part.page_id)
            same = row is not None and row["step"] == part.step  # never one step's text against another's
            text = await self.text_again(row, known[part.page_id]) if same else None
            if text is None:
                log.info("page_not_comparable page=%d snapshot=%d", part.page_id, base.id)
                text = composed.texts[part.page_id]
                if (row is not None or replaced) and part.text_sha256.hex() not in said.values():
                    untold.append(part.url)
            texts.append((part.url, text))
            sha256 = hashlib.sha256(text.encode()).digest()
            parts.append(Part(part.page_id, part.rule_id, part.url, sha256, part.step))
        return _Again(compose(texts), tuple(parts), tuple(row["id"] for row in rows.values()), tuple(untold))

    async def text_again(self, row: Mapping[str, Any] | None, page: Page) -> str | None:
        """A stored capture (a row of `captures_of`) by today's rule of its page; None where it gives no text."""
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


def _ours(again: _Again, hashes: tuple[bytes, bytes]) -> Step:
    """What our own change of rules, step or pages makes of the base: technical, never the platform's."""
    return Step("technical", again.text, *hashes, again.parts, captures=again.captures, untold=again.untold)
