"""The migration runner: numbered files forward and back, one transaction each; `api/*.sql` when they changed.

It refuses to guess: a schema newer than the program, an edited file, a file that stopped half-way and tables
that no migration recorded are each told with the reason, and nothing is changed. Runs as whoever may change the
schema (`connect.owner`). Several runners at once: one works, the others wait and find nothing to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any, Literal

import psycopg
from psycopg import errors
from psycopg.rows import dict_row

from policywatch import __version__
from policywatch.db.logins import AdminLogin, ensure_admin
from policywatch.db.queries import Query, load
from policywatch.db.refusals import away, is_race, told
from policywatch.db.steps import ApiFile, Step, api_files, roles, shipped, steps
from policywatch.errors import PolicyWatchError, ServiceAway

__all__ = [
    "Migrated",
    "Schema",
    "StepState",
    "apply_api",
    "connected",
    "down",
    "locked",
    "status",
    "steady",
    "up",
    "verify",
]

_sql = load("migrate")

LOCK_KEY = 0x706F6C69637977  # "policyw"; advisory locks are the database's own
_PLAIN_CLOCK = "SELECT pg_catalog.clock_timestamp()"
_TRIES = 5

Connection = psycopg.AsyncConnection[dict[str, Any]]
State = Literal["applied", "pending", "edited", "half-applied", "unknown"]


@dataclass(frozen=True, slots=True)
class StepState:
    """One migration as this database has it; `unknown`: applied by a newer program."""

    version: int
    name: str
    state: State


@dataclass(frozen=True, slots=True)
class Schema:
    """Where the schema stands. `have` and `want` are numbers of migrations."""

    have: int
    want: int
    steps: tuple[StepState, ...]
    api_current: bool
    clock_replaced: bool
    timescale: str | None

    @property
    def current(self) -> bool:
        """Nothing is to be done, and nothing is wrong."""
        return self.have == self.want and self.api_current and all(s.state == "applied" for s in self.steps)


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a run did, in the order done. `admin` is None after `down`."""

    version: int
    done: tuple[str, ...]
    api: bool = False
    admin: AdminLogin | None = field(default=None)


async def up(
    conninfo: str,
    *,
    folder: Traversable | None = None,
    admin_name: str = "admin",
    timescale: str = "auto",
    peer: bool = False,
    patience: float = 60.0,
    say: Callable[[str], None] = lambda _sentence: None,
    installing: Callable[[], object] = lambda: None,
) -> Migrated:
    """Apply what is missing, then the api files if any changed, then make the administrator's login.

    `timescale` is auto, require or off; `peer` is for the embedded server; `patience` is seconds to wait for another
    runner; `say` gets one sentence per file. `installing` is called in the transaction of the first migration.
    """
    folder = folder or shipped()
    known, api = steps(folder), api_files(folder)
    wishes = {"admin_name": admin_name, "timescale": timescale, "lock_timeout": "10s"}
    async with locked(conninfo, patience) as connection:
        recorded = await _recorded(connection)
        _refuse_if_wrong(recorded, known)
        done = list[str]()
        for step in known[len(recorded.rows) :]:
            say(f"Applying {step.title} ...")
            await _apply(connection, step, wishes, roles(folder), installing)
            done.append(step.title)
        applied_api = bool(api) and (bool(done) or recorded.api != {f.name: f.sha256 for f in api})
        if applied_api:
            say("Applying views and acts ...")
            await steady(lambda: apply_api(connection, api, wishes))
        admin: AdminLogin | None = None
        if await _value(connection, _sql.made):
            await steady(lambda: connection.execute(_sql.secure.text))
            admin = await ensure_admin(connection, admin_name, peer=peer)
    return Migrated(len(known), tuple(done), applied_api, admin)


async def down(
    conninfo: str,
    *,
    to: int = 0,
    folder: Traversable | None = None,
    patience: float = 60.0,
    say: Callable[[str], None] = lambda _sentence: None,
) -> Migrated:
    """Undo migrations above `to`, newest first; at 0 nothing of this program is left but the cluster's roles.

    For development and proof: data is lost. Production restores a backup.
    """
    known = steps(folder or shipped())
    async with locked(conninfo, patience) as connection:
        recorded = await _recorded(connection)
        _refuse_if_wrong(recorded, known)
        doomed = [s for s in reversed(known[: len(recorded.rows)]) if s.version > to]
        lacking = [s.title for s in doomed if s.down is None]
        if lacking:
            raise PolicyWatchError(
                f"There is no way back from {', '.join(lacking)}: the down file is missing.",
                remedy="Restore a backup instead: policywatch backup restore",
            )
        for step in doomed:
            say(f"Undoing {step.title} ...")
            await _undo(connection, step, last=step.version == 1)
    return Migrated(min(to, len(recorded.rows)), tuple(s.title for s in doomed))


