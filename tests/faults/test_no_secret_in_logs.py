"""A server that logs every statement: no key, no secret and no password stands in anything that it keeps.

Looked through: its log files, pg_stat_statements, the audit rows and a dump. That the search can find something is
shown last, on a server that is told to log parameters too: only --anyway gets a key there, and then it is found.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from policywatch import keys, settings
from policywatch.db import connect, credentials
from policywatch.db.embedded import Server
from policywatch.db.pool import Database
from policywatch.errors import PolicyWatchError
from policywatch_tui.commands.base import run_guarded
from policywatch_tui.main import cli
from tests.databases import QUICK, embedded_folder

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]

MASTER = b"MARKER-master-key-of-this-test!!"
VALUES = ("MARKER-first-value", "MARKER-second-value", "MARKER-value-under-a-new-key")
PASSWORDS = ("MARKER-one-time-password", "MARKER-password-of-ana")
EVERYTHING = {"log_statement": "all", "log_min_error_statement": "debug5", "log_duration": "on"}


@dataclass
class Place:
    """A server of this test's own, and the command line in front of it."""

    server: Server
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]
    masters: dict[int, bytes] = field(default_factory=lambda: {1: MASTER})

    def typed(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """A command that ends so; what it printed."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        self.capfd.readouterr()
        ended = run_guarded(cli, list(arguments))
        out, err = self.capfd.readouterr()
        assert ended == code, (arguments, out, err)
        return out + err

    def run(self, statement: str) -> list[dict[str, Any]]:
        with psycopg.connect(
            self.server.conninfo("postgres"), autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def settings(self) -> settings.Settings:
        return settings.load()

    @property
    def markers(self) -> list[bytes]:
        """Every form in which something secret could have been written down."""
        found = [text.encode() for text in (*VALUES, *PASSWORDS)]
        for version, master in self.masters.items():
            found += [master, master.hex().encode(), base64.b64encode(master)]
            for name in ("token", "other"):
                found.append(str(keys.credential_key(master, version, "x", name)).encode())
        return found

    def log(self) -> bytes:
        """All that the server logged."""
        return b"".join(
            path.read_bytes()
            for path in sorted(self.server.state_folder.glob("pg/*/log/*"))
            if path.is_file()
        )

    def kept(self) -> dict[str, bytes]:
        """What the server keeps, by place."""
        programs = self.server.programs()
        assert programs is not None
        dump = subprocess.run(
            [str(programs / "pg_dump"), "--inserts", self.server.conninfo("postgres")],
            check=True,
            capture_output=True,
        ).stdout
        return {
            "log": self.log(),
            "statements": json.dumps(self.run("SELECT query FROM pg_stat_statements")).encode(),
            "audit": json.dumps(self.run("SELECT * FROM app.audit_log"), default=str).encode(),
            "dump": dump,
        }

    def found(self, kept: dict[str, bytes]) -> list[tuple[str, bytes]]:
        return [(place, marker) for place, text in kept.items() for marker in self.markers if marker in text]


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("POLICYWATCH_CONFIG", raising=False)
    with embedded_folder() as folder:
        monkeypatch.setenv("POLICYWATCH_DATABASE__STATE_FOLDER", str(folder))
        (folder / "policywatch.key").write_bytes(MASTER)
        (folder / "policywatch.key").chmod(0o600)
        server = Server(folder, extra=QUICK | EVERYTHING)
        server.start()
        try:
            yield Place(server, monkeypatch, capfd)
        finally:
            server.stop()


async def test_a_server_that_logs_everything_keeps_no_key_secret_or_password(place: Place) -> None:
    await asyncio.to_thread(_acts_of_people, place)
    await _uses_of_the_daemon(place)

    kept = place.kept()

    assert place.found(kept) == []
    # The search looked at the right things: every act is there, without what was secret.
    for act in (
        b"act.set_credential",
        b"act.test_credential",
        b"act.rotate_credentials",
        b"act.user_add",
        b"act.user_password",
    ):
        assert act in kept["log"], act
        assert act in kept["statements"], act
    assert b"credential.use" in kept["audit"]
    assert b"SCRAM-SHA-256$4096:" not in kept["log"] + kept["statements"] + kept["audit"]
    await asyncio.to_thread(_a_server_that_logs_parameters, place)


def _acts_of_people(place: Place) -> None:
    place.typed("credentials", "set", "x", "token", "--stdin", stdin=VALUES[0] + "\n")
    place.typed("credentials", "set", "x", "other", "--stdin", stdin=VALUES[0])
    assert VALUES[0] not in place.typed("--json", "credentials", "list")
    place.typed("credentials", "test", "x", "token")
    place.typed("credentials", "rotate", "x", "token", "--stdin", stdin=VALUES[1])
    place.typed("secrets", "rotate")
    place.masters[2] = (place.server.state_folder / "policywatch.key.2").read_bytes()
    place.typed("credentials", "rotate", "x", "token", "--stdin", stdin=VALUES[2])
    place.typed("credentials", "remove", "x", "other")
    place.typed("credentials", "set", "nowhere", "token", "--stdin", stdin=VALUES[1], code=1)
    place.typed("users", "add", "ana", "--role", "editor", "--password-stdin", stdin=PASSWORDS[0] + "\n")
    place.monkeypatch.setenv("POLICYWATCH_DATABASE__USER", "ana")
    place.monkeypatch.setenv("POLICYWATCH_DATABASE__PASSWORD", '{"secret": "ours"}')
    place.monkeypatch.setenv("POLICYWATCH_SECRET_OURS", PASSWORDS[0])
    place.typed("users", "password", "--password-stdin", stdin=PASSWORDS[1] + "\n")
    place.monkeypatch.setenv("POLICYWATCH_SECRET_OURS", PASSWORDS[1])
    place.typed("credentials", "set", "x", "mine", "--stdin", stdin=VALUES[0], code=4)
    for name in ("POLICYWATCH_DATABASE__USER", "POLICYWATCH_DATABASE__PASSWORD"):
        place.monkeypatch.delenv(name)
    told = json.loads(place.typed("--json", "secrets", "doctor"))
    assert told["server_log"]["log_statement"] == "all"
    assert not [finding for finding in told["findings"] if finding["state"] == "fault"]


async def _refused_uses_of_the_daemon(place: Place) -> None:
    async with await Database.open(connect.daemon(place.settings())) as db:
        with pytest.raises(PolicyWatchError, match="would log what is secret"):
            await credentials.use(db, place.masters.__getitem__, "x", "token", "collect")
    refused = place.run(
        "SELECT outcome FROM app.audit_log WHERE action = 'credential.use' ORDER BY id DESC LIMIT 1"
    )
    assert refused == [{"outcome": "refused"}]


async def _uses_of_the_daemon(place: Place) -> None:
    async with await Database.open(connect.daemon(place.settings())) as db:
        assert await credentials.use(db, place.masters.__getitem__, "x", "token", "collect") == VALUES[2]
        with pytest.raises(PolicyWatchError, match="cannot be read"):
            await credentials.use(db, lambda _: b"w" * 32, "x", "token", "collect")
        with pytest.raises(PolicyWatchError, match="no credential"):
            await credentials.use(db, place.masters.__getitem__, "x", "absent", "collect")


def _a_server_that_logs_parameters(place: Place) -> None:
    """Nothing is sent there, unless somebody insists; and then the search does find it."""
    conf = place.server.state_folder / "server" / "postgresql.conf"
    conf.write_text(conf.read_text() + "log_parameter_max_length = -1\n")
    place.run("SELECT pg_reload_conf()")
    deadline = 100
    while place.run("SHOW log_parameter_max_length") != [{"log_parameter_max_length": "-1"}] and deadline:
        deadline -= 1
    before = len(place.log())
    for verb in ("set", "rotate"):
        said = place.typed("credentials", verb, "x", "token", "--stdin", stdin=VALUES[0], code=1)
        assert "The server would log what is secret" in said
    place.typed("credentials", "test", "x", "token", code=1)
    place.typed("secrets", "rotate", code=1)
    asyncio.run(_refused_uses_of_the_daemon(place))
    assert not (place.server.state_folder / "policywatch.key.3").exists()
    told = json.loads(place.typed("--json", "secrets", "doctor"))
    assert any("log_statement = all logs statements" in finding["what"] for finding in told["findings"])
    assert place.found({"log": place.log()[before:]}) == []

    place.typed("credentials", "set", "x", "token", "--stdin", "--anyway", stdin=VALUES[0])

    assert {marker for _, marker in place.found({"log": place.log()[before:]})} == {
        VALUES[0].encode(),
        str(keys.credential_key(place.masters[2], 2, "x", "token")).encode(),
    }
