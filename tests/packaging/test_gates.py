"""The gates of `make check` are seen to close: on planted faults in a copy, and on rules that no linter knows."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONTRACTS = [contract["name"] for contract in PROJECT["tool"]["importlinter"]["contracts"]]
PACKAGES = {
    "policywatch": ROOT / "policywatch",
    "policywatch_tui": ROOT / "tui" / "policywatch_tui",
    "policywatchd": ROOT / "daemon" / "policywatchd",
}
MODULES = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))
STATEMENTS = sorted((ROOT / "policywatch" / "db" / "sql").glob("*.sql"))
MIGRATIONS = sorted((ROOT / "migrations").rglob("*.sql"))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Planted faults --------------------------------------------------------------------------------------


class Copy:
    """The three packages in a folder of their own, imported from there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "pyproject.toml", folder)
        for source in PACKAGES.values():
            there = folder / source.relative_to(ROOT)
            shutil.copytree(source, there, ignore=shutil.ignore_patterns("__pycache__"))
        self.env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(folder / part) for part in (".", "tui", "daemon")),
            "COLUMNS": "400",
        }

    def plant(self, module: str, line: str) -> None:
        """Add a line to a module; `package/module.py` below its package's folder."""
        path = self.folder / module
        path.write_text(f"{path.read_text('utf-8')}\n{line}\n", encoding="utf-8")

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=180,
        )  # fmt: skip

    def broken(self) -> set[str]:
        """The names of the contracts that lint-imports calls broken."""
        told = self.run(BIN / "lint-imports")
        words = " ".join(told.stdout.split())
        states = {name: re.search(re.escape(name) + r" (KEPT|BROKEN)", words) for name in CONTRACTS}
        assert all(states.values()), told.stdout + told.stderr
        found = {name for name, state in states.items() if state is not None and state[1] == "BROKEN"}
        assert told.returncode == (1 if found else 0)
        return found


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[Copy]:
    yield Copy(tmp_path)


#: A word of the contract's name, the module that is spoilt, and the import that spoils it.
PLANTED = [
    ("each floor imports only", "tui/policywatch_tui/terminal.py", "import policywatchd.schedule"),
    ("each floor imports only", "daemon/policywatchd/schedule.py", "import policywatch_tui.terminal"),
    ("each floor imports only", "policywatch/settings/load.py", "import policywatch.db.pool"),
    ("the pretend world", "daemon/policywatchd/schedule.py", "import policywatch.simulated.web"),
    ("the pretend world", "tui/policywatch_tui/terminal.py", "import policywatch.simulated.world"),
    ("only policywatch.db speaks", "daemon/policywatchd/schedule.py", "import psycopg"),
    ("only policywatch.db speaks", "tui/policywatch_tui/terminal.py", "import psycopg_pool"),
    ("are pure", "policywatch/domain/changes.py", "import asyncio"),
    ("are pure", "policywatch/guidance/rendering.py", "import socket"),
    ("textual lives", "tui/policywatch_tui/desk/triage.py", "import textual.app"),
    ("httpx, asyncio-pool", "tui/policywatch_tui/terminal.py", "import httpx"),
    ("httpx, asyncio-pool", "policywatch/bounded.py", "import asyncio_pool"),
    ("playwright in the render", "daemon/policywatchd/collect/ladder.py", "import playwright.async_api"),
    ("the render service meets", "daemon/policywatchd/render/page.py", "import policywatch.db.pool"),
    ("keyring in secrets", "daemon/policywatchd/schedule.py", "import yaml"),
    ("keyring in secrets", "policywatch/db/pool.py", "import keyring"),
]


@pytest.mark.parametrize(("contract", "module", "line"), PLANTED, ids=[f"{m}: {i}" for _, m, i in PLANTED])
def test_a_forbidden_import_breaks_its_contract(copied: Copy, contract: str, module: str, line: str) -> None:
    copied.plant(module, line)

    assert [name for name in copied.broken() if contract in name]


def test_without_a_planted_import_every_contract_holds(copied: Copy) -> None:
    assert copied.broken() == set()


def test_every_contract_was_seen_to_break() -> None:
    unseen = [name for name in CONTRACTS if not any(contract in name for contract, _, _ in PLANTED)]

    assert unseen == []


def test_a_wrong_type_and_a_missing_one_are_refused(copied: Copy) -> None:
    module = "policywatch/errors.py"
    copied.plant(
        module, 'def planted() -> int:\n    return "text"\n\n\ndef untyped(value):\n    return value'
    )

    told = copied.run(BIN / "mypy", "--cache-dir", copied.folder / "cache", module)

    assert told.returncode == 1, told.stderr
    assert "Incompatible return value type" in told.stdout
    assert "[no-untyped-def]" in told.stdout