async def status(conninfo: str, *, folder: Traversable | None = None) -> Schema:
    """Where the schema stands, without changing or locking anything."""
    folder = folder or shipped()
    known, api = steps(folder), api_files(folder)
    async with connected(conninfo) as connection:
        recorded = await _recorded(connection)
        clock = await _value(connection, _sql.clock_source)
        timescale = await _value(connection, _sql.timescale_version)
    return Schema(
        have=len(recorded.rows),
        want=len(known),
        steps=_states(recorded, known),
        api_current=recorded.api == {f.name: f.sha256 for f in api},
        clock_replaced=clock is not None and clock != _PLAIN_CLOCK,
        timescale=timescale,
    )


async def verify(conninfo: str, *, folder: Traversable | None = None) -> tuple[str, ...]:
    """What is wrong with the schema, one sentence each; empty when all is as shipped."""
    schema = await status(conninfo, folder=folder)
    words: dict[State, str] = {
        "pending": "is not applied",
        "edited": "was edited after it was applied",
        "half-applied": "stopped half-way",
        "unknown": "was applied by a newer program",
    }
    faults = [f"{s.version:03d}_{s.name} {words[s.state]}." for s in schema.steps if s.state in words]
    if not schema.api_current and schema.have:
        faults.append("The views and acts are not those of this program.")
    if schema.clock_replaced:
        faults.append("The clock app.pw_now() is replaced: this database is a test's or the demo's.")
    return tuple(faults)


# What is recorded ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Recorded:
    rows: tuple[dict[str, Any], ...]
    api: dict[str, bytes]
    stray: bool
    """Tables stand in app, and no migration is recorded."""


async def _recorded(connection: Connection) -> _Recorded:
    there = await (await connection.execute(_sql.tables_there.text)).fetchone()
    if there is None or not there["recorded"]:
        return _Recorded((), {}, bool(there and there["others"]))
    steps_of, api_of = (
        (_sql.applied_seen, _sql.api_seen) if there["person"] else (_sql.applied, _sql.api_applied)
    )
    rows = await (await connection.execute(steps_of.text)).fetchall()
    api = await (await connection.execute(api_of.text)).fetchall()
    return _Recorded(
        tuple(rows), {r["name"]: bytes(r["sha256"]) for r in api}, not rows and bool(there["others"])
    )


def _states(recorded: _Recorded, known: tuple[Step, ...]) -> tuple[StepState, ...]:
    by_version = {row["version"]: row for row in recorded.rows}
    found = list[StepState]()
    for step in known:
        row = by_version.pop(step.version, None)
        state: State = "applied"
        if row is None:
            state = "pending"
        elif row["applied_at"] is None:
            state = "half-applied"
        elif bytes(row["sha256"]) != step.sha256:
            state = "edited"
        found.append(StepState(step.version, step.name, state))
    found += [StepState(v, row["name"], "unknown") for v, row in sorted(by_version.items())]
    return tuple(found)


def _refuse_if_wrong(recorded: _Recorded, known: tuple[Step, ...]) -> None:
    """Raise with the reason when this program must not touch this schema."""
    states = _states(recorded, known)
    unknown = [s for s in states if s.state == "unknown"]
    if unknown:
        raise PolicyWatchError(
            f"The database is at migration {unknown[-1].version}; this program knows {len(known)}.",
            remedy="Run the newer program, or restore a backup of before.",
        )
    if recorded.stray:
        raise PolicyWatchError(
            "The schema app holds tables, and no migration is recorded: something was applied by hand or half.",
            remedy="Use an empty database, or restore a backup (policywatch backup restore).",
        )
    for state in states:
        title = f"{state.version:03d}_{state.name}"
        if state.state == "half-applied":
            raise PolicyWatchError(
                f"{title} stopped half-way: it runs outside a transaction and never ended.",
                remedy="Look what it left (an invalid index: DROP INDEX), delete its row of app.schema_migrations, run up again.",
            )
        if state.state == "edited":
            raise PolicyWatchError(
                f"{title} was edited after it was applied here: its checksum differs.",
                remedy="Put the file back as it was; a correction is a new migration.",
            )
    applied = [s.state == "applied" for s in states]
    if applied != sorted(applied, reverse=True):
        missing = next(s for s in states if s.state == "pending")
        raise PolicyWatchError(
            f"{missing.version:03d}_{missing.name} is not applied, though later ones are.",
            remedy="Restore a backup: the record of migrations was changed by hand.",
        )


