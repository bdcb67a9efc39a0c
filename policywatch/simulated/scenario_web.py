"""The web of a scenario: one process on 127.0.0.1, many names and ports, bodies made when they are asked for.

It writes down every request with its place in time, so that politeness is judged by the other side. As a program
(`python -m policywatch.simulated.scenario_web`) it is steered by JSON lines on its standard input and ends with it.
Where the scenario's own server is named, nothing of this runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType

from policywatch.simulated.scenario import BadKind, NoiseKind
from policywatch.simulated.scenario_pages import BODIES, policy_page, stub
from policywatch.simulated.scenario_script import Page, Script, ScriptedDocument, Span
from policywatch.simulated.scenario_texts import other_name

__all__ = ["Answer", "Request", "ScenarioWeb"]

_MAX_HEAD = 16 * 1024
_KEPT_PAGES = 512  # policy pages held in memory
_WAIT = 1200  # seconds, as Retry-After
_HTML = {"Content-Type": "text/html; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `began` and `ended` are seconds of a monotonic clock; `status` 0: no whole answer was given."""

    host: str
    path: str
    round: int
    began: float
    ended: float
    conditional: bool
    status: int
    bad: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent. `cut`: only half of the body comes; `silent`: nothing does."""

    status: HTTPStatus
    headers: dict[str, str]
    body: bytes = b""
    bad: str = ""
    cut: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class _Served:
    body: bytes
    etag: str
    last_modified: str


class ScenarioWeb:
    """The pages of a script. `start` is the time of round 0; each round lasts `round_length`."""

    def __init__(self, script: Script, start: datetime, round_length: timedelta | None = None) -> None:
        self.script, self._start = script, start.replace(microsecond=0)
        self._length = round_length or script.scenario.cadence
        self.round = 0
        self.log: list[Request] = []
        self.ports: list[int] = []
        self._pages = {
            (page.host, page.path): (document, page)
            for document in script.documents
            for page in document.pages
        }
        self._hosts = {host for host, _ in self._pages}
        self._moved = {
            (page.host, f"/new{page.path}"): (document, page)
            for document in script.documents if document.moved_at is not None for page in document.pages
        }  # fmt: skip
        self._kept: OrderedDict[tuple[int, int], tuple[object, _Served]] = OrderedDict()
        self._noise: dict[int, list[tuple[NoiseKind, ...]]] = {}
        self._asked: Counter[tuple[int, int, int]] = Counter()  # requests of a page in a round
        self._flaps: Counter[int] = Counter()
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> ScenarioWeb:
        """Listen on free ports of 127.0.0.1; `ports` says which."""
        for _ in range(self.script.scenario.ports):
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MAX_HEAD)
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])
        return self

    async def stop(self) -> None:
        """Close ports and connections."""
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._servers.clear()

    async def __aenter__(self) -> ScenarioWeb:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # -- what a page is in this round --

    def _struck(self, document: ScriptedDocument) -> tuple[Counter[NoiseKind], int]:
        """How often each noise has struck the document by now, and the last round in which one did."""
        known = self._noise.setdefault(document.number, [])
        while len(known) <= self.round:
            known.append(self.script.noise(document, len(known)))
        last = max((round_ for round_ in range(self.round + 1) if known[round_]), default=0)
        return Counter(kind for kinds in known[: self.round + 1] for kind in kinds), last

    def served(self, document: ScriptedDocument, page: Page, version: int | None = None) -> _Served:
        """A page of this round with the validators that its server sends ("" for none of that kind)."""
        times, touched = self._struck(document)
        if version is None:
            version = document.version(page.number, self.round)
        key, stamp = (document.number, page.number), (version, tuple(sorted(times.items())))
        kept = self._kept.get(key)
        if kept is not None and kept[0] == stamp:
            self._kept.move_to_end(key)
            return kept[1]
        name = f"{document.number}/{page.number}"
        body = policy_page(
            document.platform_name, document.name, name, document.blocks(page.number, version), times
        )
        served = _Served(body, *self._validators(document, page, version, touched, body))
        self._kept[key] = (stamp, served)
        while len(self._kept) > _KEPT_PAGES:
            self._kept.popitem(last=False)
        return served

    def _validators(
        self, document: ScriptedDocument, page: Page, version: int, touched: int, body: bytes
    ) -> tuple[str, str]:
        digest = hashlib.sha256(body).hexdigest()[:20]
        rounds = [one.round for one in document.versions if one.page == page.number]
        changed = rounds[version] if rounds[version] <= self.round else 0  # the other text of a flapping page
        long_ago = self._start - timedelta(days=60)
        match page.validators:
            case "none":
                return "", ""
            case "etag":
                return f'W/"{digest}"', ""
            case "old":  # a file time long past, but later than that of the file before
                return "", _date(long_ago + timedelta(hours=version))
            case "exact":  # a file time before that of the file before; the server compares for equality
                return "", _date(long_ago - timedelta(hours=version))
            case "lying":  # the file time stays as it was
                return "", _date(long_ago)
            case manner:
                at = self._start - timedelta(days=1) + self._length * max(touched, changed)
                return f'"{digest}"' if manner == "both" else "", _date(at)

    # -- answers --

    def answer(self, host: str, path: str, headers: dict[str, str]) -> Answer:
        """What a request gets; it counts as one request of this round."""
        if path == "/robots.txt" and host in self._hosts:
            refused = [
                one.pages[0].path
                for one in self.script.documents
                if one.refused and one.pages[0].host == host
            ]
            text = "User-agent: *\n" + "".join(f"Disallow: {one}\n" for one in refused or ["/private"])
            return Answer(HTTPStatus.OK, {"Content-Type": "text/plain"}, text.encode())
        found = self._pages.get((host, path))
        if found is not None and self._has_moved(found[0]):
            return Answer(HTTPStatus.MOVED_PERMANENTLY, {"Location": f"/new{path}", **_HTML})
        if found is None:
            found = self._moved.get((host, path))
            found = found if found is not None and self._has_moved(found[0]) else None
        if found is None:
            return self._elsewhere(host, path)
        document, page = found
        self._asked[self.round, document.number, page.number] += 1
        span = document.span(page.number, self.round)
        if span is not None and not 0 < span.requests < self._asked[self.round, document.number, page.number]:
            return self._bad(document, page, span)
        version = None
        if document.flaps_at is not None and self.round >= document.flaps_at and page.number == 0:
            self._flaps[document.number] += 1
            version = (self._flaps[document.number] - 1) % 2
        served = self.served(document, page, version)
        extra = {"Cache-Control": "no-cache"}
        if served.etag:
            extra["ETag"] = served.etag
        if served.last_modified:
            extra["Last-Modified"] = served.last_modified
        if _is_held(served, page.validators == "exact", headers):
            return Answer(HTTPStatus.NOT_MODIFIED, extra)
        return Answer(HTTPStatus.OK, extra | _HTML, served.body)

    def _has_moved(self, document: ScriptedDocument) -> bool:
        return document.moved_at is not None and self.round >= document.moved_at

    def _elsewhere(self, host: str, path: str) -> Answer:
        """Beyond the policies: pages that redirects lead to."""
        if host.startswith("parked-"):
            words = ("This domain may be for sale.", "Related searches: credit, travel, insurance.")
            return Answer(HTTPStatus.OK, dict(_HTML), stub("Domain parked", *words), "other_domain")
        if host in self._hosts and path.startswith("/login"):
            return Answer(
                HTTPStatus.OK, dict(_HTML), BODIES[BadKind.LOGIN]("this service", b"", b""), "login_redirect"
            )
        return Answer(HTTPStatus.NOT_FOUND, dict(_HTML), stub("There is no such page"))

    def _bad(self, document: ScriptedDocument, page: Page, span: Span) -> Answer:
        """One page in one of its bad rounds, with validators that tempt a client to keep them."""
        bad, html = span.kind.value, dict(_HTML)
        match span.kind:
            case BadKind.FORBIDDEN:
                return Answer(HTTPStatus.FORBIDDEN, html, stub("403 Forbidden"), bad)
            case BadKind.TOO_MANY:
                return Answer(HTTPStatus.TOO_MANY_REQUESTS, html, stub("Too many requests"), bad)
            case BadKind.TOO_MANY_WAIT:
                return Answer(
                    HTTPStatus.TOO_MANY_REQUESTS, html | {"Retry-After": str(_WAIT)}, stub("Slow down"), bad
                )
            case BadKind.SERVER_ERROR:
                return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, html, stub("Something went wrong"), bad)
            case BadKind.UNAVAILABLE:
                return Answer(HTTPStatus.SERVICE_UNAVAILABLE, html, stub("Service unavailable"), bad)
            case BadKind.NO_ANSWER:
                return Answer(HTTPStatus.OK, html, bad=bad, silent=True)
            case BadKind.LOGIN_REDIRECT:
                return Answer(HTTPStatus.FOUND, html | {"Location": f"/login?next={page.path}"}, b"", bad)
            case BadKind.OTHER_DOMAIN:
                return Answer(
                    HTTPStatus.FOUND,
                    html | {"Location": f"http://parked-{document.platform}.test/"},
                    b"",
                    bad,
                )
            case _:
                pass
        policy = self.served(document, page).body
        if span.kind is BadKind.CUT:
            return Answer(HTTPStatus.OK, html, policy, bad, cut=True)
        body = BODIES[span.kind](document.platform_name, policy, self._other_page(document))
        now = self._start + self._length * self.round + timedelta(hours=1)
        html["Last-Modified"] = _date(now)
        if page.validators in ("both", "etag"):
            html["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        return Answer(HTTPStatus.OK, html, body, bad)

    def _other_page(self, document: ScriptedDocument) -> bytes:
        """The page of another document of the platform; where it has none, of another one of the web."""
        others = [
            one for one in self.script.documents if one.platform == document.platform and one is not document
        ]
        if others:
            other = others[(self.round + document.number) % len(others)]
            return self.served(other, other.pages[0]).body
        name = other_name(self.script.scenario.seed, document.platform)
        return stub(name, f"News from {name}.", "Our new office has opened. Read more about our products.")

    # -- HTTP --

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (
            ConnectionError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            asyncio.CancelledError,
        ):
            pass  # the client went away, or `stop` ended us
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; returns whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        began = time.monotonic()
        first, *lines = head.split("\r\n")
        path = first.split(" ")[1].partition("?")[0]
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        host = headers.get("host", "").partition(":")[0].lower()
        if self.script.scenario.delay:
            await asyncio.sleep(self.script.scenario.delay)
        answer = self.answer(host, path, headers)
        whole = not (answer.silent or answer.cut)
        ended = time.monotonic()  # before the answer leaves: the client may be done with it before we go on
        try:
            if answer.silent:
                await reader.read()  # until the client gives up
                ended = time.monotonic()
            else:
                await self._send(writer, answer)
        finally:
            conditional = "if-none-match" in headers or "if-modified-since" in headers
            status = answer.status.value if whole else 0
            self.log.append(Request(host, path, self.round, began, ended, conditional, status, answer.bad))
        return whole and headers.get("connection", "").lower() != "close"

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        if answer.status is not HTTPStatus.NOT_MODIFIED:
            lines.append(f"Content-Length: {len(answer.body)}")
        body = answer.body[: len(answer.body) // 2] if answer.cut else answer.body
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        await writer.drain()


def _date(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC), usegmt=True)


def _is_held(served: _Served, exact: bool, headers: dict[str, str]) -> bool:
    """Whether the client holds this version (RFC 9110, 13.1); `exact`: dates are compared for equality."""
    if tags := headers.get("if-none-match"):
        named = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return bool(served.etag) and served.etag.removeprefix("W/") in named
    since = headers.get("if-modified-since")
    if not since or not served.last_modified:
        return False
    try:
        held, ours = parsedate_to_datetime(since), parsedate_to_datetime(served.last_modified)
    except ValueError:
        return False
    return held == ours if exact else ours <= held
