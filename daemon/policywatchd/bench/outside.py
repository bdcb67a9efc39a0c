"""A scenario whose web is somebody else's: an HTTP server on loopback, and no other address.

Its requests are counted on our side of the wall. What really changed is known only as far as the file says it:
in which round which document.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpcore
import httpx

from policywatch.errors import PolicyWatchError
from policywatch.simulated.scenario import Scenario, Server
from policywatch.simulated.scenario_server import figures
from policywatch.simulated.scenario_web import Request
from policywatchd.bench.truth import FAULTS
from policywatchd.collect.fetch import Transport
from policywatchd.service import Network

__all__ = ["OutsideTruth", "OutsideWeb", "outside_web", "platforms_of"]

_ROUNDS_LATER = 2  # a change may be reported so many rounds after the one in which it appears


def platforms_of(scenario: Scenario) -> dict[str, Any]:
    """The section `platforms` of the settings."""
    found: dict[str, Any] = {}
    for one in scenario.outside:
        platform = found.setdefault(one.platform, {"name": one.platform, "documents": {}})
        pages = [{"select": ["body"], **scenario.rule, **page} for page in one.settings["pages"]]
        platform["documents"][one.key] = {**one.settings, "pages": pages}
    return found


class _Body:
    """The body of an answer, whose end is the end of the request."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream, self._ended = stream, ended

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        self._ended()
        await self._stream.aclose()


class _Watch:
    """Stands before the wall and writes down what passes, from the request to the end of its answer."""

    def __init__(self, wall: Transport, log: list[Request]) -> None:
        self._wall, self._log = wall, log

    async def send(
        self, url: httpx.URL, headers: Sequence[tuple[bytes, bytes]], connect_within: float
    ) -> httpcore.Response:
        names = {name.lower() for name, _ in headers}
        conditional = not names.isdisjoint((b"if-none-match", b"if-modified-since"))
        began, status = time.monotonic(), 0

        def ended() -> None:
            now = time.monotonic()
            self._log.append(Request(url.host, url.path, 0, began, now, conditional, status, ""))

        try:
            answer = await self._wall.send(url, headers, connect_within)
        except BaseException:
            ended()
            raise
        status = answer.status
        return httpcore.Response(
            answer.status,
            headers=answer.headers,
            content=_Body(answer.stream, ended),
            extensions=answer.extensions,
        )


class OutsideWeb:
    """The server of a scenario, with the face of our own web."""

    pid: int | None = None

    def __init__(self, server: Server, client: httpx.AsyncClient, gap: float) -> None:
        self._server, self._client, self._gap = server, client, gap
        self._log: list[Request] = []
        self._before: dict[str, float] = {}

    @property
    def network(self) -> Network:
        """Every name is that server; nothing else is open."""
        place = (self._server.host, self._server.port)

        async def resolve(host: str, port: int) -> list[tuple[str, int]]:
            return [place]

        return Network(resolve, frozenset({place}), lambda wall: _Watch(wall, self._log))

    async def begin(self, round_: int) -> None:
        """Tell the server, where it wants to be told."""
        if self._server.advance is None:
            return
        path = self._server.advance.replace("{round}", str(round_))
        try:
            answer = await self._client.get(f"http://{self._server.host}:{self._server.port}{path}")
            answer.raise_for_status()
        except httpx.HTTPError as fault:
            raise PolicyWatchError(
                f"The outside server did not begin round {round_}: {fault}.",
                remedy="Start it first; server.advance of the scenario is asked before each round.",
            ) from None

    async def figures(self) -> dict[str, Any]:
        """What passed since it was asked last."""
        log, self._log[:] = list(self._log), []
        return figures(log, self._gap, self._before) | {"refused_paths": []}


@asynccontextmanager
async def outside_web(server: Server, gap: float) -> AsyncIterator[OutsideWeb]:
    """The outside server, for as long as the context is open."""
    async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
        yield OutsideWeb(server, client, gap)


@dataclass(slots=True)
class OutsideTruth:
    """The judge of a run whose texts nobody knows: documents and rounds alone, where the file names them."""

    scenario: Scenario
    length: timedelta
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[dict[str, Any]] = field(default_factory=list)
    reports: list[tuple[int, str]] = field(default_factory=list)

    def fault(self, kind: str, document: str, round_: int, **more: object) -> None:
        """Count a fault and keep its circumstances."""
        self.counts[kind] += 1
        self.notes.append({"fault": kind, "document": document, "round": round_, **more})

    def snapshot(self, name: str, kind: str, text: str, round_: int) -> None:
        """Texts cannot be judged here."""

    def report(
        self, name: str, number: int, before: str, after: str, round_: int, *, linked: bool = False
    ) -> None:
        """A change that reached the queue in that round."""
        self.reports.append((round_, name))

    def end_round(self, round_: int, at: datetime, standing: Sequence[Mapping[str, Any]]) -> None:
        """Health cannot be judged here."""

    def finish(self, standing: Sequence[Mapping[str, Any]], texts: Mapping[str, str]) -> None:
        """Each named change takes the first report of its document from its round on; what is left is false."""
        if self.scenario.truth is None:
            return
        left = sorted(self.reports)
        for real in sorted(self.scenario.truth, key=lambda one: one.round):
            mine = [one for one in left if one[1] == real.document and one[0] >= real.round]
            if not mine and real.round + _ROUNDS_LATER <= self.scenario.rounds:
                self.fault("missed", real.document, real.round)
            if mine:
                left.remove(mine[0])
                if mine[0][0] > real.round + _ROUNDS_LATER:
                    self.fault("late", real.document, mine[0][0])
        for round_, name in left:
            self.fault("false_alarms", name, round_)

    def figures(self) -> dict[str, Any]:
        """All faults by name, and what was to be found."""
        changes = None if self.scenario.truth is None else len(self.scenario.truth)
        return {
            "changes": changes,
            "changes_found": len(self.reports),
            "faults": {name: self.counts[name] for name in FAULTS},
        }