# Steps --------------------------------------------------------------------------------------------


async def _apply(
    connection: Connection, step: Step, wishes: dict[str, str], groups: str, installing: Callable[[], object]
) -> None:
    row = {"version": step.version, "name": step.name, "sha256": step.sha256, "app_version": __version__}
    if not step.transactional:
        await connection.execute(_sql.record.text, row | {"finished": False})
        with told(step.title, step.up, "stopped half-way"):
            await connection.execute(step.up)
        await connection.execute(_sql.finish.text, {"version": step.version})
        return

    async def once() -> None:
        async with connection.transaction():
            await connection.execute(_sql.wishes.text, wishes)
            if step.version == 1:
                await connection.execute(_sql.bootstrap.text)
            with told("roles", groups, "failed and was rolled back"):
                await connection.execute(groups)
            with told(step.title, step.up, "failed and was rolled back"):
                await connection.execute(step.up)
            await connection.execute(_sql.record.text, row | {"finished": True})
            if step.version == 1:
                installing()

    await steady(once)


async def apply_api(connection: Connection, api: tuple[ApiFile, ...], wishes: dict[str, str]) -> None:
    """All files in one transaction: nobody ever sees half of the views and acts."""
    async with connection.transaction():
        await connection.execute(_sql.wishes.text, wishes)
        await connection.execute(_sql.forget_api.text)
        for file in api:
            with told(f"api/{file.name}", file.text, "failed; views and acts are as before"):
                await connection.execute(file.text)
            await connection.execute(_sql.record_api.text, {"name": file.name, "sha256": file.sha256})


async def _undo(connection: Connection, step: Step, *, last: bool) -> None:
    text = step.down or ""

    async def once() -> None:
        async with connection.transaction():
            await connection.execute(_sql.quiet.text)
            await connection.execute(_sql.drop_api.text)
            with told(f"{step.title} (down)", text, "failed and was rolled back"):
                await connection.execute(text)
            await connection.execute(_sql.forget.text, {"version": step.version})
            await connection.execute(_sql.forget_api.text)
            if last:
                await connection.execute(_sql.drop_bootstrap.text)

    await steady(once)


async def steady(work: Callable[[], Awaitable[object]]) -> None:
    """Do it again when another database of the cluster changed the same shared row at the same moment."""
    for attempt in range(_TRIES):
        try:
            await work()
            return
        except errors.InternalError_ as error:
            if not is_race(error) or attempt == _TRIES - 1:
                raise
            await asyncio.sleep(0.05 * 2**attempt)


# Connection ---------------------------------------------------------------------------------------


@asynccontextmanager
async def connected(conninfo: str) -> AsyncIterator[Connection]:
    """A connection for the schema's keeper; a server that is away is told as a sentence."""
    try:
        connection = await Connection.connect(
            conninfo,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=5,
            application_name="policywatch migrate",
        )
    except psycopg.Error as error:
        raise away(conninfo, error) from error
    try:
        yield connection
    except psycopg.OperationalError as error:
        if not connection.closed:
            raise
        raise ServiceAway(
            f"The connection broke during the migration: {' '.join(str(error).split())}",
            remedy="Run it again: what was not finished was rolled back.",
        ) from error
    finally:
        await connection.close()


@asynccontextmanager
async def locked(conninfo: str, patience: float) -> AsyncIterator[Connection]:
    """A connection that alone migrates this database; the lock goes with the connection."""
    async with connected(conninfo) as connection:
        deadline = time.monotonic() + patience
        while not await _value(connection, _sql.try_lock, key=LOCK_KEY):
            if time.monotonic() > deadline:
                raise ServiceAway(
                    "Another program has been migrating this database for too long.",
                    remedy="Wait for it, or see who holds the advisory lock in pg_locks.",
                )
            await asyncio.sleep(0.1)
        yield connection
        await connection.execute(_sql.unlock.text, {"key": LOCK_KEY})


async def _value(connection: Connection, query: Query, **params: object) -> Any:
    row = await (await connection.execute(query.text, params or None)).fetchone()
    return None if row is None else next(iter(row.values()))
