"""The desk as people use it: `policywatch` in a terminal of 80x24, keys in, rows of the database out.

Prints the screen and the row after each key (`pytest -s`), so that a reader can hold both against the help.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.databases import Scratch

pytestmark = [pytest.mark.needs_db, pytest.mark.story]
SEED = Path(__file__).parents[1] / "sql" / "many_changes.sql"
_DEADLINE_SECONDS = 20.0
_START_SECONDS = 3.0
_SLACK = float(os.environ.get("POLICYWATCH_TEST_SLACK", "3" if os.environ.get("CI") else "1"))


class Tmux:
    """One window of 80x24 in a server of its own; use as a context."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "tmux")

    def __enter__(self) -> Tmux:
        return self

    def __exit__(self, *_error: object) -> None:
        self._run("kill-server", check=False)

    def _run(self, *arguments: str, check: bool = True) -> str:
        command = ["tmux", "-S", self.socket, "-f", os.devnull, *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, check=check, timeout=20)
        return ran.stdout

    def start(self, command: list[str], env: dict[str, str]) -> None:
        """Run a command in the window; its exit code stays in the pane afterwards."""
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())
        line = f"env {words} {shlex.join(command)}; echo exit=$?; sleep 60"
        self._run("new-session", "-d", "-x", "80", "-y", "24", "-s", "desk", "sh", "-c", line)

    def press(self, *keys: str) -> None:
        """Keys by tmux's names."""
        self._run("send-keys", "-t", "desk", *keys)

    def screen(self) -> str:
        """What stands there."""
        return self._run("capture-pane", "-p", "-t", "desk")

    def until(self, condition: Callable[[str], bool], what: str) -> str:
        """Wait for the screen to be so; fail with what stands there instead."""
        end = time.monotonic() + _DEADLINE_SECONDS
        while True:
            seen = self.screen()
            if condition(seen):
                return seen
            assert time.monotonic() < end, f"{what} did not come:\n{seen}"
            time.sleep(0.05)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """A terminal, where the program for it is there."""
    if shutil.which("tmux") is None:
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail("tmux is missing and REQUIRE_ALL is set")
        pytest.skip("tmux is missing: the desk was not tried in a terminal")
    with Tmux(tmp_path) as window:
        yield window


