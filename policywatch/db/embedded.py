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

import fcntl
import json
import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from policywatch.db import servers
from policywatch.db.accounts import Account, account_for, can_reach, own_name
from policywatch.db.queries import load
from policywatch.db.serverfiles import PORT, hba, ident, postgresql_conf, socket_fits, write
from policywatch.db.statements import compose
from policywatch.errors import ServiceAway

__all__ = ["Server", "Started", "Status"]

_sql = load("server")

_LOCK_PATIENCE = 120.0  # seconds: somebody else may be making the files
_START_PATIENCE = 60


@dataclass(frozen=True, slots=True)
class _Facts:
    """server/server.json: what the next program must know before it can ask the server."""

    major: int
    version: str
    bin: str
    why: str
    sockets: str
    creator: str
    timescale: bool


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
    """What `start` did. `seconds` cover making the files and starting."""

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
        self._extra = dict(extra or {})
        self._env = env
        self._say = say

    # What others ask ------------------------------------------------------------------------------

    def conninfo(self, user: str, dbname: str | None = None, password: str | None = None) -> str:
        """How to connect as `user`; ServiceAway before the server was ever started."""
        facts = self._facts()
        if facts is None:
            raise ServiceAway(
                f"No embedded server is in {self.state_folder} yet.", remedy="Start it: policywatch db start"
            )
        return self._conninfo(Path(facts.sockets), user, dbname or self.dbname, password)

    def psql(self, user: str, dbname: str | None = None) -> list[str]:
        """The argument list of a psql for `user`: the server's own where it has one, else the system's."""
        facts = self._facts()
        own = Path(facts.bin) / "psql" if facts is not None else Path("psql")
        program = str(own) if own.is_file() and os.access(own, os.X_OK) else shutil.which("psql") or "psql"
        return [program, "--no-psqlrc", self.conninfo(user, dbname)]

    def programs(self) -> Path | None:
        """The folder of this server's programs (pg_dump of its own major), once it was started."""
        facts = self._facts()
        return Path(facts.bin) if facts is not None else None

    def is_keeper(self) -> bool:
        """Whether this account may start and stop the server: whoever owns its files, or root."""
        owner = self._owner()
        return os.geteuid() == 0 or owner is None or owner == os.geteuid() or self._creator() == own_name()

    def status(self) -> Status:
        """Whether it runs, by a real connection and not by a file."""
        facts = self._facts()
        if facts is None:
            return Status("absent", self.state_folder)
        running = self._ping(Path(facts.sockets)) == pq.Ping.OK
        data = self._data(facts.major)
        return Status(
            "running" if running else "stopped",
            self.state_folder,
            data,
            Path(facts.sockets),
            facts.version,
            facts.bin,
            facts.why,
            self._pid(data) if running else None,
        )

    # What changes it ------------------------------------------------------------------------------

    def start(self) -> Started:
        """Make what is missing, start what stands still, use what runs. Safe to call from many programs at once."""
        began = time.monotonic()
        status = self.status()
        if not self.is_keeper():
            if status.state == "running":
                return Started(status, False, True, "The embedded server runs.", time.monotonic() - began)
            raise ServiceAway(
                f"The embedded server in {self.state_folder} stands still, and only {self._creator() or 'its owner'} may start it.",
                remedy="Ask that account to run: policywatch db start",
            )
        account = self._prepare_folder()
        with self._lock():
            created, choice = False, None
            status = self._settled()
            if status.state != "running":
                choice, created = self._make_and_start(account)
            self._ensure_database()
        status = self.status()
        sentence = (
            f"{status.version} from {status.programs}: {status.why}" if choice is None else choice.sentence()
        )
        return Started(status, created, choice is None, sentence, time.monotonic() - began)

    def stop(self) -> bool:
        """Stop it now (open transactions are rolled back); False when it did not run."""
        facts = self._facts()
        if facts is None or self.status().state != "running":
            return False
        if not self.is_keeper():
            raise ServiceAway(
                f"Only {facts.creator} may stop the embedded server in {self.state_folder}.",
                remedy="Ask that account to run: policywatch db stop",
            )
        account = account_for(self._owner(), self._env)
        with self._lock():
            self._run(
                [str(Path(facts.bin) / "pg_ctl"), "-D", str(self._data(facts.major)), "-m", "fast", "-w",
                 "-t", str(_START_PATIENCE), "stop"],
                account,
                "could not be stopped",
            )  # fmt: skip
        return True

    # Steps ----------------------------------------------------------------------------------------

    def _make_and_start(self, account: Account) -> tuple[servers.Choice, bool]:
        facts, major = self._facts(), self._major()
        choice = servers.choose(*servers.find(self._env), data_major=major)
        if facts is not None and facts.timescale and major is not None and not choice.installation.timescale:
            raise ServiceAway(
                f"The database files in {self.state_folder} were used with TimescaleDB, which {choice.installation.describe()} lacks.",
                remedy="Install that extension again for this major; the files stay as they are.",
            )
        programs = self._reachable(choice.installation, account)
        created = major is None
        if created:
            self._say(f"Making a database with {choice.sentence()} ...")
            self._initdb(programs, choice.installation.major, account)
        major = choice.installation.major
        sockets = self._socket_folder(account, facts)
        creator = facts.creator if facts is not None else own_name()
        conf = self._folder("server", 0o755)
        write(conf / "pg_hba.conf", hba())
        write(conf / "pg_ident.conf", ident({creator, "root", own_name()}))
        write(
            conf / "postgresql.conf",
            postgresql_conf(
                choice.installation, data=self._data(major), sockets=sockets, conf=conf, extra=self._extra
            ),
        )
        self._forget_stale_pid(self._data(major))
        self._run(
            [str(programs / "pg_ctl"), "-D", str(self._data(major)), "-w", "-t", str(_START_PATIENCE),
             "-l", str(self.state_folder / "pg" / "start.log"),
             "-o", f"-c config_file={shlex.quote(str(conf / 'postgresql.conf'))}", "start"],
            account,
            "did not start",
        )  # fmt: skip
        made = _Facts(
            major,
            choice.installation.version,
            str(programs),
            choice.why,
            str(sockets),
            creator,
            choice.installation.timescale,
        )
        write(conf / "server.json", json.dumps(asdict(made), indent=2) + "\n")
        return choice, created

    def _initdb(self, programs: Path, major: int, account: Account) -> None:
        """Build beside the place and rename: half-made files are never taken for a database."""
        building = self.state_folder / "pg" / ".new"
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
            building.rename(self._data(major))
        finally:
            os.unlink(password_file)
            shutil.rmtree(building, ignore_errors=True)

    def _ensure_database(self) -> None:
        """Make the application's database. Its owner and rights are the first migration's affair."""
        try:
            with psycopg.connect(
                self.conninfo("postgres", "postgres"), autocommit=True, connect_timeout=10
            ) as c:
                row = c.execute(_sql.database_there.text, {"name": self.dbname}).fetchone()
                if row is None or not row[0]:
                    c.execute(compose(_sql.create_database, names={"name": self.dbname}))
        except psycopg.Error as error:
            raise ServiceAway(
                f"The embedded server runs but does not let its keeper in: {error}",
                remedy="See: policywatch db status",
            ) from error

    def _settled(self) -> Status:
        """The status once a server that is just starting (or recovering from a crash) has made up its mind."""
        facts = self._facts()
        deadline = time.monotonic() + _START_PATIENCE
        while (
            facts is not None
            and self._ping(Path(facts.sockets)) == pq.Ping.REJECT
            and time.monotonic() < deadline
        ):
            time.sleep(0.1)
        return self.status()

    # Folders --------------------------------------------------------------------------------------

    def _prepare_folder(self) -> Account:
        """The state folder and pg/ in it, reachable for the account that runs the server."""
        self.state_folder.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        account = account_for(self._owner(), self._env)
        files = self.state_folder / "pg"
        if account.dropped:
            # Only the program's own folder is opened, and only for passing through; never one above it.
            if (
                not can_reach(self.state_folder, account.uid, account.gid)
                and self.state_folder.stat().st_uid == 0
            ):
                self.state_folder.chmod(self.state_folder.stat().st_mode | 0o011)
            if not can_reach(self.state_folder, account.uid, account.gid):
                raise ServiceAway(
                    f"PostgreSQL runs as {account.name}, and that account cannot reach {self.state_folder}.",
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
        copy = self._folder("pgbin", 0o755) / installation.version
        if not copy.exists():
            building = copy.with_name(".new")
            shutil.rmtree(building, ignore_errors=True)
            shutil.copytree(installation.tree, building, symlinks=True)
            for folder, _, _ in os.walk(building):
                os.chmod(folder, 0o755)  # noqa: S103 (programs of the wheel, for everybody to run)
            building.rename(copy)
        return copy / "bin"

    def _socket_folder(self, account: Account, facts: _Facts | None) -> Path:
        """run/ in the state folder; where that path is too long the runtime folder, else one below /tmp.

        Not the runtime folder first: it goes with the login session, and the server stays.
        """
        if facts is not None and Path(facts.sockets).is_dir():
            return Path(facts.sockets)
        folder = self.state_folder / "run"
        runtime = self._env.get("XDG_RUNTIME_DIR", "")
        if not socket_fits(folder) and runtime:
            mark = sha256(bytes(self.state_folder.resolve())).hexdigest()[:8]
            folder = Path(runtime) / f"policywatch-{mark}"
        if socket_fits(folder):
            folder.mkdir(mode=0o755, exist_ok=True)
        else:
            folder = Path(tempfile.mkdtemp(prefix="policywatch-", dir="/tmp"))
        if account.dropped:
            os.chown(folder, account.uid, account.gid)
            folder.chmod(0o755)
        return folder

    def _folder(self, name: str, mode: int) -> Path:
        folder = self.state_folder / name
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
        return folder

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One program at a time. The system frees the lock when its holder dies."""
        deadline = time.monotonic() + _LOCK_PATIENCE
        descriptor = os.open(self.state_folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ServiceAway(
                            f"Another program has been starting the server in {self.state_folder} for too long.",
                            remedy="See: policywatch db status",
                        ) from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)

    # Facts ----------------------------------------------------------------------------------------

    def _facts(self) -> _Facts | None:
        try:
            return _Facts(**json.loads((self.state_folder / "server" / "server.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _creator(self) -> str:
        facts = self._facts()
        return facts.creator if facts is not None else ""

    def _owner(self) -> int | None:
        try:
            return (self.state_folder / "pg").stat().st_uid
        except OSError:
            return None

    def _data(self, major: int) -> Path:
        return self.state_folder / "pg" / str(major)

    def _major(self) -> int | None:
        """The major of the database files that are there: the newest, since an upgrade leaves the old ones."""
        found = [
            int(path.parent.name)
            for path in (self.state_folder / "pg").glob("*/PG_VERSION")
            if path.parent.name.isdigit() and path.read_text().strip() == path.parent.name
        ]
        return max(found, default=None)

    def _pid(self, data: Path) -> int | None:
        try:
            return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _forget_stale_pid(self, data: Path) -> None:
        """After a hard stop another program may have got the number: PostgreSQL would refuse to start for ever."""
        pid = self._pid(data)
        if pid is None:
            return
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() != "postgres":
                (data / "postmaster.pid").unlink()

    def _ping(self, sockets: Path) -> pq.Ping:
        return pq.Ping(
            pq.PGconn.ping(
                self._conninfo(sockets, "postgres", "postgres", None).encode() + b" connect_timeout=3"
            )
        )

    def _conninfo(self, sockets: Path, user: str, dbname: str, password: str | None) -> str:
        return make_conninfo(host=str(sockets), port=PORT, user=user, dbname=dbname, password=password)

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
            said = (answer.stderr.strip() or answer.stdout.strip()).splitlines()[-3:] + self._last_words()
            raise ServiceAway(
                f"The embedded server in {self.state_folder} {failed}: " + " | ".join(dict.fromkeys(said)),
                remedy="Mend what it says, or set database.dsn to a server of an administrator.",
            )

    def _last_words(self) -> list[str]:
        """The newest lines that the server wrote before it ended."""
        logs = [
            self.state_folder / "pg" / "start.log",
            *(self.state_folder / "pg").glob("*/log/server-*.log"),
        ]
        words = list[str]()
        with suppress(OSError, ValueError):
            newest = max(
                (p for p in logs if p.is_file() and not p.is_symlink()), key=lambda p: p.stat().st_mtime
            )
            words = newest.read_text(errors="replace").splitlines()[-3:]
        return words
