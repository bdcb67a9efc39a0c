"""robots.txt: fetched like a page (wall, lane, limits), kept for a day with its host, asked before every request.

A refused page is never fetched, unless a named person decided so in the settings. What cannot be known refuses:
5xx, 429 and no answer at all, until it can be read. 4xx, and redirects that lead nowhere, mean that there are no
rules. The first 500 KiB count, and lines that nobody understands count for nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import httpx
from protego import Protego  # type: ignore[import-untyped, unused-ignore]

from policywatch.db import lanes
from policywatch.db.lanes import Taken
from policywatch.db.pool import Database
from policywatchd.collect.fetch import Ask, FetchFault, Limits, Transport, fetch
from policywatchd.collect.hosts import Lanes, Turn

__all__ = ["AGENT", "LONGEST_DELAY", "Passage", "Robots", "Rules", "read_rules"]

log = logging.getLogger("policywatch.collect")

#: The name that rules may address.
AGENT = "PolicyWatch"
#: Most seconds between two requests that a Crawl-delay can ask for.
LONGEST_DELAY = 60.0

_MOST = 500 * 1024
_FRESH, _FRESH_FAULT = 24 * 3600.0, 15 * 60.0  # seconds; an unreadable one is looked for again sooner
_AT_ONCE = 32 * 1024  # longer texts are parsed beside the event loop: 500 KiB can take half a second
_KEPT_CHARACTERS = 2 * 1024 * 1024  # of all texts whose rules are held in memory


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one host. `fault`: why they are not known; everything is refused then. `size` in characters."""

    host: str
    at: datetime | None
    parsed: Protego | None
    fault: str | None
    size: int

    def allow(self, url: str) -> bool:
        """Whether we may fetch the address."""
        if self.fault is not None:
            return False
        return self.parsed is None or bool(self.parsed.can_fetch(url, AGENT))

    @property
    def delay(self) -> float:
        """Seconds that are to lie between two requests, 0 where the rules do not say."""
        asked = None if self.parsed is None else self.parsed.crawl_delay(AGENT)
        return min(max(float(asked or 0.0), 0.0), LONGEST_DELAY)


async def read_rules(host: str, status: int | None, text: str, at: datetime | None = None) -> Rules:
    """The rules that an answer for robots.txt means; without a status `text` says why there was none."""
    if status is None:
        return Rules(host, at, None, f"robots.txt of {host} cannot be fetched: {text[:300]}", 0)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Rules(host, at, None, f"robots.txt of {host} answers {status}", 0)
    if status != HTTPStatus.OK or not text.strip():
        return Rules(host, at, None, None, 0)
    try:
        parsed = (
            Protego.parse(text)
            if len(text) <= _AT_ONCE
            else await asyncio.to_thread(Protego.parse, text)  # bounded by _MOST
        )
    except (
        Exception
    ):  # what a parser of foreign text may raise: then there are no rules that anybody can follow
        log.warning("robots_unreadable host=%s", host, exc_info=True)
        return Rules(host, at, None, None, 0)
    return Rules(host, at, parsed, None, len(text))


