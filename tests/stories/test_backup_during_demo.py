"""Backups while the demo works: each is whole at its own moment, and one restored beside it sends nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from policywatch.db.embedded import Server

pytestmark = [pytest.mark.needs_db, pytest.mark.story]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: the server's socket has its place in it."""
    made = Path(tempfile.mkdtemp(prefix="policywatch-demo-", dir="/tmp"))
    yield made / "kept"
    if (made / "kept" / "state").exists():
        Server(made / "kept" / "state").stop()
    shutil.rmtree(made, ignore_errors=True)


async def policywatch(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "policywatch_tui.main", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("POLICYWATCH_")},
    )  # fmt: skip


async def told(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The object that a command printed; it must have ended well."""
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found: dict[str, Any] = json.loads(out)
    return found


async def test_backups_during_the_demo_are_whole_and_one_restored_is_frozen(folder: Path) -> None:
    folder.parent.chmod(0o711)
    settings = ("--config", str(folder / "policywatch.yaml"), "--json")
    async with asyncio.timeout(150):
        demo = await policywatch("demo", "--headless", "--json", "--keep", str(folder))
        story = asyncio.create_task(told(demo))
        log = folder / "policywatchd.log"
        while not story.done() and not (log.exists() and "daemon_started" in log.read_text("utf-8")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        made = []
        while not story.done():
            backup = await policywatch(*settings, "backup", "create")
            out, _ = await backup.communicate()
            if backup.returncode == 0:  # the last one may meet the end of the demo and its server
                made.append(json.loads(out))
            else:
                await asyncio.wait([story], timeout=20)
                assert story.done(), "a backup failed while the demo worked"
        figures = await story
        restored = [
            await told(
                await policywatch(*settings, "backup", "restore", one["backup"], "--into", f"copy{number}")
            )
            for number, one in enumerate((made[0], made[-1]))
        ]

    assert figures["sent"] == figures["mails_received"] > 0
    sizes = [sum(one["rows"].values()) for one in made]
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0], "the demo went on between them"
    for one, copy in zip((made[0], made[-1]), restored, strict=True):
        assert (copy["rows"], copy["frozen"]) == (sum(one["rows"].values()), True)
        with psycopg.connect(Server(folder / "state").conninfo("postgres", copy["database"])) as connection:
            frozen = connection.execute("SELECT value FROM app.system_config WHERE key = 'frozen'").fetchone()
        assert frozen == (True,)
