"""Databases for tests: one server a run, one migrated template, a copy of it for each test that asks.

The server is POLICYWATCH_TEST_DSN's (a role that may create databases and roles), else an embedded one in a
temporary folder. Every database and role is named `pwt_<run>_...`; what a killed run left is swept by the next.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import hmac
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from policywatch.db import migrate
from policywatch.db.embedded import Server
from policywatch.db.logins import verifier
from policywatch.errors import ServiceAway

__all__ = [
    "Cluster",
    "Scratch",
    "database",
    "embedded_folder",
    "migrated",
    "module_database",
    "server",
    "template",
]

QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
CLOCK = Path(__file__).with_name("sql") / "clock.sql"
SEED = "POLICYWATCH_TEST_SEED"
_PREFIX = "policywatch-test-"
_STALE = 6 * 3600  # seconds after which another run's databases on a shared server count as left behind


@dataclass
class Cluster:
    """The server of this run. `superuser` connects to its maintenance database."""

    superuser: str
    run: str
    embedded: Server | None = None
    # A test that searches what another run left knows the seed, and so the passwords, and has it keep everything.
    _seed: bytes = field(default_factory=lambda: os.environ.get(SEED, "").encode() or os.urandom(16))
    keep: bool = field(default_factory=lambda: bool(os.environ.get(SEED)))
    _numbers: Iterator[int] = field(default_factory=count)

    def connect(self) -> psycopg.Connection[dict[str, Any]]:
        """As the administrator, outside transactions."""
        return psycopg.connect(self.superuser, autocommit=True, row_factory=dict_row)

    def role(self, name: str) -> str:
        """The cluster-wide name of a test's person."""
        return f"pwt_{self.run}_{name}"

    def password(self, role: str) -> str:
        """The same for one role through a whole run: databases of the run share the role."""
        return hmac.new(self._seed, role.encode(), hashlib.sha256).hexdigest()[:24]

    def login(self, role: str, dbname: str) -> str:
        """The connection string of a role of this run, by password."""
        return make_conninfo(self.superuser, user=role, password=self.password(role), dbname=dbname)

    def administrate(self, statement: str, **names: str) -> None:
        """One statement with quoted names, as the administrator."""
        composed = sql.SQL(statement).format(**{k: sql.Identifier(v) for k, v in names.items()})
        with self.connect() as connection:
            connection.execute(composed)

    def create(self, template: str | None = None) -> str:
        """A new database, empty or a copy of `template`; its name."""
        name = f"pwt_{self.run}_{next(self._numbers)}"
        if template is None:
            self.administrate("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'", name=name)
            return name
        for _ in range(20):
            try:
                self.administrate("CREATE DATABASE {name} TEMPLATE {template}", name=name, template=template)
                return name
            except errors.ObjectInUse:  # background workers of an extension look into every database
                with self.connect() as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                        [template],
                    )
        raise AssertionError(f"{template} stays in use")

    def drop(self, name: str) -> None:
        """Drop a database with whoever is still connected."""
        if self.keep:
            return
        self.administrate("DROP DATABASE IF EXISTS {name} WITH (FORCE)", name=name)

    def sweep(self, pattern: str, *, older_than: float = 0.0) -> None:
        """Drop databases and roles of this run (or of runs begun before `older_than` seconds)."""
        if self.keep:
            return
        like = f"pwt\\_{pattern}\\_%"
        with self.connect() as connection:
            databases = connection.execute(
                "SELECT datname AS name FROM pg_database WHERE datname LIKE %s", [like]
            )
            roles = connection.execute("SELECT rolname AS name FROM pg_roles WHERE rolname LIKE %s", [like])
            doomed = [("DATABASE", r["name"]) for r in databases] + [("ROLE", r["name"]) for r in roles]
            for kind, name in doomed:
                if older_than and not _stale(name, older_than):
                    continue
                statement = (
                    "DROP DATABASE IF EXISTS {} WITH (FORCE)"
                    if kind == "DATABASE"
                    else "DROP ROLE IF EXISTS {}"
                )
                with suppress(psycopg.Error):  # a role that another run of the server still needs
                    connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@dataclass
