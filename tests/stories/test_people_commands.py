"""People, sessions, credentials and keys from the command line, on an embedded server of this file's own."""

from __future__ import annotations

import io
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from policywatch.db.accounts import can_reach
from policywatch.db.embedded import Server
from policywatch_tui.commands.base import run_guarded
from policywatch_tui.main import cli
from tests.databases import QUICK, embedded_folder

pytestmark = [pytest.mark.needs_db, pytest.mark.story]


@dataclass
class Desk:
    """A command line in front of a server that this account keeps."""

    server: Server
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]

    def typed(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """A command that ends so; what it printed."""
        self.monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        self.capfd.readouterr()
        ended = run_guarded(cli, list(arguments))
        out, err = self.capfd.readouterr()
        assert ended == code, (arguments, out, err)
        return out + err

    def told(self, *arguments: str, stdin: str = "", code: int = 0) -> Any:
        return json.loads(self.typed("--json", *arguments, stdin=stdin, code=code))

    def run(self, statement: str) -> list[dict[str, Any]]:
        with psycopg.connect(
            self.server.conninfo("postgres"), autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with embedded_folder() as made:
        server = Server(made, extra=QUICK)
        server.start()
        yield made
        server.stop()


@pytest.fixture
def desk(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("POLICYWATCH_DATABASE__STATE_FOLDER", str(folder))
    monkeypatch.delenv("POLICYWATCH_CONFIG", raising=False)
    return Desk(Server(folder), monkeypatch, capfd)


def test_an_account_of_another_name_is_let_in_as_the_login_it_was_given(desk: Desk) -> None:
    account = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    told = desk.told("users", "add", "lena", "--role", "reviewer", "--os-user", account)
    assert told["one_time_password"] is None
    assert told["for_the_administrator"] == []

    said = _psql(desk, account, "lena")

    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() == "lena"
    if os.geteuid() == 0:  # and as nobody else
        for other in ("admin", "postgres", "pw_daemon"):
            refused = _psql(desk, account, other)
            assert refused.returncode != 0
            assert "Peer authentication failed" in refused.stderr


def test_the_account_that_has_the_name_of_another_persons_login_is_kept_out(desk: Desk) -> None:
    """`nobody` may be `mia`; an account `mia` of somebody else may not."""
    account = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    desk.typed("users", "add", "mia.x", "--role", "viewer", "--os-user", account)
    text = (desk.server.state_folder / "server" / "pg_ident.conf").read_text()
    assert f'pw "{account}" "mia.x"\n' in text
    assert r"|mia\.x$)" in text
    assert desk.run("SELECT count(*) AS n FROM pg_ident_file_mappings WHERE error IS NOT NULL") == [{"n": 0}]


@pytest.mark.parametrize("account", ["/.*", "all of them", 'a"b', "+pw_admin", "", "a\nb"])
def test_what_means_something_else_in_that_file_is_no_account(desk: Desk, account: str) -> None:
    assert "cannot be an account" in desk.typed(
        "users", "add", "otto", "--role", "viewer", "--os-user", account, code=2
    )
    assert desk.run("SELECT count(*) AS n FROM app.users WHERE name = 'otto'") == [{"n": 0}]


def _psql(desk: Desk, account: str, login: str) -> subprocess.CompletedProcess[str]:
    command = desk.server.psql(login)
    more: dict[str, Any] = {}
    if os.geteuid() == 0:
        entry = pwd.getpwnam(account)
        if not can_reach(Path(command[0]).resolve(), entry.pw_uid, entry.pw_gid):
            pytest.skip(f"{account} cannot reach {command[0]}")
        more = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return subprocess.run(
        [*command, "--no-password", "--tuples-only", "--command", "SELECT name FROM read.me"],
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": "/", "LC_ALL": "C"},
        text=True,
        capture_output=True,
        **more,
    )


def test_a_session_is_named_by_its_first_signs_and_ended(desk: Desk) -> None:
    command = [sys.executable, "-c", _SESSION, desk.server.conninfo("admin")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        session = other.stdout.readline().strip()
        listed = desk.told("sessions", "list")["sessions"]
        assert session in {row["id"] for row in listed}
        assert session[:8] in desk.typed("sessions", "list")

        assert "is ended" in desk.typed("sessions", "end", session[:8])

        other.stdin.write("act\n")
        other.stdin.flush()
        assert other.stdout.readline().strip() == "Your session was ended."
    assert "No such session is open" in desk.typed("sessions", "end", session, code=1)
    assert "No open session" in desk.typed("sessions", "end", "zz", code=2)
    assert "Name one session" in desk.typed("sessions", "end", code=2)


_SESSION = """
import sys, uuid, psycopg
session = uuid.uuid4()
c = psycopg.connect(sys.argv[1], autocommit=True, options=f"-c policywatch.session={session}")
c.execute("SELECT act.open_session(%s, 'desk', 'test')", [session])
print(session, flush=True)
sys.stdin.readline()
print(c.execute("SELECT (act.request_visit(gen_random_uuid())).sentence").fetchone()[0], flush=True)
"""


def test_credentials_from_the_command_line(desk: Desk) -> None:
    desk.typed("credentials", "set", "x", "api-token", "--stdin", stdin="first\n")
    assert "stored" in desk.typed("credentials", "rotate", "x", "api-token", "--stdin", stdin="second")
    assert "can be read" in desk.typed("credentials", "test", "x", "api-token")
    listed = desk.typed("credentials", "list") + json.dumps(desk.told("credentials", "list", "x"))
    assert "api-token" in listed
    assert "second" not in listed
    assert "There is no credential x/other" in desk.typed(
        "credentials", "rotate", "x", "other", "--stdin", stdin="v", code=1
    )
    assert "empty" in desk.typed("credentials", "set", "x", "other", "--stdin", stdin="\n", code=2)
    assert "Nobody is at a terminal" in desk.typed("credentials", "set", "x", "other", code=2)
    assert "removed" in desk.typed("credentials", "remove", "x", "api-token")
    assert "There is no credential" in desk.typed("credentials", "test", "x", "api-token", code=1)


def test_secrets_doctor_tells_right_keys_wrong_keys_and_a_rotation(desk: Desk) -> None:
    desk.typed("credentials", "set", "x", "doctored", "--stdin", stdin="v")
    sound = desk.typed("secrets", "doctor")
    assert "policywatch.key is the key that this database was written under" in sound
    assert "the server's log holds no parameters of statements" in sound
    assert "log_parameter_max_length = 0" in sound

    told = desk.told("secrets", "rotate")
    assert told["left"] == []
    assert told["version"] == 2
    key = desk.server.state_folder / "policywatch.key.2"
    assert key.stat().st_mode & 0o777 == 0o600
    assert "can be read" in desk.typed("credentials", "test", "x", "doctored")

    kept = key.read_bytes()
    key.write_bytes(b"w" * 32)
    assert "policywatch.key.2 is not the key" in desk.typed("secrets", "doctor", code=1)
    assert "not the master key of version 2" in desk.typed(
        "credentials", "set", "x", "doctored", "--stdin", stdin="v", code=1
    )
    key.chmod(0o644)
    assert "it has mode 0644" in desk.typed("secrets", "doctor", code=1)
    key.chmod(0o600)
    key.write_bytes(kept)
    desk.typed("secrets", "doctor")


def test_only_an_administrator_makes_a_new_master_key(desk: Desk) -> None:
    desk.typed("users", "add", "eve", "--role", "approver", "--password-stdin", stdin="one-time-password\n")
    desk.run("UPDATE app.users SET must_change_password = false WHERE name = 'eve'")
    desk.monkeypatch.setenv("POLICYWATCH_DATABASE__USER", "eve")
    desk.monkeypatch.setenv("POLICYWATCH_DATABASE__PASSWORD", '{"secret": "ours"}')
    desk.monkeypatch.setenv("POLICYWATCH_SECRET_OURS", "one-time-password")
    before = sorted(path.name for path in desk.server.state_folder.iterdir())
    assert "Only an administrator" in desk.typed("secrets", "rotate", code=4)
    assert "No credentials." in desk.typed("credentials", "list")
    desk.typed("credentials", "remove", "x", "doctored", code=4)
    assert sorted(path.name for path in desk.server.state_folder.iterdir()) == before


def test_status_and_doctor_show_what_stands_with_requests_and_keys(desk: Desk) -> None:
    desk.run("INSERT INTO app.requests (kind, arguments) VALUES ('visit', '{}')")
    status = desk.told("status")
    assert status["readable"]["pages"] == desk.told("documents", "readable")["pages"]
    asked = status["requests"]
    assert [(r["kind"], r["state"]) for r in asked] == [("visit", "waiting")]
    assert asked[0]["expires_at"] > asked[0]["requested_at"]
    assert "is the key that this database was written under" in desk.typed("doctor")
