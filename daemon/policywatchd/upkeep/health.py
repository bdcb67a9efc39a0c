"""Sources that went blind, came back, or were not visited in time: told once, on the transition.

One alert for each document, never for a page; its sentence names how many pages and why, and the database audits it.
Alerts that nobody acknowledges are recalled after 1, 2, 4, 8 days and so on: in the log and in the digest of that day.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from policywatch.db import health, workers
from policywatch.db.health import Source
from policywatch.db.pool import Database, Tx
from policywatch.domain.changes import Severity

__all__ = ["Health", "Looked"]

log = logging.getLogger("policywatch.upkeep")

_BLIND = "source_blind"
_LATE = ("documents_late", "visits")
#: A daemon that wakes from a long sleep is given so long to catch up before lateness is a matter for people.
_CATCH_UP = timedelta(minutes=30)


@dataclass(slots=True)
class Looked:
    """What one look found. `opened`, `closed`: names of documents; None at all where another daemon looks."""

    blind: int = 0
    late: int = 0
    opened: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


class Health:
    """The looks of one daemon, one after the other."""

    def __init__(self, catch_up: timedelta = _CATCH_UP) -> None:
        self._catch_up = catch_up
        self._late_seen: datetime | None = None  # since when documents have been late without a break
        self._late_told: bool | None = None  # None: what an earlier daemon told is not known

    async def look(
        self, db: Database, *, blind_after: int = 2, alert_from: Severity = Severity.HIGH
    ) -> Looked | None:
        """Judge all sources, open and close alerts, recall what was forgotten; None: another daemon does it now.

        `blind_after`: cadences without a good capture, as in `fetch.blind_after`; `alert_from`: the severity of a
        change from which reviewers are alerted.
        """
        async with db.transaction() as tx:
            if not await health.try_lock(tx):
                return None
            looked = await self._sources(tx, blind_after)
            await _doubt(tx, blind_after, alert_from)
            await self._late(tx, looked)
            await health.close_settled(tx)
            for row in await health.remind(tx):
                log.warning(
                    "alert_reminder alert=%d kind=%s subject=%r reminders=%d",
                    row["id"], row["kind"], row["subject"], row["reminders"],
                )  # fmt: skip
        for name in looked.opened:
            log.warning("source_blind document=%s", name)
        for name in looked.closed:
            log.info("source_sees_again document=%s", name)
        return looked

    async def _sources(self, tx: Tx, blind_after: int) -> Looked:
        opened, closed, blind = list[str](), list[str](), 0
        for source in await health.look(tx, blind_after):
            blind += source.since is not None
            if source.since is not None and (words := _sentence(source)) != source.told:
                await workers.open_alert(tx, _BLIND, source.name, words)
            elif source.since is None and source.told is not None:
                await workers.close_alert(tx, _BLIND, source.name)
            if (source.was is None) != (source.since is None):
                (opened if source.since is not None else closed).append(source.name)
                await workers.hint(tx, "document", source.id, source.version)
        return Looked(blind=blind, opened=tuple(opened), closed=tuple(closed))

    async def _late(self, tx: Tx, looked: Looked) -> None:
        found = await health.late(tx)
        looked.late = found.documents
        if not found.documents:
            if self._late_told is not False:
                await workers.close_alert(tx, *_LATE)
            self._late_seen, self._late_told = None, False
            return
        self._late_seen = self._late_seen or found.at
        if not self._late_told and found.at - self._late_seen >= self._catch_up:
            since = f", the first since {found.since:%Y-%m-%d %H:%M} UTC" if found.since else ""
            count = "1 document was" if found.documents == 1 else f"{found.documents} documents were"
            await workers.open_alert(tx, *_LATE, f"{count} not visited in time{since}.")
            self._late_told = True


async def _doubt(tx: Tx, blind_after: int, alert_from: Severity) -> None:
    """A change is not kept from people for as long as a blind page cannot be looked at a second time."""
    for row in await health.doubt(tx, blind_after):
        change, document, severity = row["change_id"], row["document"], Severity(row["severity"])
        await workers.audit(
            tx,
            "change.unconfirmed",
            "change",
            str(change),
            before={"status": "second_look"},
            after={"document": document, "status": "unconfirmed", "blind": True},
        )
        await workers.hint(tx, "change", change, row["version"])
        if severity.rank >= alert_from.rank:
            words = f"C-{change} in {document} is {severity.value}: {row['summary']}"
            await workers.open_alert(
                tx, "change", f"C-{change}", words[:1000], level="notice", audience="reviewers"
            )
        log.warning("change_unconfirmed document=%s change=%d reason=blind", document, change)


def _sentence(source: Source) -> str:
    """`x/terms is blind: 1 of 3 pages, not read since ...: why (where)`."""
    what = "its page" if source.pages == 1 else f"{source.pages_blind} of {source.pages} pages"
    when = (
        "never read well"
        if source.last_good_at is None
        else f"not read since {source.last_good_at:%Y-%m-%d %H:%M} UTC"
    )
    where = (
        ""
        if source.pages == 1 or source.url is None
        else f" ({urlsplit(source.url)._replace(query='').geturl()})"
    )
    return f"{source.name} is blind: {what}, {when}: {source.cause or 'no cause is known'}{where}."[:1000]