def settings_of(conninfo: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """A settings file for that login, and the environment that holds its password."""
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    password = parts.pop("password")
    path = folder / "policywatch.yaml"
    path.write_text(
        "database:\n"
        "  mode: dsn\n"
        f"  dsn: {make_conninfo(**parts)!r}\n"
        f"  user: {parts['user']}\n"
        "  password: {secret: desk}\n"
        f"  state_folder: {folder / 'state'}\n",
        encoding="utf-8",
    )
    (folder / "state").mkdir(mode=0o700)
    return path, {
        "POLICYWATCH_SECRET_DESK": password,
        "TZ": "UTC",
        "TERM": "screen-256color",
        "LC_ALL": "C.UTF-8",
    }


def row_of(database: Scratch, change_id: int) -> tuple[str, str | None, int]:
    """Status, verdict, version as the database has them."""
    (row,) = database.run(
        "SELECT status, verdict, version FROM app.change_states WHERE change_id = %s", change_id
    )
    return row["status"], row["verdict"], row["version"]


def test_the_desk_in_a_terminal_does_what_its_help_says(
    database: Scratch, tmux: Tmux, tmp_path: Path
) -> None:
    # given: 500 changes, and a reviewer
    database.run(SEED.read_text(encoding="utf-8"))
    order = database.run(
        "SELECT change_id FROM app.change_states WHERE status = 'queued' ORDER BY rank DESC, detected_at, change_id LIMIT 2"
    )
    first, second = (row["change_id"] for row in order)
    path, env = settings_of(database.person("ben", "reviewer"), tmp_path)

    def show(key: str, seen: str) -> None:
        print(f"--- after {key}; C-{second} is {row_of(database, second)}\n{seen}")

    # when: the desk opens; then: its queue is there within three seconds
    began = time.monotonic()
    program = str(Path(sys.executable).with_name("policywatch"))
    tmux.start([program, "--config", str(path)], env)
    seen = tmux.until(
        lambda text: "500 undecided, 50 critical" in text and "row   1/500" in text, "the queue"
    )
    spent = time.monotonic() - began
    show(f"the start ({spent:.2f} s)", seen)
    assert spent <= _START_SECONDS * _SLACK
    assert seen.splitlines()[2].startswith(">   CRIT")

    # j: the cursor is on the second row, nothing is stored
    tmux.press("j")
    seen = tmux.until(lambda text: text.splitlines()[3].startswith(">"), "the cursor on the second row")
    show("j", seen)
    assert row_of(database, second) == ("queued", None, 1)

    # enter: the change is open, nothing is stored
    tmux.press("Enter")
    seen = tmux.until(lambda text: "--- 1/2" in text, "the change")
    show("enter", seen)
    assert f"C-{second}" in seen
    assert "- 14.2 Any dispute is decided by the courts." in seen
    assert "+ 14.2 Any dispute is decided by arbitration." in seen
    assert row_of(database, second) == ("queued", None, 1)

    # ]: the next passage
    tmux.press("]")
    seen = tmux.until(lambda text: "passage 1/2" in text, "the first passage")
    tmux.press("]")
    seen = tmux.until(lambda text: "passage 2/2" in text, "the second passage")
    show("]", seen)

    # a: accepted, on the screen and in the database
    tmux.press("a")
    seen = tmux.until(lambda text: "accepted by you" in text, "the verdict")
    show("a", seen)
    assert row_of(database, second) == ("decided", "accepted", 2)

    # q: back in the queue; the decided row stands where it stood, under the cursor
    tmux.press("q")
    seen = tmux.until(lambda text: text.startswith("Queue  499 undecided"), "the queue again")
    show("q", seen)
    assert seen.splitlines()[3].startswith("> + CRIT")

    # u: undecided again
    tmux.press("u")
    seen = tmux.until(lambda text: text.startswith("Queue  500 undecided"), "the undo")
    show("u", seen)
    assert row_of(database, second) == ("queued", None, 3)
    assert row_of(database, first) == ("queued", None, 1)

    # q at the root: the desk ends with 0 and leaves the terminal clean
    tmux.press("q")
    seen = tmux.until(lambda text: "exit=" in text, "the end")
    assert "exit=0" in seen
    sessions = database.run("SELECT ended_at FROM app.user_sessions WHERE kind = 'desk'")
    assert [row["ended_at"] is not None for row in sessions] == [True]


def test_two_desks_see_each_others_verdicts(database: Scratch, tmp_path: Path) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is missing: two desks were not tried")
    database.run(SEED.read_text(encoding="utf-8"))
    program = str(Path(sys.executable).with_name("policywatch"))
    folders = [tmp_path / name for name in ("ben", "ana")]
    for folder in folders:
        folder.mkdir()
    with Tmux(folders[0]) as ben, Tmux(folders[1]) as ana:
        for window, folder in ((ben, folders[0]), (ana, folders[1])):
            path, env = settings_of(database.person(folder.name, "reviewer"), folder)
            window.start([program, "--config", str(path)], env)
            window.until(lambda text: "500 undecided" in text, "the queue")

        ben.press("x")
        ben.until(lambda text: "no_effect by you" in text, "one's own verdict")
        seen = ana.until(
            lambda text: "no_effect by pwt" in text and "499 undecided" in text, "the other's verdict"
        )
        assert seen.splitlines()[2].startswith("> o CRIT")

        ana.press("a")
        ana.until(lambda text: "decided C-" in text, "who was first")
        ben.press("q")
        ana.press("q")
