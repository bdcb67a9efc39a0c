"""The kept captures of a document read again by today's rules.

What differs is ours and not the platform's: where the text that is believed would read otherwise today, that reading
is stored as a technical snapshot, and never as a change. Older captures are counted; their snapshots stay as they are.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from policywatch.db import collecting, rereading, workers
from policywatch.db.collecting import Base, Claim, Page
from policywatch.domain.changes import Severity
from policywatch.errors import PolicyWatchError
from policywatchd.judge.looks import Plan
from policywatchd.judge.queue import Queue
from policywatchd.judge.steps import Judge, Step
from policywatchd.judge.texts import Composed, Part, is_made_of

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["Reread", "reextract"]

log = logging.getLogger("policywatch.collect")

_TOLD_EVERY = 20  # captures

Told = Callable[[int, int], Awaitable[None]]


async def _silent(done: int, total: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Reread:
    """How many captures were kept, were read, read otherwise than in their time, or give no text any more.

    `technical`: the text that is believed reads otherwise today, and that reading was stored.
    """

    captures: int = 0
    read: int = 0
    different: int = 0
    unreadable: int = 0
    technical: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


async def reextract(service: Service, document: Claim, told: Told = _silent) -> Reread:
    """Read all kept captures of a document again. `told` hears how far it is.

    Raises PolicyWatchError where a visit moved the belief meanwhile.
    """
    db, judge = service.db, Judge(service.db, service.reader, service.today)
    pages = {
        page.id: page
        for page in (await collecting.pages_of(db, [document.document_id]))[document.document_id]
    }
    base = (await collecting.bases_of(db, [document.document_id])).get(document.document_id)
    rows = await rereading.kept_captures(db, document.document_id)
    read = different = unreadable = 0
    for number, row in enumerate(rows, start=1):
        text = await judge.text_again(row, pages[row["page_id"]])
        if text is None:
            unreadable += 1
        else:
            read += 1
            different += hashlib.sha256(text.encode()).digest() != bytes(row["text_sha256"])
        if number % _TOLD_EVERY == 0:
            await told(number, len(rows))
    technical = base is not None and await _renewed(service, judge, document, base, pages)
    log.info("reextracted document=%s captures=%d different=%d", document.name, len(rows), different)
    return Reread(len(rows), read, different, unreadable, technical)


async def _renewed(
    service: Service, judge: Judge, document: Claim, base: Base, pages: dict[int, Page]
) -> bool:
    """Store the believed text as it reads today; False where it reads the same, or a page of it gives no text."""
    rows = {row["page_id"]: row for row in await collecting.captures_of(service.db, base.captures)}
    parts: list[Part] = []
    texts: dict[int, str] = {}
    for page in pages.values():
        if page.id not in rows:
            continue
        text = await judge.text_again(rows[page.id], page)
        if text is None:
            return False
        texts[page.id] = text
        sha256 = hashlib.sha256(text.encode()).digest()
        parts.append(Part(page.id, page.rule_id, page.url, sha256, str(rows[page.id]["step"])))
    if not parts or is_made_of(base.origin, parts):
        return False
    composed = Composed(tuple(parts), texts, frozenset(texts), len(pages))
    read, links = await judge.hashes(composed)
    step = Step("technical", composed.text, read, links, composed.parts, captures=base.captures)
    queue = Queue(None, Severity(service.settings.alerts.severity), service.today)
    async with service.db.transaction() as tx:
        if await rereading.lock_belief(tx, document.document_id) != base.id:
            raise PolicyWatchError(
                f"{document.name} was visited meanwhile.",
                remedy="Ask again: policywatch documents reextract.",
            )
        await queue.add(tx, document, Plan(base, waits=False), [step], composed, base.captures)
        await workers.audit(tx, "document.reextracted", "document", document.name, after={"before": base.id})
        await workers.hint(tx, "document", document.document_id)
    return True
