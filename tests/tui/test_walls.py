"""Walls of the desk's house that a reader of code may miss: pure modules, no markup, nothing heavy at the start."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import policywatch_tui

ROOM = Path(policywatch_tui.__file__).parent
MARKUP = {
    "Static",
    "Label",
    "Button",
    "DataTable",
    "OptionList",
    "Tree",
    "Log",
    "RichLog",
    "notify",
    "Markdown",
}
DRAWN = [*ROOM.glob("screens/*.py"), *ROOM.glob("widgets/*.py"), ROOM / "deskapp.py", ROOM / "session.py"]


def test_the_pure_modules_of_the_desk_know_no_textual_and_no_database() -> None:
    code = (
        "import importlib, pkgutil, sys, policywatch_tui.desk as desk\n"
        "for module in pkgutil.iter_modules(desk.__path__):\n"
        "    importlib.import_module(f'policywatch_tui.desk.{module.name}')\n"
        "import policywatch_tui.session\n"
        "print([name for name in ('textual', 'psycopg', 'asyncpg', 'httpx') if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_first_frame_needs_no_driver_and_nothing_heavy() -> None:
    code = (
        "import os, sys\n"
        "from policywatch_tui import terminal\n"
        "terminal.before_textual(os.environ)\n"
        "import policywatch_tui.deskapp, policywatch_tui.app\n"
        "heavy = ('psycopg', 'psycopg_pool', 'httpx', 'keyring', 'watchfiles', 'rich.markdown', 'jinja2', 'pydantic')\n"
        "print([name for name in heavy if name in sys.modules], len(sys.modules))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, _, count = ran.stdout.strip().rpartition(" ")
    assert found == "[]"
    assert int(count) <= 450, f"{count} modules at the first frame"


def test_no_text_is_handed_to_a_widget_that_reads_markup() -> None:
    """Textual reads `[...]` in these as markup: foreign text would act, or end the desk."""
    found = []
    for path in DRAWN:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in MARKUP:
                    found.append(f"{path.name}:{node.lineno} {name}")
    assert not found


def test_screens_hold_no_sql() -> None:
    for path in DRAWN:
        text = path.read_text().lower()
        assert "select " not in text, path
        assert "policywatch.db" not in text, path


def test_over_ssh_escapes_may_be_slow_and_kitty_keys_are_off() -> None:
    from policywatch_tui.terminal import before_textual

    there = {"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}
    before_textual(there)
    assert there["ESCDELAY"] == "250"
    assert there["TEXTUAL_DISABLE_KITTY_KEY"] == "1"
    here: dict[str, str] = {}
    before_textual(here)
    assert here["ESCDELAY"] == "100"
    assert "TEXTUAL_DISABLE_KITTY_KEY" not in here
    assert here["TEXTUAL_ANIMATIONS"] == "none"


def test_the_private_door_to_the_terminal_is_still_there() -> None:
    """A failure here names the version of Textual that moved it; see policywatch_tui/terminal.py."""
    from textual import __version__
    from textual.app import App

    assert "_driver" in App().__dict__, __version__
    assert hasattr(App(), "cursor_position"), __version__
    assert os.environ.get("PATH")
