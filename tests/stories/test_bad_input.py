"""Bad input at the command line: a sentence with its place, a remedy, the code of the contract, nothing half-done."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from policywatch.errors import UsageError
from policywatch.guidance.rendering import revise
from policywatch_tui.commands.base import run_guarded
from policywatch_tui.commands.changes import until
from policywatch_tui.main import cli
from tests.databases import Cluster, Scratch


@dataclass
class Told:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    def refused(self, code: int, *parts: str) -> None:
        """It ended with this code, a sentence that holds the parts and a remedy, and no word of Python."""
        assert self.code == code, self
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) >= 2, f"a sentence and a remedy: {self.err!r}"
        for part in parts:
            assert part in self.err
        assert "Error:" in self.err or all(len(line) > 8 for line in lines)


Run = Callable[..., Told]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Type a command in an empty folder, with the settings file of that folder. Children's words count too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("POLICYWATCH_DATABASE__STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.delenv("POLICYWATCH_CONFIG", raising=False)

    def typed(*arguments: str) -> Told:
        capfd.readouterr()
        code = run_guarded(cli, list(arguments))
        out, err = capfd.readouterr()
        return Told(code, out, err)

    yield typed


def settings(folder: Path, conninfo: str, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    """A settings file for that login; its password comes by the environment."""
    parts = {key: str(value) for key, value in conninfo_to_dict(conninfo).items() if value is not None}
    user, password = parts.pop("user"), parts.pop("password", "")
    monkeypatch.setenv("POLICYWATCH_SECRET_OURS", password)
    monkeypatch.setenv("PGPASSWORD", password)
    secret = {"secret": "ours"} if password else None
    database = {
        "mode": "dsn",
        "dsn": make_conninfo("", **parts, user=user),
        "user": user,
        "password": secret,
        "owner_password": secret,
        **more.pop("database", {}),
    }
    wanted = {"catalogue": "none", "database": database, **more}
    (folder / "policywatch.yaml").write_text(json.dumps(wanted), encoding="utf-8")  # JSON is YAML


# Settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "sentence", "remedy"),
    [
        ("mail: [1, 2", "line 2, column 1", "this is not valid YAML", "brackets"),
        ("guidance:\n  grace_periud: 5 min", "line 2, column 3", 'unknown key "grace_periud"', "Did you mean grace_period?"),
        ("database: {mode: dsn, dsn: mysql://x}", "line 1, column 28", "must begin with postgresql://", "manual"),
        ("database: {mode: dsn, dsn: 'postgresql://127.0.0.1:port/x'}", "line 1, column 28", "database.dsn", "manual"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", [("changes", "list"), ("migrate", "up"), ("import", "/nowhere")])
def test_a_fault_of_the_settings_ends_every_command(
    run: Run, tmp_path: Path, command: tuple[str, ...], text: str, place: str, sentence: str, remedy: str
) -> None:
    path = tmp_path / "policywatch.yaml"
    path.write_text(text)

    run(*command).refused(2, f"{path}, {place}: ", sentence, remedy)

    assert not (tmp_path / "state").exists()


def test_a_settings_file_that_is_not_there_is_named(run: Run) -> None:
    run("--config", "missing.yaml", "status").refused(
        2, "missing.yaml: there is no such settings file", "--config"
    )


def test_a_members_file_with_bad_rows_is_told_row_by_row(run: Run, tmp_path: Path) -> None:
    (tmp_path / "policywatch.yaml").write_text("members: {file: members.csv}\n")
    members = tmp_path / "members.csv"
    members.write_text("email,kind\na@members.test,creator\nnobody at all,creator\nb@members.test\n")

    told = run("config", "check")
    told.refused(1, f"{members}, line 3: ", f"{members}, line 4: the row has 1 cells, the heading has 2")
    assert "Mend the row; until then it is skipped, and the rest is used." in told.err
    assert "nobody at all" not in told.err
    members.write_bytes(b"email\n\xff@members.test\n")
    run("config", "check").refused(1, f"{members} is not UTF-8", "Save the file as UTF-8.")
    members.write_text("name\nAda\n")
    run("config", "check").refused(1, str(members), "email")


# The database ----------------------------------------------------------------------------------------

COMMANDS = [
    ("changes", "list"),
    ("status",),
    ("migrate", "up"),
    ("migrate", "status"),
    ("check", "--all"),
    ("backup", "create"),
    ("metrics",),
    ("init",),
    ("import", "/nowhere"),
    ("daemon", "once"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_that_does_not_answer_is_named(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]  # ours until here, and closed now
    dsn = f"postgresql://127.0.0.1:{port}/policywatch"
    (tmp_path / "policywatch.yaml").write_text(json.dumps({"database": {"mode": "dsn", "dsn": dsn}}))

    told = run(*command)

    told.refused(5, f'the database "policywatch" at 127.0.0.1:{port} does not answer', "Check database.dsn")
    assert told.out == ""


@pytest.mark.needs_db
def test_a_wrong_password_a_missing_database_and_a_missing_schema_are_told_apart(
    run: Run, tmp_path: Path, server: Cluster, module_database: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = module_database.admin
    settings(tmp_path, make_conninfo(admin, password="wrong"), monkeypatch)
    run("changes", "list").refused(5, "refused the login", "Check database.user and its password")

    settings(tmp_path, make_conninfo(module_database.owner, dbname=f"pwt_{server.run}_nowhere"), monkeypatch)
    run("changes", "list").refused(5, f"pwt_{server.run}_nowhere", "migrate up")

    empty = server.create()
    try:
        settings(tmp_path, make_conninfo(module_database.owner, dbname=empty), monkeypatch)
        run("changes", "list").refused(1, "The database is at migration 0", "Run: policywatch migrate up")
        run("backup", "create").refused(1, "The database refused", "app.")
        assert not list((tmp_path / "state").rglob("*.part"))
    finally:
        server.drop(empty)


@pytest.mark.needs_db
def test_timescaledb_demanded_and_missing_leaves_an_empty_database(
    run: Run, tmp_path: Path, server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.connect() as connection:
        if connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone():
            pytest.skip("this server offers TimescaleDB")
    empty = server.create()
    conninfo = make_conninfo(server.superuser, dbname=empty)
    try:
        settings(tmp_path, conninfo, monkeypatch)
        monkeypatch.setenv("POLICYWATCH_DATABASE__TIMESCALE", "require")

        run("migrate", "up").refused(1, "TimescaleDB is demanded", "set database.timescale: auto")

        with psycopg.connect(conninfo) as connection:
            left = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname IN ('app', 'act', 'read')"
            ).fetchall()
        assert left == []
        assert not (tmp_path / "state" / "policywatch.key").exists()
    finally:
        server.drop(empty)


# What is asked for -----------------------------------------------------------------------------------


@pytest.fixture
def person(tmp_path: Path, module_database: Scratch, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Settings for somebody of that role; their login."""

    def enter(role: str) -> str:
        name = f"{role}-{uuid4().hex[:6]}"
        login = module_database.person(name, role)
        settings(tmp_path, login, monkeypatch)
        return login

    return enter


