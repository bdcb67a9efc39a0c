"""PostgreSQL with TimescaleDB as a Node process: one connection at a time, no pgcrypto, no background workers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

__all__ = ["Connection", "connected", "person", "wasm_server"]

_HERE = Path(__file__).parent
_NEEDED = 20

Connection = psycopg.Connection[dict[str, object]]


def _lacking() -> str:
    node = shutil.which("node")
    if node is None:
        return "Node is not installed"
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False)
    found = re.match(r"v(\d+)", answer.stdout)
    if found is None or int(found[1]) < _NEEDED:
        return f"Node {_NEEDED} or newer is needed, not {answer.stdout.strip() or 'one that does not start'}"
    if not (_HERE / "node_modules" / "@unni-craftsman" / "pglite").is_dir():
        return "the packages of tests/timescale are not installed: make test-timescale"
    return ""


@contextmanager
def wasm_server() -> Iterator[str]:
    """A fresh server; the connection string of its superuser. Skips without Node, fails with REQUIRE_ALL."""
    lacking = _lacking()
    if lacking and os.environ.get("REQUIRE_ALL"):
        pytest.fail(lacking)
    if lacking:
        pytest.skip(lacking)
    process = subprocess.Popen(
        ["node", str(_HERE / "start.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        match = re.match(r"ready (\d+)", process.stdout.readline())
        assert match is not None, "the WebAssembly server did not start"
        # It answers no negotiation of TLS, and takes every login for its superuser.
        yield f"host=127.0.0.1 port={match[1]} user=postgres password=x dbname=postgres sslmode=disable gssencmode=disable"
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def person(connection: Connection, login: str) -> Iterator[Connection]:
    """The one connection as this login: session_user, as if it had logged in."""
    connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(login)))
    try:
        yield connection
    finally:
        connection.execute("SET SESSION AUTHORIZATION postgres")  # RESET knows no login here


def connected(conninfo: str) -> Connection:
    """As the superuser, autocommit."""
    return psycopg.connect(conninfo, autocommit=True, row_factory=dict_row)
