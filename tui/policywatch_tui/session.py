"""One desk's session: what was read, what hints changed, how fresh it is. Textual-free; the app draws it.

Rows never move because of a hint: known rows say something else, new ones are counted until a person asks.
After every reconnection, and every 30 seconds anyway, everything known is read again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any, TypeVar
from uuid import UUID

from policywatch.errors import PolicyWatchError, ServiceAway
from policywatch_tui.clerk import Clerk
from policywatch_tui.desk.fresh import Freshness, seconds_to_next_look
from policywatch_tui.desk.listing import Listing
from policywatch_tui.desk.rows import Approval, Change, Counts, Draft, Hint, Publication, Standing
from policywatch_tui.desk.source import DeskSource
from policywatch_tui.desk.triage import Triage

__all__ = ["Session"]

log = logging.getLogger("policywatch.desk")
T = TypeVar("T")
_FIRST_PAGE = 200
_NEXT_PAGE = 2_000
_GATHER_SECONDS = 0.1
_KEPT_CHANGES = 16
_PLACE_OF = {
    "approval": "approvals",
    "draft": "drafts",
    "publication": "publications",
    "delivery": "publications",
}


class Session:
    """`told(kind, id)` is called after anything shown may have changed; id 0 means all of that kind."""

    def __init__(
        self,
        *,
        mono: Callable[[], float],
        zone: tzinfo,
        new_id: Callable[[], UUID],
        told: Callable[[str, int], None],
    ) -> None:
        self.mono, self.zone, self.new_id, self.told = mono, zone, new_id, told
        self.fresh = Freshness()
        self.triage = Triage()
        self.counts: Counts | None = None
        self.standing: Standing | None = None
        self.more = False
        self.approvals: Listing[Approval] = Listing()
        self.drafts: Listing[Draft] = Listing()
        self.publications: Listing[Publication] = Listing()
        self.segments: Sequence[str] = ()
        self.changes: dict[int, Change] = {}
        self.source: DeskSource | None = None
        self.clerk: Clerk | None = None
        self._hinted: set[tuple[str, int]] = set()
        self._hint_came = asyncio.Event()

    @property
    def now(self) -> datetime:
        """The server's time."""
        return self.fresh.now(self.mono())

    @property
    def role(self) -> str:
        """What this person may do; nothing before the server said so."""
        return self.standing.role if self.standing else "viewer"

    async def open(self, opener: Callable[[], Awaitable[DeskSource]]) -> None:
        """Connect and read what the first screen needs."""
        self.source = await self.ask(opener())
        self.clerk = Clerk(
            self.source,
            self.triage,
            new_id=self.new_id,
            now=lambda: self.now,
            painted=lambda change_id: self.told("change", change_id),
        )
        await self.read_standing()
        await self.read_queue()
        self.segments = await self.ask(self.source.segments())

    async def close(self) -> None:
        """Give the source back."""
        if self.source is not None:
            await self.source.close()

    async def ask(self, question: Awaitable[T]) -> T:
        """Any question to the server; its answer or its silence sets the freshness."""
        try:
            answer = await question
        except ServiceAway:
            self.fresh.lost(self.mono())
            self.told("fresh", 0)
            raise
        except PolicyWatchError:
            self.fresh.contact(self.mono())
            raise
        self.fresh.contact(self.mono())
        return answer

    def wanted(self) -> DeskSource:
        """The source, or the sentence that there is none yet."""
        if self.source is None:
            raise ServiceAway("not connected yet", remedy="The desk goes on trying.")
        return self.source

    # -- reading -----------------------------------------------------------------------------------------

    async def read_standing(self) -> None:
        """Server time, person, sources; counts."""
        source = self.wanted()
        self.standing = await self.ask(source.status())
        self.fresh.told(self.standing.now, self.mono())
        self.triage.person = self.standing.person
        self.counts = await self.ask(source.counts())
        self.told("counts", 0)

    async def read_queue(self) -> None:
        """The queue anew: a first page at once, the rest behind it."""
        source = self.wanted()
        page = await self.ask(source.queue_page("", _FIRST_PAGE))
        self.triage.fill(page.rows)
        self.more = bool(page.after)
        self.told("queue", 0)
        while page.after:
            page = await self.ask(source.queue_page(page.after, _NEXT_PAGE))
            self.triage.list.extend(page.rows)
            self.more = bool(page.after)
            self.told("queue", 0)

    async def open_change(self, change_id: int) -> Change:
        """A change with its passages; the last sixteen are kept, under the row as it is now."""
        if change_id not in self.changes:
            self.changes[change_id] = await self.ask(self.wanted().change(change_id))
            while len(self.changes) > _KEPT_CHANGES:
                self.changes.pop(next(iter(self.changes)))
        return self.changes[change_id]

    def listing(self, place: str) -> Listing[Any]:
        """The listing behind a screen with a sheet."""
        places: dict[str, Listing[Any]] = {
            "approvals": self.approvals,
            "drafts": self.drafts,
            "publications": self.publications,
        }
        return places[place]

    async def read(self, place: str) -> None:
        """One of those listings anew, in the server's order."""
        self.listing(place).fill(await self._rows(place))
        self.told(place, 0)

    async def _rows(self, place: str) -> Sequence[Any]:
        source = self.wanted()
        if place == "approvals":
            return await self.ask(source.approvals())
        if place == "drafts":
            return await self.ask(source.drafts())
        return await self.ask(source.publications())

    async def refresh(self, place: str) -> None:
        """What its rows say now; they stay where they are, new ones are counted."""
        listing = self.listing(place)
        if not len(listing):
            await self.read(place)
            return
        rows = await self._rows(place)
        for row in rows:
            listing.remote(row)
            listing.came(row.id)
        listing.gone = set(listing.ids) - {row.id for row in rows}
        self.told(place, 0)

    # -- hints -------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Take hints for ever; many that come together are answered by one read."""
        async for hint in self.wanted().hints():
            self._take(hint)

    def _take(self, hint: Hint) -> None:
        self._hinted.add((hint.kind, hint.id))
        self._hint_came.set()

    async def follow(self) -> None:
        """Read what was hinted at, a tenth of a second after the first hint."""
        while True:
            await self._hint_came.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            hinted, self._hinted = self._hinted, set()
            self._hint_came.clear()
            try:
                await self.catch_up(hinted)
            except PolicyWatchError as error:
                log.warning("hints_not_followed hints=%d reason=%s", len(hinted), error.what)
                if error.code == "session_ended":
                    self.told("ended", 0)
                    return

    async def catch_up(self, hinted: set[tuple[str, int]]) -> None:
        """Read the hinted rows; after a reconnection all that is known."""
        kinds = {kind for kind, _ in hinted}
        if "reconnected" in kinds:
            await self.catch_up_all()
            return
        if kinds & {"session", "user"}:  # perhaps ours: the answer says whether it was ended
            await self.read_standing()
        changed = [row_id for kind, row_id in hinted if kind == "change" and row_id]
        if changed:
            await self._read_rows(changed)
            self.counts = await self.ask(self.wanted().counts())
            self.told("counts", 0)
        for place in sorted({_PLACE_OF[kind] for kind in kinds if kind in _PLACE_OF}):
            await self.refresh(place)

    async def catch_up_all(self) -> None:
        """Everything known is read again; the first page says what came meanwhile."""
        await self.read_standing()
        ids = list(self.triage.list.ids)
        for start in range(0, len(ids), _NEXT_PAGE):
            await self._read_rows(ids[start : start + _NEXT_PAGE])
        for row in (await self.ask(self.wanted().queue_page("", _FIRST_PAGE))).rows:
            self.triage.list.came(row.id)
        self.told("counts", 0)
        for place in ("approvals", "drafts", "publications"):
            if len(self.listing(place)):
                await self.refresh(place)

    async def _read_rows(self, ids: Sequence[int]) -> None:
        for row in await self.ask(self.wanted().queue_rows(ids)):
            if row.id not in self.triage.list.rows:
                if not row.verdict and not row.asleep(self.now):
                    self.triage.list.came(row.id)
            elif self.triage.remote(row):
                self.told("change", row.id)

    async def poll(self) -> None:
        """The safety net behind the hints; while the server is away, more often."""
        for looks in itertools.count():
            seen = self.standing is None or self.standing.daemon_seen_at is not None
            await asyncio.sleep(seconds_to_next_look(looks, offline=self.fresh.offline, daemon_seen=seen))
            try:
                await self.catch_up_all()
            except PolicyWatchError as error:
                log.info("poll_failed reason=%s", error.what)
                if error.code == "session_ended":
                    self.told("ended", 0)
                    return
