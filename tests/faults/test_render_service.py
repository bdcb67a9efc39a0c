"""The render service as it runs: an ordinary account, Chromium's own sandbox, no way to this machine, a clean end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from policywatch.errors import UsageError
from policywatchd.collect.render import Renderer
from policywatchd.render import memory
from policywatchd.render.main import become_ordinary, cli
from policywatchd.render.wire import Answer, Ask
from tests.daemon.script_web import lacking, neighbour
from tests.unprivileged import Unprivileged, unprivileged

pytestmark = pytest.mark.fault

AGENT = "PolicyWatch/0 (tests)"


def _namespaces(account: Unprivileged) -> bool:
    """Whether the kernel gives the account the namespaces that the sandbox is made of."""
    code = "import subprocess, sys; sys.exit(subprocess.run(['unshare', '-Ur', 'true']).returncode)"
    with account.start("-c", code) as tried:
        tried.communicate(timeout=30)
    return tried.returncode == 0


@pytest.fixture
def account() -> Iterator[Unprivileged]:
    """Whoever runs the service here; skipped without a browser, a failure under REQUIRE_ALL."""
    if missing := lacking():
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail(missing)
        pytest.skip(missing)
    with unprivileged() as found:
        yield found


async def _until_it_answers(service: subprocess.Popen[str], socket: Path) -> None:
    async with asyncio.timeout(30):
        while await Renderer(socket).ping() is None:
            assert service.poll() is None, service.communicate()
            await asyncio.sleep(0.1)


async def _ask(socket: Path, line: bytes) -> Answer:
    reader, writer = await asyncio.open_unix_connection(socket, limit=64 * 1024 * 1024)
    writer.write(line)
    async with asyncio.timeout(40):
        answer = Answer.parse(await reader.readline())
    writer.close()
    return answer


@pytest.mark.needs_browser
async def test_the_service_runs_walled_in_and_ends_with_all_that_it_started(account: Unprivileged) -> None:
    socket = account.folder / "render"
    options = [] if _namespaces(account) else ["--no-sandbox"]
    service = account.start("-m", "policywatchd.render.main", "--socket", str(socket), *options)
    try:
        await _until_it_answers(service, socket)
        async with neighbour() as beside:
            refused = await _ask(socket, Ask(f"http://127.0.0.1:{beside.port}/", AGENT, timeout=30).line())
            metadata = await _ask(socket, Ask("http://169.254.169.254/latest/", AGENT, timeout=30).line())
            local = await _ask(socket, b'{"url": "file:///etc/passwd", "user_agent": "x"}\n')
            assert beside.connects == 0
        started = memory.family(service.pid)
    finally:
        service.send_signal(signal.SIGTERM)
        _, said = service.communicate(timeout=30)

    assert (refused.code, metadata.code) == ("wall", "wall"), (refused, said)
    assert (local.code, local.html) == ("request", "")
    assert len(started) > 3, said
    assert service.returncode == 0, said
    assert not socket.exists()
    async with asyncio.timeout(15):
        while any(Path(f"/proc/{pid}").exists() for pid in started):  # noqa: ASYNC110 (the last ones end by themselves)
            await asyncio.sleep(0.1)


def test_root_renders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(UsageError, match="never runs as root"):
        become_ordinary("root")
    with pytest.raises(UsageError, match="never runs as root"):
        become_ordinary("nobody-of-that-name")


def test_an_ordinary_account_changes_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    become_ordinary(None)
    with pytest.raises(UsageError, match="Only root"):
        become_ordinary("nobody")


def test_the_service_says_that_it_needs_no_database() -> None:
    told = CliRunner().invoke(cli, ["--help"])

    assert told.exit_code == 0 and "no database" in click.unstyle(told.output).lower()
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, policywatchd.render.main; print('psycopg' in sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert loaded.stdout.strip() == "False"
