"""The whole story, whole processes: `policywatch demo` and what it leaves behind, counted again from outside."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import psycopg
import pyte
import pytest

from policywatch.db.embedded import Server
from policywatch.simulated.members import pretend_members
from policywatch.simulated.story import expected
from policywatch.simulated.truth import scripted

pytestmark = [pytest.mark.story, pytest.mark.needs_db]

DEMO = [sys.executable, "-m", "policywatch_tui.main", "demo"]
TIMEOUT = 180
#: Ends every address of a pretend member, and nothing else.
MEMBERS = "@members.test"


def reachable_folder() -> Path:
    """Not pytest's own: as root, PostgreSQL runs under another account, which must pass through to its files."""
    folder = Path(tempfile.mkdtemp(prefix="pwdemo-", dir="/tmp"))
    folder.chmod(0o711)
    return folder


def run_demo(*arguments: str, tmp: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("POLICYWATCH_")}
    if tmp is not None:
        env["TMPDIR"] = str(tmp)
    return subprocess.run(
        [*DEMO, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=env,
        check=False,
    )


@dataclass(frozen=True)
class Kept:
    """What one run of the demo said and left."""

    folder: Path
    began: datetime
    exit_code: int
    said: str
    figures: dict[str, Any]
    server: Server

    def value(self, statement: str) -> Any:
        """The first column of the first row, asked as the owner of the kept database."""
        with psycopg.connect(self.server.conninfo("postgres")) as connection:
            row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row[0]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """All rows, asked as the owner of the kept database."""
        with psycopg.connect(self.server.conninfo("postgres")) as connection:
            return connection.execute(statement.encode()).fetchall()

    def mails(self) -> list[EmailMessage]:
        """The received mails, from their files."""
        found = []
        for path in sorted((self.folder / "mails").glob("*.eml")):
            mail = BytesParser(policy=policy.SMTP).parsebytes(path.read_bytes())
            assert isinstance(mail, EmailMessage)
            found.append(mail)
        return found


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    """One run with --keep, its database started again."""
    above = reachable_folder()
    folder, began = above / "kept", datetime.now(UTC)
    ran = run_demo("--headless", "--json", "--keep", str(folder))
    server = Server(folder / "state")
    try:
        assert ran.stdout, ran.stderr
        server.start()
        yield Kept(folder, began, ran.returncode, ran.stderr, json.loads(ran.stdout), server)
    finally:
        server.stop()
        shutil.rmtree(above, ignore_errors=True)


def test_the_story_ends_as_scripted(kept: Kept) -> None:
    figures = kept.figures

    assert kept.exit_code == 0, kept.said
    assert figures["platforms"] == 7
    assert figures["changes_found"] == figures["changes_expected"] > 0
    assert figures["false_alarms"] == figures["missed"] == figures["duplicates"] == 0
    assert figures["self_approvals_refused"] >= 1
    assert figures["sent"] == figures["recipients"] == figures["mails_received"] > 0
    assert figures["taken_back"] >= 1
    assert figures["taken_back_mails"] == figures["taken_back_recipients"] == 0
    assert figures["second_pass_304"] == figures["second_pass_pages_with_validators"] > 0
    assert figures["seconds"] <= 90


def test_the_kept_database_holds_the_same_story(kept: Kept) -> None:
    figures = kept.figures
    script = expected(scripted(kept.began.date()))

    assert figures["platforms"] == script.platforms
    assert figures["documents"] == script.documents == kept.value("SELECT count(*) FROM read.documents")
    # One page a document: each visit left one capture.
    assert figures["visits"] == kept.value("SELECT count(*) FROM app.captures")
    found = Counter(
        f"{p}/{d}"
        for p, d in kept.rows("SELECT platform, document FROM read.changes WHERE noise_kind = 'none'")
    )
    wanted = Counter(page for _, page in script.changed_pages)
    assert found == wanted
    assert figures["changes_found"] == found.total()
    assert figures["changes_expected"] == wanted.total()
    assert figures["false_alarms"] == (found - wanted).total()
    assert figures["missed"] == (wanted - found).total()
    assert figures["noise"] == kept.value("SELECT count(*) FROM read.changes WHERE noise_kind <> 'none'")
    assert figures["drafts"] == kept.value("SELECT count(*) FROM read.drafts")
    assert figures["approved"] == kept.value("SELECT sum(approvals_given) FROM read.approvals")
    assert figures["recipients"] == kept.value("SELECT sum(recipients) FROM read.guidance_metrics")
    assert figures["sent"] == kept.value("SELECT sum(sent) FROM read.guidance_metrics")
    assert figures["taken_back"] == kept.value(
        "SELECT count(*) FROM read.guidance_metrics WHERE state = 'withdrawn' AND recipients = 0"
    )
    assert figures["audit_rows"] == kept.value("SELECT count(*) FROM read.audit")
    assert figures["delivery_events"] == kept.value(
        "SELECT count(*) FROM read.delivery_events WHERE kind = 'sent'"
    )
    assert figures["undone"] == kept.value("SELECT count(*) FROM read.audit WHERE action = 'change.undo'")


def test_the_second_pass_asked_every_page_and_got_nothing_again(kept: Kept) -> None:
    rows = kept.rows(
        "SELECT a.conditional, a.status, a.raw_sha256 IS NULL FROM app.captures a"
        " WHERE 1 = (SELECT count(*) FROM app.captures b WHERE b.page_id = a.page_id AND b.fence < a.fence)"
    )

    assert kept.figures["second_pass_pages_with_validators"] == sum(conditional for conditional, _, _ in rows)
    assert kept.figures["second_pass_304"] == sum(status == 304 for _, status, _ in rows)
    assert len(rows) == kept.figures["documents"]


def test_the_author_was_refused_and_a_second_person_said_yes(kept: Kept) -> None:
    refused = kept.rows(
        "SELECT actor, code FROM read.audit WHERE action = 'approval.approve' AND outcome = 'refused'"
    )
    decided = kept.rows("SELECT DISTINCT actor FROM app.approval_decisions WHERE decision = 'approve'")

    assert refused == [("ana", "PW403")] * kept.figures["self_approvals_refused"]
    assert decided == [("ben",)]
    assert kept.rows("SELECT DISTINCT author FROM read.drafts") == [("ana",)]


def test_work_is_left_for_the_desk(kept: Kept) -> None:
    assert kept.value("SELECT undecided FROM read.queue_counts") > 0
    assert kept.rows("SELECT author, recipient_count > 0 FROM read.pending_approvals") == [("ana", True)]


def test_each_mail_is_one_ledger_row_and_reached_its_member_once(kept: Kept) -> None:
    mails = kept.mails()
    ledger = kept.rows("SELECT message_id FROM app.publication_recipients WHERE state = 'sent'")
    journalists = {member.address for member in pretend_members() if member.kind == "journalist"}

    assert len(mails) == kept.figures["mails_received"]
    assert {mail["Message-ID"] for mail in mails} == {message_id for (message_id,) in ledger}
    assert sorted(str(mail["Delivered-To"]).lower() for mail in mails) == sorted(journalists)
    assert kept.figures["duplicates"] == len(mails) - len({mail["Delivered-To"] for mail in mails})


def test_what_was_taken_back_reached_nobody(kept: Kept) -> None:
    withdrawn = kept.rows("SELECT subject FROM read.publications WHERE state = 'withdrawn'")
    sent = kept.rows("SELECT subject FROM read.publications WHERE state = 'sent'")

    assert {str(mail["Subject"]) for mail in kept.mails()} == {subject for (subject,) in sent}
    assert not set(withdrawn) & set(sent)


def test_no_mail_left_before_the_grace_period_was_over(kept: Kept) -> None:
    early = kept.value(
        "SELECT count(*) FROM app.publication_recipients r JOIN app.guidance_publications p ON p.id = r.publication_id"
        " WHERE r.sending_at < p.release_at OR p.released_at < p.release_at"
    )

    assert early == 0


def test_no_address_of_a_member_is_in_the_database_in_clear(kept: Kept) -> None:
    programs = kept.server.programs()
    assert programs is not None
    dump = subprocess.run(
        [programs / "pg_dump", "--dbname", kept.server.conninfo("postgres")],
        capture_output=True,
        check=True,
        timeout=TIMEOUT,
    ).stdout.lower()

    assert b"publication_recipients" in dump
    assert dump.count(MEMBERS.encode()) == 0
    assert dump.count(MEMBERS.encode().hex().encode()) == 0  # bytes are dumped as hexadecimal digits


def test_no_address_of_a_member_is_in_a_log(kept: Kept) -> None:
    logs = [kept.folder / "policywatchd.log", *(kept.folder / "state").rglob("*.log")]

    assert len(logs) > 1
    for path in logs:
        assert MEMBERS not in path.read_text(errors="replace"), path


def test_without_a_terminal_it_tells_the_story_and_leaves_nothing() -> None:
    tmp = reachable_folder()
    try:
        ran = run_demo("--rounds", "1", tmp=tmp)

        assert ran.returncode == 0, ran.stderr
        assert "ben reads and approves both" in ran.stdout
        assert "Every number is as scripted." in ran.stdout
        assert ran.stderr == ""
        assert list(tmp.iterdir()) == []
        assert not processes_of(tmp)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_ended_early_leaves_nothing(number: signal.Signals) -> None:
    tmp = reachable_folder()
    env = {**os.environ, "TMPDIR": str(tmp)}
    try:
        with subprocess.Popen(
            [*DEMO, "--headless"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=env
        ) as running:
            assert running.stdout is not None
            # The daemon is at work by then, and most of the story is still to come.
            assert any("has read all" in line for line in running.stdout)
            assert processes_of(tmp) or sys.platform != "linux"
            running.send_signal(number)
            assert running.wait(timeout=60) == 128 + number

        assert list(tmp.iterdir()) == []
        assert not processes_of(tmp)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the daemon by /proc")
def test_a_daemon_that_dies_ends_the_story_with_its_last_words() -> None:
    tmp = reachable_folder()
    env = {**os.environ, "TMPDIR": str(tmp)}
    try:
        with subprocess.Popen(
            [*DEMO, "--headless"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        ) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            assert any("has read all" in line for line in running.stdout)
            (daemon,) = [pid for pid, words in processes_of(tmp).items() if "simulate --web" in words]
            os.kill(daemon, signal.SIGKILL)
            running.stdout.read()
            said = running.stderr.read()
            assert running.wait(timeout=60) == 1

        assert "The daemon ended in the middle of the story (exit code -9)." in said
        assert "daemon_started" in said
        assert list(tmp.iterdir()) == []
        assert not processes_of(tmp)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


def test_on_a_terminal_it_ends_in_the_desk_with_work_waiting() -> None:
    tmp = reachable_folder()
    env = {**os.environ, "TMPDIR": str(tmp), "TERM": "xterm-256color"}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    screen = Screen(ours)
    try:
        with subprocess.Popen(
            [*DEMO, "--rounds", "2"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=env,
            start_new_session=True,
        ) as running:
            os.close(theirs)
            screen.read_until("Press Enter")
            os.write(ours, b"\r")
            screen.read_until("6 undecided")
            os.write(ours, b"2")
            screen.read_until("1 wait for you")
            os.write(ours, b"1")
            screen.read_until("6 undecided")
            os.write(ours, b"q")
            screen.read_to_the_end()
            assert running.wait(timeout=60) == 0

        assert list(tmp.iterdir()) == []
        assert not processes_of(tmp)
    finally:
        os.close(ours)
        shutil.rmtree(tmp, ignore_errors=True)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    ran = run_demo("--headless", "--keep", str(tmp_path))

    assert ran.returncode == 2
    assert "is not empty" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def processes_of(folder: Path) -> dict[int, str]:
    """Command lines of living processes that name the folder (Linux; elsewhere none is seen)."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if str(folder) in words:
            found[int(entry.parent.name)] = words
    return found


class Screen:
    """A terminal of 80 by 24 that is read while a program draws on it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)

    def read_until(self, text: str, *, limit: float = 90.0) -> None:
        """Until the text stands on the screen."""
        deadline = time.monotonic() + limit
        while not any(text in line for line in self._screen.display):
            assert self._more(deadline), f"{text!r} did not come:\n" + "\n".join(self._screen.display)

    def read_to_the_end(self, *, limit: float = 60.0) -> None:
        """Until nobody draws any more."""
        deadline = time.monotonic() + limit
        while self._more(deadline):
            pass

    def _more(self, deadline: float) -> bool:
        """Draw what came; False at the end or when the time is over."""
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, deadline - time.monotonic()))
        try:
            octets = os.read(self._descriptor, 65536) if ready else b""
        except OSError:  # how Linux says that the other side is closed
            octets = b""
        self._stream.feed(octets)
        return bool(octets)
