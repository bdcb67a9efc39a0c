"""A PostgreSQL server of the program's own: made on first use, reached by a socket alone, left running at exit.

Everything lies in one state folder, never in the clone:

    lock            held while somebody checks, makes, starts or stops the server
    server/         its configuration and server.json (where, which, made by whom); written by the keeper
    pg/<major>/     the database files; pg/.new while they are made
    pg/start.log    what the last start said
    pgbin/<version> a copy of the server programs where its account cannot reach the original
    run/            the socket (elsewhere when the path is too long)

Not here: which PostgreSQL there is (`servers`), who runs it (`accounts`), its schema (`migrate`).
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import pq

from policywatch.db import servers
from policywatch.db.accounts import Account, account_for, can_reach, open_for_reading, own_name
from policywatch.db.queries import load
from policywatch.db.serverfiles import hba, ident, postgresql_conf, socket_fits, write
from policywatch.db.serverplace import Facts, Place, socket_conninfo
from policywatch.db.statements import compose
from policywatch.errors import ServiceAway

__all__ = ["Server", "Started", "Status"]

_sql = load("server")

_START_PATIENCE = 60  # seconds


@dataclass(frozen=True, slots=True)
class Status:
    """The server as seen from here. `absent`: no database files yet."""

    state: Literal["running", "stopped", "absent"]
    state_folder: Path
    data_folder: Path | None = None
    socket_folder: Path | None = None
    version: str = ""
    programs: str = ""
    why: str = ""
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """What `start` did. `sentence` says which server and why; `seconds` cover making the files and starting."""

    status: Status
    created: bool
    reused: bool
    sentence: str
    seconds: float


class Server:
    """The embedded server of one state folder. Several of them run side by side."""

    def __init__(
        self,
        state_folder: Path,
        *,
        dbname: str = "policywatch",
        extra: Mapping[str, str] | None = None,
        env: Mapping[str, str] = os.environ,
        say: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        """`extra` are server settings (tests turn fsync off); `say` gets one sentence per step that takes time."""
        self.state_folder = state_folder
        self.dbname = dbname
        self._place = Place(state_folder)
        self._extra = dict(extra or {})
        self._env = env
        self._say = say

    # What others ask ------------------------------------------------------------------------------

    def conninfo(self, user: str, dbname: str | None = None, password: str | None = None) -> str:
        """How to connect as `user`; ServiceAway before the server was ever started."""
        facts = self._place.facts()
        if facts is None:
            raise ServiceAway(
                f"No embedded server is in {self.state_folder} yet.", remedy="Start it: policywatch db start"
            )
        return socket_conninfo(Path(facts.sockets), user, dbname or self.dbname, password)

    def psql(self, user: str, dbname: str | None = None) -> list[str]:
        """The argument list of a psql for `user`: the server's own where it has one, else the system's."""
        folder = self.programs()
        own = folder / "psql" if folder is not None else Path("psql")
        program = str(own) if os.access(own, os.X_OK) else shutil.which("psql") or "psql"
        return [program, "--no-psqlrc", self.conninfo(user, dbname)]

    def programs(self) -> Path | None:
        """The folder of this server's programs (pg_dump of its own major), once it was started."""
        facts = self._place.facts()
        return Path(facts.bin) if facts is not None else None

    def is_keeper(self) -> bool:
        """Whether this account may start and stop the server: whoever owns its files, or root."""
        owner = self._place.owner()
        return os.geteuid() == 0 or owner is None or owner == os.geteuid()

    def status(self) -> Status:
        """Whether it runs, by a real connection and not by a file."""
        facts = self._place.facts()
        if facts is None:
            return Status("absent", self.state_folder)
        running = self._place.answer() == pq.Ping.OK
        return Status(
            "running" if running else "stopped",
            self.state_folder,
            self._place.data(facts.major),
            Path(facts.sockets),
            facts.version,
            facts.bin,
            facts.why,
            self._place.pid(facts.major) if running else None,
        )

    # What changes it ------------------------------------------------------------------------------

    def start(self) -> Started:
        """Make what is missing, start what stands still, use what runs. Safe to call from many programs at once."""
        began = time.monotonic()
        if not self.is_keeper():
            return Started(
                self._only_if_running(), False, True, "The embedded server runs.", time.monotonic() - began
            )
        account = self._prepare_folder()
        created, choice = False, None
        with self._place.lock():
            status = self._settled()
            if status.state != "running":
                choice, created = self._make_and_start(account)
            self._ensure_database()
        status = self.status()
        running = f"PostgreSQL {status.version} ({status.programs}) runs already"
        sentence = running if choice is None else choice.sentence()
        return Started(status, created, choice is None, sentence, time.monotonic() - began)

    def stop(self) -> bool:
        """Stop it now (open transactions are rolled back); False when it did not run."""
        facts = self._place.facts()
        if facts is None or self.status().state != "running":
            return False
        if not self.is_keeper():
            raise ServiceAway(
                f"Only {facts.creator} may stop the embedded server in {self.state_folder}.",
                remedy="Ask that account to run: policywatch db stop",
            )
        account = account_for(self._place.owner(), self._env)
        data = str(self._place.data(facts.major))
        with self._place.lock():
            self._run(
                [
                    str(Path(facts.bin) / "pg_ctl"),
                    "-D",
                    data,
                    "-m",
                    "fast",
                    "-w",
                    "-t",
                    str(_START_PATIENCE),
                    "stop",
                ],
                account,
                "could not be stopped",
            )
        return True

    # Steps ----------------------------------------------------------------------------------------

    def _make_and_start(self, account: Account) -> tuple[servers.Choice, bool]:
        facts, major = self._place.facts(), self._place.major()
        choice = servers.choose(*servers.find(self._env), data_major=major)
        chosen = choice.installation
        if facts is not None and facts.timescale and major is not None and not chosen.timescale:
            raise ServiceAway(
                f"The database files in {self.state_folder} were used with TimescaleDB, which {chosen.describe()} lacks.",
                remedy="Install that extension again for this major; the files stay as they are.",
            )
        programs = self._reachable(chosen, account)
        if created := major is None:
            self._say(f"Making a database with {choice.sentence()} ...")
            self._initdb(programs, chosen.major, account)
        sockets = self._socket_folder(account, facts)
        creator = facts.creator if facts is not None else own_name()
        conf = self._folder("server")
        data = self._place.data(chosen.major)
        write(conf / "pg_hba.conf", hba())
        write(conf / "pg_ident.conf", ident({creator, "root", own_name()}, self._place.people()))
        settings = postgresql_conf(chosen, data=data, sockets=sockets, conf=conf, extra=self._extra)
        write(conf / "postgresql.conf", settings)
        self._place.keep(
            Facts(
                major=chosen.major,
                version=chosen.version,
                bin=str(programs),
                why=choice.why,
                sockets=str(sockets),
                creator=creator,
                timescale=chosen.timescale,
            )
        )
        self._place.forget_dead(chosen.major, sockets)
        self._launch(
            [str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", str(_START_PATIENCE),
             "-l", str(self._place.start_log),
             "-o", f"-c config_file={shlex.quote(str(conf / 'postgresql.conf'))}", "start"],
            account,
        )  # fmt: skip
        return choice, created

    def _launch(self, command: list[str], account: Account) -> None:
        """Start it; once more when the last one was killed and its children are still going."""
        for last in (False, False, True):
            try:
                self._run(command, account, "did not start")
                return
            except ServiceAway as error:
                if last or "shared memory block" not in error.what:
                    raise
                time.sleep(1)

    def _initdb(self, programs: Path, major: int, account: Account) -> None:
        """Build beside the place and rename: half-made files are never taken for a database."""
        building = self._place.files / ".new"
        shutil.rmtree(building, ignore_errors=True)
        descriptor, password_file = tempfile.mkstemp(prefix=".once-", dir=self.state_folder)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(
                    secrets.token_urlsafe(32) + "\n"
                )  # nobody needs it: the keeper is known by account
            if account.dropped:
                os.chown(password_file, account.uid, account.gid)
            locale = "C.UTF-8" if os.uname().sysname == "Linux" else "C"
            sync = ["--no-sync"] if self._extra.get("fsync") == "off" else []
            self._run(
                [str(programs / "initdb"), "-D", str(building), "-U", "postgres", "-A", "scram-sha-256",
                 f"--pwfile={password_file}", "-E", "UTF8", f"--locale={locale}", "-k", "--no-instructions", *sync],
                account,
                "could not be made",
            )  # fmt: skip
            building.rename(self._place.data(major))
        finally:
            os.unlink(password_file)
            shutil.rmtree(building, ignore_errors=True)

    def _ensure_database(self) -> None:
        """Make the application's database. Its owner and rights are the first migration's affair."""
        try:
            with psycopg.connect(
                self.conninfo("postgres", "postgres"), autocommit=True, connect_timeout=10
            ) as connection:
                row = connection.execute(_sql.database_there.text, {"name": self.dbname}).fetchone()
                if row is None or not row[0]:
                    connection.execute(compose(_sql.create_database, names={"name": self.dbname}))
        except psycopg.Error as error:
            raise ServiceAway(
                f"The embedded server runs but does not let its keeper in: {' '.join(str(error).split())}",
                remedy="See: policywatch db status",
            ) from error

    def _settled(self) -> Status:
        """The status once a server that is just starting (or recovering from a crash) has made up its mind."""
        deadline = time.monotonic() + _START_PATIENCE
        while self._place.answer() == pq.Ping.REJECT and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.status()

    def _only_if_running(self) -> Status:
        status = self._settled()
        if status.state == "running":
            return status
        facts = self._place.facts()
        keeper = facts.creator if facts is not None else "its owner"
        raise ServiceAway(
            f"The embedded server in {self.state_folder} stands still, and only {keeper} may start it.",
            remedy="Ask that account to run: policywatch db start",
        )

    # Folders --------------------------------------------------------------------------------------

    def _prepare_folder(self) -> Account:
        """The state folder and pg/ in it, reachable for the account that runs the server."""
        folder, files = self.state_folder, self._place.files
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        except OSError as error:
            raise ServiceAway(
                f"The state folder {folder} cannot be made: {error.strerror}.",
                remedy="Set database.state_folder to a folder that this account may write.",
            ) from error
        account = account_for(self._place.owner(), self._env)
        if account.dropped:
            # Only the program's own folder is opened, and only for passing through; never one above it.
            if not can_reach(folder, account.uid, account.gid) and folder.stat().st_uid == 0:
                folder.chmod(folder.stat().st_mode | 0o011)
            if not can_reach(folder, account.uid, account.gid):
                raise ServiceAway(
                    f"PostgreSQL runs as {account.name}, and that account cannot reach {folder}.",
                    remedy="Set database.state_folder to a place below /var/lib, or run as an ordinary user.",
                )
        if not files.exists():
            files.mkdir(mode=0o700)
            if account.dropped:
                os.chown(files, account.uid, account.gid)
        return account

    def _reachable(self, installation: servers.Installation, account: Account) -> Path:
        """The folder of programs that the account can run: the installation's, or a copy of it."""
        if not account.dropped or can_reach(installation.bin / "postgres", account.uid, account.gid):
            return installation.bin
        if installation.tree is None:
            raise ServiceAway(
                f"PostgreSQL runs as {account.name}, and that account cannot reach {installation.bin}.",
                remedy="Install it where everybody can read it, or run as an ordinary user.",
            )
        copy = self._folder("pgbin") / installation.version
        if not copy.exists():
            building = copy.with_name(".new")
            shutil.rmtree(building, ignore_errors=True)
            shutil.copytree(installation.tree, building, symlinks=True)
            open_for_reading(building)
            building.rename(copy)
        return copy / "bin"

    def _socket_folder(self, account: Account, facts: Facts | None) -> Path:
        """run/ in the state folder; where that path is too long the runtime folder, else one below /tmp.

        Not the runtime folder first: it goes with the login session, and the server stays.
        """
        if facts is not None and Path(facts.sockets).is_dir():
            return Path(facts.sockets)
        folder = self.state_folder / "run"
        runtime = self._env.get("XDG_RUNTIME_DIR", "")
        if not socket_fits(folder) and runtime and not account.dropped:
            mark = sha256(bytes(self.state_folder.resolve())).hexdigest()[:8]
            folder = Path(runtime) / f"policywatch-{mark}"
        if socket_fits(folder):
            folder.mkdir(mode=0o755, exist_ok=True)
        else:
            folder = Path(
                tempfile.mkdtemp(prefix="policywatch-", dir="/tmp")
            )  # the shortest place there is; 0700
        if account.dropped:
            os.chown(folder, account.uid, account.gid)
            folder.chmod(0o755)
        return folder

    def _folder(self, name: str) -> Path:
        """A folder of the keeper's that everybody may read."""
        folder = self.state_folder / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        return folder

    def _run(self, command: list[str], account: Account, failed: str) -> None:
        answer = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_START_PATIENCE * 3,
            **account.popen(),
        )
        if answer.returncode != 0:
            said = (answer.stderr.strip() or answer.stdout.strip()).splitlines()[-3:]
            words = " | ".join(dict.fromkeys([*said, *self._place.last_words()]))
            raise ServiceAway(
                f"The embedded server in {self.state_folder} {failed}: {words}",
                remedy="Mend what it says, or set database.dsn to a server of an administrator.",
            )
