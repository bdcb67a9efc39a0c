"""An editor at the command line: what came over the wire, a stub taken for the policy, a rule tried, a history exported.

The commands run beside a real daemon's rooms, which visit a pretend page and serve what the commands ask.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from policywatch_tui.commands.base import run_guarded
from policywatch_tui.main import cli
from policywatchd.upkeep.requests import serve_waiting
from tests.daemon.told_pages import LOGIN, TOLD, Told, changed, policy, told_world
from tests.databases import Scratch, for_settings

pytestmark = [pytest.mark.needs_db, pytest.mark.story]

NAME = "x/terms-of-service"
STUB = policy("# Terms of Service\n\n" + "You may use this service as the law of your country allows. " * 4)


@dataclass
class Editor:
    """A command line in front of a database that a daemon serves."""

    told: Told
    capfd: pytest.CaptureFixture[str]

    async def typed(self, *arguments: str, code: int = 0) -> str:
        """A command that ends so; what it printed. The daemon serves what it asks meanwhile."""
        self.capfd.readouterr()
        running = asyncio.create_task(asyncio.to_thread(run_guarded, cli, list(arguments)))
        while not running.done():
            await serve_waiting(self.told.service)
            await asyncio.wait([running], timeout=0.1)
        out, err = self.capfd.readouterr()
        assert running.result() == code, (arguments, out, err)
        return out if code == 0 else out + err

    async def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        found = json.loads(await self.typed("--json", *arguments, code=code))
        assert isinstance(found, dict)
        return found


@pytest_asyncio.fixture
async def editor(
    database: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> AsyncIterator[Editor]:
    dsn = for_settings(database.person("edna", "editor"), monkeypatch)
    settings = tmp_path / "policywatch.yaml"
    daemon = database.cluster.role("daemon")
    monkeypatch.setenv("POLICYWATCH_SECRET_THEIRS", database.cluster.password(daemon))
    settings.write_text(
        f"database:\n  mode: dsn\n  dsn: {dsn}\n  user: {database.login_name('edna')}\n"
        f"  daemon_user: {daemon}\n  daemon_password: {{secret: theirs}}\n  state_folder: {tmp_path}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("POLICYWATCH_CONFIG", str(settings))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    async with told_world(database) as told:
        yield Editor(told, capfd)


async def test_a_stub_that_replaced_a_policy_is_taken_after_two_looks(editor: Editor) -> None:
    # Given a policy that was read, and a page that is a login now
    told = editor.told
    assert await told.looks(TOLD) == ["first"]
    assert await told.looks(LOGIN) == ["failed"]

    # When an editor would take the first of such captures, then it is too early
    (one,) = (await editor.json("documents", "captures", NAME, "--suspect"))["captures"]
    assert (one["state"], one["acceptable"]) == ("suspect", False)
    assert one["cause"] and one["quality"] > 0
    said = await editor.typed("documents", "accept-capture", str(one["id"]), code=1)
    assert "not the newest of at least two suspect ones" in said

    # When the page stays so, then the newest can be taken, once, and the queue gets the change
    assert await told.looks(LOGIN) == ["failed"]
    newest = (await editor.json("documents", "captures", NAME, "--suspect"))["captures"][0]
    assert newest["acceptable"]
    assert (await editor.json("documents", "accept-capture", str(newest["id"])))["ok"]
    assert "accepted capture" in await editor.typed("documents", "accept-capture", str(newest["id"]), code=1)
    visited = await told.look()
    assert visited.outcome == "change"
    assert told.statuses() == ["queued"]
    assert "capture.accept" in told.audited("capture.")


async def test_what_came_over_the_wire_is_shown_as_it_came(editor: Editor) -> None:
    body = policy(around="<!-- a mark that no reader reads -->")
    await editor.told.looks(body)

    (page,) = (await editor.json("documents", "show", NAME, "--raw"))["pages"]
    assert page["body"] == body.decode()
    assert page["status"] == 200
    text = await editor.typed("documents", "show", NAME)
    assert text.startswith("# Terms of Service") and "no reader reads" not in text
    assert "no snapshot" in await editor.typed("documents", "show", NAME, "--at", "2001-01-01", code=1)


async def test_a_rule_is_tried_and_a_filter_held_against_the_past(editor: Editor) -> None:
    told = editor.told
    await told.looks(TOLD, changed("You may appeal against a suspension within 7 days."))

    tried = await editor.json("documents", "test", NAME)
    assert [page["trial"] for page in tried["pages"]] == ["good"]
    found = await editor.json("documents", "preview", NAME, "--remove", "p")
    assert (found["changes"], found["removed"], found["accepted"]) == (1, 1, 0)
    assert "Say --filter NAME" in await editor.typed("documents", "preview", NAME, code=2)

    told.say("Nothing of the kind.")
    assert (await editor.json("documents", "test", NAME, code=1))["pages"][0]["trial"] == "failed"
    assert await editor.json("documents", "reextract", NAME)


async def test_a_history_is_exported_as_files_that_an_import_reads(editor: Editor, tmp_path: Path) -> None:
    await editor.told.looks(TOLD)
    editor.told.later("1 hour")
    await editor.told.looks(changed("You may appeal against a suspension within 7 days."))

    report = await editor.json("documents", "export", NAME, "out")

    files = sorted((tmp_path / "out" / "X" / "Terms of Service").iterdir())
    assert report["versions"] == len(files) == 2
    assert "within 14 days" in files[0].read_text("utf-8")
    assert "within 7 days" in files[1].read_text("utf-8")
    plan = await editor.typed("import", "out", "--dry-run")
    assert "x/terms-of-service" in plan and "2" in plan
