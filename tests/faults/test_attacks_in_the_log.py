"""The attack and credential suites (by `make chaos` those of states and tampering too) on a server that logs every statement.

They run as a suite of their own against that server and leave their databases; then the log, pg_stat_statements, the
audit rows and a dump of each database are searched for the passwords of every person and the keys and values of
every credential that they used.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from policywatch.db.embedded import Server
from policywatch.keys import credential_key
from tests.databases import QUICK, SEED, Cluster, embedded_folder
from tests.db.test_credentials import MASTERS, VALUE
from tests.faults.test_no_secret_in_logs import EVERYTHING
from tests.lengths import LONG

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]

SUITES = ["tests/db/test_attacks.py", "tests/db/test_credentials.py"]
# The suite does it without row-level security; `make chaos` with it, and with the states and the tampering.
SUITES += (
    ["tests/db/test_states.py", "tests/faults/test_audit_tampering.py"] if LONG else ["-k", "not rls-on"]
)
KNOWN_SEED = "the seed of a run whose traces are searched"


@dataclass
class Traces:
    """What a server keeps of that run."""

    server: Server
    told: str

    @property
    def superuser(self) -> str:
        return self.server.conninfo("postgres", "postgres")

    def _column(self, statement: str, dbname: str = "postgres") -> list[str]:
        with psycopg.connect(make_conninfo(self.superuser, dbname=dbname), autocommit=True) as connection:
            return [str(row[0]) for row in connection.execute(statement.encode())]

    def databases(self) -> list[str]:
        return self._column("SELECT datname FROM pg_database WHERE datname LIKE 'pwt\\_%'")

    def markers(self) -> list[bytes]:
        """Passwords of all persons, keys and values of all credentials of the run, in the forms they could have."""
        cluster = Cluster(self.superuser, "", None, KNOWN_SEED.encode())
        found = [
            cluster.password(role) for role in self._column("SELECT rolname FROM pg_roles WHERE rolcanlogin")
        ]
        assert len(found) > 5
        for version, master in MASTERS.items():
            found += [
                master.decode(),
                master.hex(),
                *(str(credential_key(master, version, "x", n)) for n in NAMES),
            ]
        return [text.encode() for text in (*found, VALUE)]

    def kept(self) -> Iterator[tuple[str, bytes]]:
        logs = [path for path in self.server.state_folder.glob("pg/*/log/*") if path.is_file()]
        yield "log", b"".join(path.read_bytes() for path in sorted(logs))
        programs = self.server.programs()
        assert programs is not None
        for name in self.databases():
            if self._column("SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'", name):
                yield (
                    "statements",
                    "\n".join(self._column("SELECT query FROM pg_stat_statements", name)).encode(),
                )
            rows = self._column("SELECT a::text FROM app.audit_log a", name)
            yield f"audit of {name}", "\n".join(rows).encode()
            command = [str(programs / "pg_dump"), "--inserts", make_conninfo(self.superuser, dbname=name)]
            yield f"dump of {name}", subprocess.run(command, check=True, capture_output=True).stdout


NAMES = ("token", "other", "one", "two", "three", "four")


@pytest.fixture
def traces() -> Iterator[Traces]:
    with embedded_folder() as folder:
        server = Server(folder, extra=QUICK | EVERYTHING)
        server.start()
        try:
            ran = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *SUITES],
                env=os.environ
                | {"POLICYWATCH_TEST_DSN": server.conninfo("postgres", "postgres"), SEED: KNOWN_SEED},
                capture_output=True,
                text=True,
                timeout=500,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
            yield Traces(server, ran.stdout)
        finally:
            server.stop()


def test_the_attack_suites_leave_no_password_key_or_secret_on_a_server_that_logs_everything(
    traces: Traces,
) -> None:
    markers = traces.markers()
    looked = {}
    found = []
    for place, text in traces.kept():
        looked[place] = len(text)
        found += [(place, marker) for marker in markers if marker in text]
    print(traces.told.splitlines()[-1], looked, len(markers))

    assert found == []
    assert looked["log"] > 1_000_000
    assert looked["statements"] > 10_000
    assert len(looked) >= 4