class Robots:
    """The robots.txt of all hosts, for this daemon. `transport` and `lanes` are those of the pages."""

    def __init__(
        self, db: Database, transport: Transport, lanes_: Lanes, user_agent: str, *, seconds: float
    ) -> None:
        self._db, self._transport, self._lanes, self._agent = db, transport, lanes_, user_agent
        self._limits = Limits(seconds, _MOST, _MOST, whole=False)
        self._rules: OrderedDict[str, Rules] = OrderedDict()
        self._size = 0

    def passage(self, *, overridden: bool = False) -> Passage:
        """The way of one page through the rules. `overridden`: a person decided that it is read all the same."""
        return Passage(self, self._lanes, overridden=overridden)

    async def known(self, host: str, taken: Taken) -> Rules | None:
        """The rules of a host whose lane is ours, None where they are to be fetched (again)."""
        if taken.robots_at is None or taken.robots_age is None:
            return None
        rules = self._rules.get(host)
        if rules is None or rules.at != taken.robots_at:
            row = await lanes.robots_of(self._db, host)
            rules = await read_rules(host, row["robots_status"], row["robots"] or "", row["robots_at"])
            self._remember(rules)
        else:
            self._rules.move_to_end(host)
        fresh = _FRESH if rules.fault is None else _FRESH_FAULT
        return rules if taken.robots_age < fresh else None

    async def learn(self, url: httpx.URL) -> None:
        """Fetch robots.txt of the address' host, in a turn of its own. Raises HostBusy."""
        host = url.host
        place = url.copy_with(raw_path=b"/robots.txt", fragment=None, userinfo=b"")
        status: int | None
        try:
            ask = Ask(str(place), self._agent)
            got = await fetch(self._transport, ask, self._limits, self._plain_lane)
            status, text = got.status, got.body.decode("utf-8", "replace")
        except FetchFault as fault:
            status, text = (HTTPStatus.NOT_FOUND, "") if fault.code == "redirect" else (None, fault.what)
        text = text.removeprefix("\ufeff").replace("\x00", "\ufffd")
        await lanes.keep_robots(self._db, host.lower(), status, text)
        log.info("robots_fetched host=%s status=%s length=%d", host, status, len(text))

    @asynccontextmanager
    async def _plain_lane(self, url: httpx.URL) -> AsyncIterator[Turn]:
        async with self._lanes.lane(url.host) as turn:
            yield turn

    def _remember(self, rules: Rules) -> None:
        old = self._rules.pop(rules.host, None)
        self._size += rules.size - (old.size if old else 0)
        self._rules[rules.host] = rules
        while self._size > _KEPT_CHARACTERS and len(self._rules) > 1:
            _, gone = self._rules.popitem(last=False)
            self._size -= gone.size


class Passage:
    """One page's way: `lane` gives a turn only where robots.txt lets the address through.

    `verdict` is what is to be recorded: allowed, refused, overridden, unknown (no rules were asked for yet). What a
    person decided holds for the page's own host: whereto that one leads, nobody decided.
    """

    def __init__(self, robots: Robots, lanes_: Lanes, *, overridden: bool) -> None:
        self._robots, self._lanes, self._overridden = robots, lanes_, overridden
        self.verdict = "unknown"
        self.turn: Turn | None = None
        self._first: str | None = None  # the page's own host

    @asynccontextmanager
    async def lane(self, url: httpx.URL) -> AsyncIterator[_Checked]:
        """A turn at the address' host, once its rules are known. FetchFault `robots` or `robots-unknown`, HostBusy."""
        host = url.host.lower()
        self._first = self._first or host
        for _ in range(3):
            async with self._lanes.lane(host) as turn:
                rules = await self._robots.known(host, turn.known)
                if rules is not None:
                    turn.delay = rules.delay
                    self.turn = turn
                    self.check(rules, url)
                    yield _Checked(self, rules, turn)
                    return
            await self._robots.learn(url)
        raise FetchFault(f"robots.txt of {host} is never known for long enough", code="robots-unknown")

    def check(self, rules: Rules, url: httpx.URL) -> None:
        """Record the verdict; raise where it is a refusal."""
        if rules.allow(str(url)):
            if self.verdict == "unknown":  # an override on the way here stays the verdict
                self.verdict = "allowed"
            return
        if self._overridden and rules.host == self._first:
            self.verdict = "overridden"
            return
        self.verdict = "refused"
        if rules.fault is not None:
            raise FetchFault(rules.fault, code="robots-unknown")
        raise FetchFault(
            f"robots.txt of {rules.host} refuses {url.raw_path.decode('ascii', 'replace')[:200]} to {AGENT}",
            code="robots",
        )


class _Checked:
    """A turn whose further requests pass the same rules."""

    __slots__ = ("_passage", "_rules", "_turn", "answered", "gave_none")

    def __init__(self, passage: Passage, rules: Rules, turn: Turn) -> None:
        self._passage, self._rules, self._turn = passage, rules, turn
        self.answered, self.gave_none = turn.answered, turn.gave_none

    async def again(self, url: httpx.URL) -> None:
        """As of the turn, where robots.txt lets the address through."""
        self._passage.check(self._rules, url)
        await self._turn.again(url)