def test_an_unused_import_and_odd_spacing_are_refused(copied: Copy) -> None:
    module = "policywatch/errors.py"
    copied.plant(module, "import  json")

    assert "F401" in copied.run(BIN / "ruff", "check", "--no-cache", module).stdout
    assert copied.run(BIN / "ruff", "format", "--no-cache", "--check", module).returncode == 1


# make ------------------------------------------------------------------------------------------------


def test_make_alone_lists_every_target() -> None:
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=30)

    assert told.returncode == 0, told.stderr
    listed = set(re.findall(r"^  ([a-z-]+) ", told.stdout, re.MULTILINE))
    assert listed >= {"run", "demo", "test", "test-fast", "check", "wheel"}
    declared = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert declared is not None
    assert listed == set(declared[1].split())


def test_make_check_runs_every_gate() -> None:
    told = subprocess.run(["make", "-n", "check"], cwd=ROOT, capture_output=True, text=True, timeout=30)

    for gate in ("ruff format --check .", "ruff check .", "mypy", "mypy tests", "lint-imports"):
        assert re.search(rf"/{re.escape(gate)}$", told.stdout, re.MULTILINE), gate


# Sizes -----------------------------------------------------------------------------------------------

#: Longer ones, each with its reason.
LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def test_modules_are_shorter_than_400_lines() -> None:
    long = {shown(path) for path in MODULES if len(path.read_text("utf-8").splitlines()) >= 400}

    assert long == set(LONG_MODULES)


def test_functions_are_shorter_than_60_lines() -> None:
    long = {
        f"{shown(path)}: {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 >= 60
    }

    assert long == set(LONG_FUNCTIONS)


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        shown(path)
        for path in MODULES
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]

    assert silent == []


# SQL and clocks --------------------------------------------------------------------------------------

_STATEMENT = re.compile(
    r"\s*(SELECT\s|INSERT INTO\s|UPDATE\s+\S+\s+SET\s|DELETE FROM\s|TRUNCATE\s|MERGE INTO\s|WITH\s+\w+\s+AS\s*\("
    r"|(CREATE|ALTER|DROP)\s+(OR REPLACE\s+)?(TABLE|ROLE|USER|DATABASE|SCHEMA|EXTENSION|FUNCTION|VIEW|INDEX)\s"
    r"|GRANT\s|REVOKE\s|COPY\s|LISTEN\s|NOTIFY\s|BEGIN;|COMMIT;)"
)
#: Text that looks like a statement and is none.
NO_STATEMENTS = {"policywatch/db/migrate.py": "the source of app.pw_now(), compared and never run"}


def test_statements_stand_in_sql_files_alone() -> None:
    guilty = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                if _STATEMENT.match(text):
                    guilty.add(shown(path))

    assert guilty == set(NO_STATEMENTS)


_SQL_CLOCK = re.compile(
    r"\b(now\s*\(\s*\)|(clock|statement|transaction)_timestamp\s*\(|current_(timestamp|date|time)\b|local(timestamp|time)\b|timeofday\s*\()",
    re.IGNORECASE,
)
#: Where another clock than app.pw_now() may stand, and how often.
SQL_CLOCKS = {
    "migrations/001_initial_schema.sql": 1,  # the body of app.pw_now() itself
    "migrations/api/075_act_credentials.sql": 2,  # pg_stat_activity tells times of the server itself
    "policywatch/db/sql/bench_collect.sql": 1,  # the clock that the bench puts in the place of app.pw_now()
    "policywatch/db/sql/migrate.sql": 3,  # when a migration ran: before there is an app.pw_now()
}


def test_leases_grace_retries_and_expiry_read_one_clock() -> None:
    found = {}
    for path in (*STATEMENTS, *MIGRATIONS):
        text = re.sub(r"--[^\n]*|'[^'\n]*'", " ", path.read_text("utf-8"))
        if count := len(_SQL_CLOCK.findall(text)):
            found[shown(path)] = count

    assert found == SQL_CLOCKS


#: Where the daemon or the door may ask the computer for the time of day: nothing that they decide hangs on it.
WALL_CLOCKS = {
    "daemon/policywatchd/service.py": "today, for what a text says of dates",
    "daemon/policywatchd/collect/headers.py": "Retry-After as a date is the other server's wall clock",
    "policywatch/db/backup.py": "the name of a backup's folder",
}
_WALL = {
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("date", "today"),
}


def test_the_daemon_decides_nothing_by_its_own_clock() -> None:
    found = set()
    for path in MODULES:
        if not shown(path).startswith(("daemon/", "policywatch/db/")) or path.name.startswith("bench"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and (node.value.id, node.attr) in _WALL
            ):
                found.add(shown(path))

    assert found == set(WALL_CLOCKS)