@pytest.mark.needs_db
@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("changes", "show", "C-999"), "There is no change C-999."),
        (("changes", "verdict", "999", "accepted"), "There is no change C-999."),
        (("changes", "take", "C-999"), "C-999"),
        (("drafts", "show", "G-999"), "There is no draft G-999."),
        (("drafts", "new", "C-999"), "C-999"),
        (("approvals", "show", "a999"), "There is no approval request A-999."),
        (("publications", "show", "P-999"), "There is no publication P-999."),
        (("publications", "withdraw", "P-999"), "P-999"),
        (("documents", "show", "x/no-such-document"), "x/no-such-document"),
        (("documents", "history", "nowhere/terms-of-service"), "nowhere/terms-of-service"),
        (("alerts", "ack", "999"), "999"),
        (("changes", "show", "99999999999999999999999"), "99999999999999999999999"),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, tuple) else None,
)
def test_what_is_not_there_is_named(
    run: Run, person: Callable[[str], str], command: tuple[str, ...], sentence: str
) -> None:
    person("editor")

    told = run(*command)

    told.refused(1, sentence)
    assert told.out == ""


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("changes", "show", "x"), '"x" is no number of that kind'),
        (("changes", "show", "²"), "is no number of that kind"),
        (("changes", "show", "G-1"), "is no number of that kind"),
        (("changes", "verdict", "C-1", "maybe"), "'maybe' is not one of"),
        (("changes", "lst"), "No such command 'lst'"),
        (("changes", "show"), "Missing argument"),
        (("--nope",), "No such option"),
        (("drafts", "edit", "G-1", "--version", "new"), "is not a valid integer"),
        (("publications", "stop"), "Name one publication, or --all."),
        (("check",), "Name PLATFORM[/DOCUMENT] or --all."),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, tuple) else None,
)
def test_what_was_typed_wrongly_is_a_usage_error(run: Run, command: tuple[str, ...], sentence: str) -> None:
    told = run(*command)

    told.refused(2, sentence)
    assert told.out == ""