class Scratch:
    """One migrated database of a test. The conninfos are strings for `Database.open` and psycopg."""

    cluster: Cluster
    name: str

    @property
    def superuser(self) -> str:
        """The administrator of the server, in this database."""
        return make_conninfo(self.cluster.superuser, dbname=self.name)

    @property
    def owner(self) -> str:
        """Whoever may change the schema: the same."""
        return self.superuser

    @property
    def daemon(self) -> str:
        """A login that is a member of pw_daemon."""
        return self.cluster.login(self.cluster.role("daemon"), self.name)

    @property
    def admin(self) -> str:
        """The administrator that `migrate up` made; the one-time password is changed already."""
        return self.cluster.login(self.cluster.role("admin"), self.name)

    def person(self, name: str, role: str = "reviewer", **more: Any) -> str:
        """A person with this role, added by the same act as `users add`; the conninfo of their login.

        `more`: mail, os_user, platforms.
        """
        login = self.cluster.role(name)
        with psycopg.connect(self.admin, autocommit=True, row_factory=dict_row) as connection:
            answer = connection.execute(
                "SELECT * FROM act.user_add(gen_random_uuid(), %(name)s, %(role)s, %(verifier)s, %(mail)s, %(os_user)s,"
                " %(platforms)s, false)",
                {
                    "name": login,
                    "role": role,
                    "verifier": verifier(login, self.cluster.password(login)),
                    "mail": more.get("mail"),
                    "os_user": more.get("os_user"),
                    "platforms": more.get("platforms"),
                },
            ).fetchone()
        assert answer is not None
        assert answer["ok"], answer["sentence"]
        return self.cluster.login(login, self.name)

    def login_name(self, name: str) -> str:
        """The login of `person(name)`, as it stands in app.users and the audit log."""
        return self.cluster.role(name)

    def run(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """One statement as the superuser; its rows."""
        with psycopg.connect(self.superuser, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def replace_clock(self) -> None:
        """From now on the database's clock is a test's: real time plus what `move_clock` adds."""
        self.run(CLOCK.read_text(encoding="utf-8"))

    def move_clock(self, shift: str) -> None:
        """Add an interval (`6 minutes`) to the database's clock."""
        self.run("UPDATE app.test_clock SET shift = shift + %s::interval", shift)


@pytest.fixture(scope="session")
def server() -> Iterator[Cluster]:
    """The server of this run."""
    run = f"{int(time.time()):x}{os.getpid():x}"
    given = os.environ.get("POLICYWATCH_TEST_DSN", "")
    if given:
        cluster = Cluster(given, run)
        cluster.sweep("%", older_than=_STALE)
        try:
            yield cluster
        finally:
            cluster.sweep(run)
        return
    with embedded_folder() as folder:
        embedded = Server(folder, extra=QUICK)
        try:
            embedded.start()
        except ServiceAway as error:
            if os.environ.get("REQUIRE_ALL"):
                raise
            pytest.skip(f"no PostgreSQL: {error.what}")
        try:
            yield Cluster(embedded.conninfo("postgres", "postgres"), run, embedded)
        finally:
            embedded.stop()


@pytest.fixture(scope="session")
def template(server: Cluster) -> str:
    """The name of the database that every test's is a copy of."""
    return migrated(server)


def migrated(server: Cluster) -> str:
    """The name of a database that was migrated just now, with its administrator and its daemon's login."""
    name = server.create()
    conninfo = make_conninfo(server.superuser, dbname=name)
    admin, daemon = server.role("admin"), server.role("daemon")
    asyncio.run(migrate.up(conninfo, admin_name=admin))
    for statement, role in (
        ("CREATE ROLE {role} LOGIN", daemon),
        ("GRANT pw_daemon TO {role}", daemon),
        ("ALTER ROLE {role} PASSWORD " + _literal(verifier(daemon, server.password(daemon))), daemon),
        ("ALTER ROLE {role} PASSWORD " + _literal(verifier(admin, server.password(admin))), admin),
    ):
        server.administrate(statement, role=role)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("UPDATE app.users SET must_change_password = false")
    return name


@pytest.fixture
def database(server: Cluster, template: str) -> Iterator[Scratch]:
    """A migrated database for one test."""
    with _copy(server, template) as made:
        yield made


@pytest.fixture(scope="module")
def module_database(server: Cluster, template: str) -> Iterator[Scratch]:
    """A migrated database that the tests of one file share."""
    with _copy(server, template) as made:
        yield made


@contextmanager
def _copy(cluster: Cluster, template: str) -> Iterator[Scratch]:
    made = Scratch(cluster, cluster.create(template))
    made.run("SELECT app.secure_database()")
    try:
        yield made
    finally:
        cluster.drop(made.name)


@contextmanager
def embedded_folder() -> Iterator[Path]:
    """A state folder for a server of a test's own, short and outside the home; servers that killed runs left go."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with _Alive(left) as ours:
            if ours:
                with suppress(ServiceAway):
                    Server(left).stop()
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    if os.geteuid() == 0:
        folder.chmod(0o711)
    with _Alive(folder):
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


class _Alive:
    """Holds a lock on a test's folder while its run lives. True on entry: nobody else holds it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def __enter__(self) -> bool:
        try:
            self._descriptor = os.open(self._folder / "alive", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __exit__(self: Self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _stale(name: str, seconds: float) -> bool:
    match = re.match(r"pwt_([0-9a-f]{8})[0-9a-f]+_", name)
    return match is not None and time.time() - int(match[1], 16) > seconds


def for_settings(conninfo: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A connection string as the settings may hold it: its password goes where libpq looks for one too."""
    parts = conninfo_to_dict(conninfo)
    password = parts.pop("password", None)
    if password is not None:
        monkeypatch.setenv("PGPASSWORD", str(password))
    return make_conninfo("", **{name: value for name, value in parts.items() if value is not None})
