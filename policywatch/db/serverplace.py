"""What lies in the state folder of an embedded server, and what can be told from it without changing anything."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from psycopg import pq
from psycopg.conninfo import make_conninfo

from policywatch.db.serverfiles import PORT, write
from policywatch.errors import ServiceAway

__all__ = ["Facts", "Place", "socket_conninfo"]

_LOCK_PATIENCE = 120.0  # seconds: somebody else may be making the files


@dataclass(frozen=True, slots=True)
class Facts:
    """server/server.json: what the next program must know before it can ask the server."""

    major: int
    version: str
    bin: str
    why: str
    sockets: str
    creator: str
    timescale: bool


class Place:
    """The state folder. Everything here is read anew: other programs change it too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "pg"
        self.start_log = self.files / "start.log"

    def facts(self) -> Facts | None:
        """None before the first start."""
        try:
            return Facts(**json.loads((self.folder / "server" / "server.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, facts: Facts) -> None:
        """Write them for the next program."""
        write(self.folder / "server" / "server.json", json.dumps(asdict(facts), indent=2) + "\n")

    def people(self) -> dict[str, str]:
        """Logins whose account has another name (login -> account), of every database of this server."""
        return {login: account for known in self._people().values() for login, account in known.items()}

    def knows_people(self, dbname: str, people: Mapping[str, str]) -> bool:
        """Whether those of one database stand so already."""
        return self._people().get(dbname, {}) == dict(people)

    def people_with(self, dbname: str, people: Mapping[str, str]) -> dict[str, str]:
        """As `people`, those of one database replaced."""
        known = self._people() | {dbname: dict(people)}
        return {login: account for each in known.values() for login, account in each.items()}

    def keep_people(self, dbname: str, people: Mapping[str, str]) -> None:
        """Write down those of one database."""
        known = self._people() | {dbname: dict(people)}
        write(self.folder / "server" / "people.json", json.dumps(known, indent=2, sort_keys=True) + "\n")

    def _people(self) -> dict[str, dict[str, str]]:
        try:
            read = json.loads((self.folder / "server" / "people.json").read_text())
            return {
                str(db): {str(login): str(account) for login, account in known.items()}
                for db, known in read.items()
            }
        except (OSError, ValueError, AttributeError):
            return {}

    def owner(self) -> int | None:
        """The uid that the database files belong to; None where there are none."""
        try:
            return self.files.stat().st_uid
        except OSError:
            return None

    def data(self, major: int) -> Path:
        """The folder of the database files of a major."""
        return self.files / str(major)

    def major(self) -> int | None:
        """The major of the database files that are there: the newest, since an upgrade leaves the old ones."""
        found = [
            int(path.parent.name)
            for path in self.files.glob("*/PG_VERSION")
            if path.parent.name.isdigit() and path.read_text().strip() == path.parent.name
        ]
        return max(found, default=None)

    def pid(self, major: int) -> int | None:
        """The server's number by its own file; only a connection proves that it runs."""
        try:
            return int((self.data(major) / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def forget_dead(self, major: int, sockets: Path) -> None:
        """Remove the number of a server that was killed, where PostgreSQL itself would take it for alive.

        Another program may have got the number, or nobody has collected the dead one (a container whose first
        program does not): PostgreSQL would refuse to start for ever. Files still in use are safe all the same,
        since it also refuses while any of its processes is attached to their shared memory.
        """
        for lock in (self.data(major) / "postmaster.pid", sockets / f".s.PGSQL.{PORT}.lock"):
            with suppress(OSError, ValueError):
                pid = int(lock.read_text().split("\n", 1)[0])
                name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
                if name != "postgres" or rest.split()[0] == "Z":
                    lock.unlink()

    def answer(self) -> pq.Ping:
        """What a connection attempt gives: OK, REJECT (starting or stopping), NO_RESPONSE."""
        facts = self.facts()
        if facts is None:
            return pq.Ping.NO_RESPONSE
        asked = socket_conninfo(Path(facts.sockets), "postgres", "postgres") + " connect_timeout=3"
        return pq.Ping(pq.PGconn.ping(asked.encode()))

    def last_words(self) -> list[str]:
        """The newest lines that the server wrote."""
        logs = [self.start_log, *self.files.glob("*/log/server-*.log")]
        words = list[str]()
        with suppress(OSError, ValueError):
            newest = max(
                (p for p in logs if p.is_file() and not p.is_symlink()), key=lambda p: p.stat().st_mtime
            )
            words = newest.read_text(errors="replace").splitlines()[-3:]
        return words

    @contextmanager
    def lock(self, patience: float = _LOCK_PATIENCE) -> Iterator[None]:
        """One program at a time. The system frees the lock when its holder dies."""
        deadline = time.monotonic() + patience
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ServiceAway(
                            f"Another program has been starting the server in {self.folder} for too long.",
                            remedy="See: policywatch db status",
                        ) from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)


def socket_conninfo(sockets: Path, user: str, dbname: str, password: str | None = None) -> str:
    """The connection string through a socket folder."""
    return make_conninfo(host=str(sockets), port=PORT, user=user, dbname=dbname, password=password)
