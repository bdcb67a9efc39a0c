"""Pages that a test tells word for word, beside the pretend web's own, and a clock that moves when the test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from policywatch.settings import Settings
from policywatch.simulated.texts import PLATFORMS, Document, original
from policywatch.simulated.world import platforms_settings
from policywatchd.collect.visit import Visited
from policywatchd.once import once
from policywatchd.service import Service
from tests.daemon.collecting_world import TODAY, World, open_world
from tests.databases import Scratch

__all__ = ["LEAVE", "LOGIN", "TODAY", "TOLD", "Told", "changed", "page", "policy", "told_world"]

NAME = "x/terms-of-service"
TOLD = original(Document("x", "terms-of-service"))
LEAVE = "You may appeal against a suspension within 14 days."
LOGIN = "<h1>Log in to X</h1><p>Please sign in to continue. You must log in to see this page.</p>" + (
    "<p>Forgot your password? Create a new account. Sign up with your telephone number.</p>" * 3
)


def changed(words: str) -> str:
    """The policy with one sentence put in the place of the one on appeals."""
    assert LEAVE in TOLD
    return TOLD.replace(LEAVE, words)


def policy(text: str = TOLD, *, around: str = "") -> bytes:
    """A page whose declared region holds that text, one paragraph or heading a block."""
    blocks = []
    for block in text.strip().split("\n\n"):
        mark, _, words = block.partition(" ")
        level = len(mark) if set(mark) == {"#"} else 0
        blocks.append(f"<h{level}>{words}</h{level}>" if level else f"<p>{block}</p>")
    return f"<html><title>Terms</title>{around}<main>{''.join(blocks)}</main></html>".encode()


def page(path: str, **more: Any) -> dict[str, Any]:
    """A page of the settings."""
    return {"url": f"http://x.test/{path}", "select": ["main"], **more}


@dataclass
class Told:
    """One document of X whose pages say what the test put there."""

    world: World
    service: Service
    settings: Settings
    pages: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)

    def say(self, *bodies: bytes | str, path: str = "terms-of-service", status: int = 200) -> None:
        """From now on: one body per request, the last one for all that follow. Words alone are a whole policy."""
        self.pages["/" + path] = [
            (status, body if isinstance(body, bytes) else policy(body)) for body in bodies
        ]

    async def look(self) -> Visited:
        """One visit of the document, due or not."""
        report = await once(self.service, [NAME])
        (visited,) = report.visits
        return visited

    async def looks(self, *bodies: bytes | str, apart: str = "31 min") -> list[str]:
        """A visit for each body (each said for all requests of the visit), so far apart; the outcomes."""
        outcomes = []
        for body in bodies:
            self.later(apart)
            self.say(body)
            outcomes.append((await self.look()).outcome)
        return outcomes

    def set(self, pages: list[dict[str, Any]], **fetch: Any) -> None:
        """Other pages or fetch settings, as an edit of the YAML brings them."""
        self.settings = self.service.settings = _settings(pages, **fetch)

    def later(self, interval: str) -> None:
        """The database's clock goes on."""
        self.world.scratch.move_clock(interval)

    def requests(self, path: str = "/terms-of-service") -> int:
        """How often a page was asked for."""
        return sum(request.path == path for request in self.world.web.log)

    def changes(self) -> list[dict[str, Any]]:
        """Every change with its place in the queue, the oldest first."""
        return self.world.rows(
            "SELECT s.change_id AS id, s.status, s.looks, s.reverts, s.alternates, s.same_as, s.severity, c.noise_kind AS noise,"
            " s.second_look_at IS NOT NULL AS waits FROM app.change_states s JOIN app.policy_changes c ON c.id = s.change_id"
            " ORDER BY s.change_id"
        )

    def statuses(self) -> list[str]:
        """Of every change, the oldest first."""
        return [change["status"] for change in self.changes()]

    def document(self) -> dict[str, Any]:
        """The document's own row."""
        (row,) = self.world.rows("SELECT * FROM app.policy_documents WHERE key = 'terms-of-service'")
        return row

    def first_page(self) -> dict[str, Any]:
        """The row of its first page."""
        return self.world.rows("SELECT * FROM app.document_pages WHERE state = 'active' ORDER BY position")[0]

    def believed(self) -> str:
        """The hash of the text that is believed now."""
        return str(
            self.world.value(
                "SELECT encode(s.text_sha256, 'hex') FROM app.policy_documents d JOIN app.policy_snapshots s"
                " ON s.id = d.newest_snapshot WHERE d.key = 'terms-of-service'"
            )
        )

    def audited(self, prefix: str) -> list[str]:
        """The actions of the audit log that begin so, in order."""
        return [
            row["action"]
            for row in self.world.rows(
                "SELECT action FROM app.audit_log WHERE action LIKE %s ORDER BY id", prefix + "%"
            )
        ]


def _settings(pages: list[dict[str, Any]], **fetch: Any) -> Settings:
    platforms = platforms_settings(PLATFORMS[:1], cadence="1 h")
    terms = platforms["x"]["documents"]["terms-of-service"] | {"pages": pages}
    platforms["x"]["documents"] = {"terms-of-service": terms}
    quick = {"min_gap": "1 ms", "timeout": "2 s", "second_look": "off"}
    made = Settings.model_validate({"catalogue": "none", "platforms": platforms, "fetch": {**quick, **fetch}})
    made._sha256 = repr((pages, fetch))
    return made


@asynccontextmanager
async def told_world(
    scratch: Scratch, pages: list[dict[str, Any]] | None = None, **fetch: Any
) -> AsyncIterator[Told]:
    """A world with one document, terms of X, whose page says `TOLD` until the test says otherwise."""
    scratch.replace_clock()
    async with open_world(scratch, PLATFORMS[:1]) as world:
        service = await world.service()
        told = Told(world, service, service.settings)
        told.set(pages or [page("terms-of-service")], **fetch)
        told.say(TOLD)
        own = world.web._answer

        def answer(method: str, host: str, path: str, headers: dict[str, str]) -> Any:
            script = told.pages.get(path)
            if script is None:
                return own(method, host, path, headers)
            status, body = script.pop(0) if len(script) > 1 else script[0]
            return HTTPStatus(status), {"Content-Type": "text/html; charset=utf-8"}, body

        world.web._answer = answer  # type: ignore[method-assign]
        yield told