def draft_of(login: str) -> int:
    """A draft by its author."""
    said = revise("What is new", "The terms changed.")
    with psycopg.connect(login, autocommit=True, row_factory=dict_row) as connection:
        made = connection.execute(
            "SELECT * FROM act.create_draft(%s, 'Terms', %s, %s, %s, '{}')",
            [uuid4(), said.subject, said.text, said.html],
        ).fetchone()
    assert made is not None
    assert made["ok"], made
    return int(made["id"])


@pytest.mark.needs_db
def test_a_viewer_may_not_and_the_refusal_is_in_the_audit(
    run: Run, person: Callable[[str], str], module_database: Scratch
) -> None:
    draft = draft_of(person("editor"))
    viewer = conninfo_to_dict(person("viewer"))["user"]

    run("drafts", "close", f"G-{draft}").refused(4, "editor")
    run("publications", "thaw").refused(4, "approver")
    run("users", "add", "mallory", "--role", "admin").refused(4, "admin")

    refused = module_database.run(
        "SELECT action, code FROM app.audit_log WHERE actor = %s AND outcome = 'refused' ORDER BY id", viewer
    )
    assert [(row["action"], row["code"]) for row in refused] == [
        ("draft.close", "PW403"),
        ("system.thaw", "PW403"),
        ("user.add", "PW403"),
    ]
    state = module_database.run("SELECT state FROM app.guidance_drafts WHERE id = %s", draft)
    assert state == [{"state": "open"}]
    assert module_database.run("SELECT 1 FROM app.users WHERE name = 'mallory'") == []


@pytest.mark.needs_db
def test_a_stale_version_is_a_conflict_and_changes_nothing(
    run: Run, person: Callable[[str], str], module_database: Scratch, tmp_path: Path
) -> None:
    draft = draft_of(person("editor"))
    text = tmp_path / "text"
    text.write_text("Subject: Another subject\n\nAnother text.\n")
    first = run("drafts", "edit", f"G-{draft}", "--file", str(text), "--version", "1")
    assert first.code == 0, first
    text.write_text("Subject: A third subject\n\nA third text.\n")

    run("drafts", "edit", f"G-{draft}", "--file", str(text), "--version", "1").refused(3, f"G-{draft}")
    run("drafts", "submit", f"G-{draft}", "--segment", "all", "--version", "0").refused(3, f"G-{draft}")

    (found,) = module_database.run(
        "SELECT d.state, r.subject FROM app.guidance_drafts d JOIN app.draft_revisions r ON r.draft_id = d.id"
        " WHERE d.id = %s ORDER BY r.number DESC LIMIT 1",
        draft,
    )
    assert found == {"state": "open", "subject": "Another subject"}


@pytest.mark.needs_db
def test_a_segment_that_nobody_defined_and_a_text_that_is_none_are_told(
    run: Run, person: Callable[[str], str], tmp_path: Path
) -> None:
    draft = draft_of(person("editor"))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")

    run("drafts", "submit", f"G-{draft}", "--segment", "nobody").refused(1, "nobody")
    run("drafts", "edit", f"G-{draft}", "--file", str(binary)).refused(2, f"{binary} cannot be read", "UTF-8")
    binary.write_text("no subject\n")
    run("drafts", "edit", f"G-{draft}", "--file", str(binary)).refused(2, "does not begin with its subject")


@pytest.mark.parametrize("time", ["99999999999d", "²d", "tomorrow", "2026-13-01"])
def test_a_time_that_is_none_is_told(time: str) -> None:
    with pytest.raises(UsageError, match=r"is no time\.") as told:
        until(time, datetime(2026, 3, 1, tzinfo=UTC))
    assert "4h" in told.value.remedy


@pytest.mark.needs_db
@pytest.mark.parametrize("what", ["nothing", "a file", "a folder"])
def test_an_import_from_what_is_no_repository_leaves_nothing(
    run: Run, tmp_path: Path, module_database: Scratch, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    source = tmp_path / "source"
    if what == "a file":
        source.write_text("no bundle")
    elif what == "a folder":
        source.mkdir()
    daemon = conninfo_to_dict(module_database.daemon)
    secret = {"secret": "ours"}
    settings(
        tmp_path, module_database.daemon, monkeypatch,
        database={"daemon_user": daemon["user"], "daemon_password": secret},
    )  # fmt: skip
    count = "SELECT (SELECT count(*) FROM app.policy_snapshots) + (SELECT count(*) FROM app.contents) AS n"
    before = module_database.run(count)

    run("import", str(source)).refused(2, str(source))

    assert module_database.run(count) == before
