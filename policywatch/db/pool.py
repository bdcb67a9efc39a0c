"""Connections to the one database: a small pool of one program, and what a statement of it answers.

Rules: one connection per task and never two; a statement is a named `Query`; every value is a parameter;
times are aware and UTC. psycopg is met here and in the modules beside this one, nowhere else.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg.types.json import JsonbDumper
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from policywatch.db.queries import Query
from policywatch.db.refusals import Broken, Violation, away, busy, translate
from policywatch.errors import Conflict, NotAllowed, PolicyWatchError

__all__ = [
    "QUERY_TIMES",
    "Broken",
    "Database",
    "Outcome",
    "QueryTime",
    "Row",
    "Tx",
    "Violation",
    "session_conninfo",
]

Row = dict[str, Any]
T = TypeVar("T")
_SURE = 5.0  # seconds after its last use in which a connection that hears nothing counts as alive


class Connection(psycopg.AsyncConnection[Row]):
    """A connection that knows when it was given back to the pool."""

    used_at: float = 0.0


@dataclass(slots=True)
class QueryTime:
    """How often a statement ran in this program and for how long, in seconds."""

    count: int = 0
    total: float = 0.0
    longest: float = 0.0


#: By statement name, since the program started; the metrics endpoint reads it.
QUERY_TIMES: dict[str, QueryTime] = {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The database's answer to an act; `id` is what was made, `version` the row's new version."""

    ok: bool
    code: str
    sentence: str
    remedy: str
    version: int | None
    id: int | None


class Tx:
    """Statements on one connection, inside one transaction or (from `Database`) each on its own."""

    def __init__(self, connection: Connection, conninfo: str) -> None:
        self._connection = connection
        self._conninfo = conninfo

    async def all(self, query: Query, **params: Any) -> list[Row]:
        """Every row, as mappings by column."""
        async with self._cursor(query, params) as cursor:
            return await cursor.fetchall()

    async def one(self, query: Query, **params: Any) -> Row | None:
        """The first row, or None."""
        async with self._cursor(query, params) as cursor:
            return await cursor.fetchone()

    async def value(self, query: Query, **params: Any) -> Any:
        """The first column of the first row, or None."""
        row = await self.one(query, **params)
        return None if row is None else next(iter(row.values()))

    async def run(self, query: Query, **params: Any) -> int:
        """Carry it out; how many rows it touched."""
        async with self._cursor(query, params) as cursor:
            return cursor.rowcount

    async def copy_rows(self, query: Query, rows: Iterable[Sequence[Any]]) -> int:
        """Feed `COPY table (columns) FROM STDIN`; how many rows went in. All or none of them."""
        async with self._met(query), self._connection.cursor() as cursor:
            async with cursor.copy(query.text) as copy:
                for row in rows:
                    await copy.write_row(row)
            return cursor.rowcount

    @asynccontextmanager
    async def _cursor(self, query: Query, params: Row) -> AsyncIterator[psycopg.AsyncCursor[Row]]:
        async with self._met(query), self._connection.cursor() as cursor:
            await cursor.execute(query.text, params)
            yield cursor

    @asynccontextmanager
    async def _met(self, query: Query) -> AsyncIterator[None]:
        """Time the statement and turn what PostgreSQL says into the program's errors."""
        began = time.perf_counter()
        try:
            yield
        except psycopg.Error as error:
            known = translate(error, query.name, self._conninfo, broken=self._connection.closed)
            if known is error:
                raise
            raise known from error
        finally:
            spent = time.perf_counter() - began
            times = QUERY_TIMES.setdefault(query.name, QueryTime())
            times.count, times.total = times.count + 1, times.total + spent
            times.longest = max(times.longest, spent)


class Database:
    """A pool of connections as one login. Make it with `await Database.open(...)`; close it, or use `async with`."""

    def __init__(self, pool: AsyncConnectionPool[Connection], conninfo: str) -> None:
        self._pool = pool
        self.conninfo = conninfo

    @classmethod
    async def open(
        cls,
        conninfo: str,
        *,
        max_size: int = 3,
        application: str = "policywatch",
        timeout: float = 3.0,
        session: UUID | None = None,
    ) -> Self:
        """Connect; ServiceAway when the server does not answer within `timeout` seconds.

        `session` is the id of the person's open session: audit rows of these connections carry it.
        """
        full = session_conninfo(conninfo, application=application, timeout=timeout, session=session)
        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            full,
            connection_class=Connection,
            kwargs={"autocommit": True, "row_factory": dict_row, "context": _ADAPTERS},
            min_size=0,  # the first connection is made below, where its failure can be told
            max_size=max_size,
            open=False,
            check=_check,
            timeout=timeout,
            reconnect_timeout=timeout,  # a later statement begins a fresh attempt instead of waiting in back-off
            name=application,
        )
        # The pool retries in silence until its time is over; the reason is known from one attempt of our own.
        try:
            async with asyncio.timeout(timeout + 1):
                probe = await Connection.connect(full, autocommit=True)
            await probe.close()
        except (psycopg.Error, TimeoutError) as error:
            raise away(conninfo, error) from error
        await pool.open()
        return cls(pool, conninfo)

    async def close(self) -> None:
        """Close every connection; statements that run are ended."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """One transaction: committed at the end of the block, rolled back by any error in it."""
        async with self._connection() as connection:
            try:
                async with connection.transaction():
                    yield Tx(connection, self.conninfo)
            except psycopg.Error as error:  # BEGIN or COMMIT itself: statements were translated already
                known = translate(error, "transaction", self.conninfo, broken=connection.closed)
                if known is error:
                    raise
                raise known from error

    async def all(self, query: Query, **params: Any) -> list[Row]:
        """As `Tx.all`, a transaction of its own."""
        return await self._alone(lambda tx: tx.all(query, **params))

    async def one(self, query: Query, **params: Any) -> Row | None:
        """As `Tx.one`, a transaction of its own."""
        return await self._alone(lambda tx: tx.one(query, **params))

    async def value(self, query: Query, **params: Any) -> Any:
        """As `Tx.value`, a transaction of its own."""
        return await self._alone(lambda tx: tx.value(query, **params))

    async def run(self, query: Query, **params: Any) -> int:
        """As `Tx.run`, a transaction of its own."""
        return await self._alone(lambda tx: tx.run(query, **params))

    async def copy_rows(self, query: Query, rows: Iterable[Sequence[Any]]) -> int:
        """As `Tx.copy_rows`, a transaction of its own."""
        return await self._alone(lambda tx: tx.copy_rows(query, rows))

    async def act(self, query: Query, **params: Any) -> Outcome:
        """Perform a person's act. The answer, or the refusal as an error (raised after it was committed).

        A connection that breaks before the answer is tried once more with the same act id: the database gives
        the first answer again if the act was done.
        """
        if params.get("act") is None:
            params["act"] = uuid4()
        try:
            row = await self.one(query, **params)
        except Broken:
            row = await self.one(query, **params)
        if row is None:
            raise PolicyWatchError(f"{query.name} gave no answer.")
        return _judged(
            Outcome(
                ok=bool(row["ok"]),
                code=row["code"] or "",
                sentence=row["sentence"] or "",
                remedy=row["remedy"] or "",
                version=row["version"],
                id=row["id"],
            )
        )

    def stats(self) -> dict[str, int]:
        """Counters of the pool, by the names of psycopg_pool (pool_size, requests_waiting, connections_lost...)."""
        return self._pool.get_stats()

    async def _alone(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        async with self._connection() as connection:
            return await work(Tx(connection, self.conninfo))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        failed = self._pool.get_stats().get("connections_errors", 0)
        try:
            connection = await self._pool.getconn()
        except PoolTimeout as error:
            if self._pool.get_stats().get("connections_errors", 0) > failed:
                raise away(self.conninfo) from error
            raise busy() from error
        except psycopg.Error as error:
            raise away(self.conninfo, error) from error
        try:
            yield connection
        finally:
            connection.used_at = time.monotonic()
            await self._pool.putconn(connection)


def session_conninfo(
    conninfo: str, *, application: str, timeout: float = 3.0, session: UUID | None = None
) -> str:
    """The connection string with what each connection of this program asks for: UTC, a name, patience.

    No jit: statements here are short, and compiling one takes longer than it saves.
    """
    options = str(conninfo_to_dict(conninfo).get("options") or "") + " -c TimeZone=UTC -c jit=off"
    if session is not None:
        options += f" -c policywatch.session={session}"
        application = f"{application} {str(session)[:8]}"  # found by it when the session is ended
    return make_conninfo(
        conninfo,
        options=options.strip(),
        application_name=application,
        connect_timeout=max(2, round(timeout)),  # libpq takes whole seconds, at least two
        tcp_user_timeout=10_000,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
    )


async def _check(connection: Connection) -> None:
    """Whether a connection of the pool still lives: asked of the server only where there is reason to doubt.

    A server that ended it has said so, and the socket can be read; silent losses show after a while without use.
    """
    if time.monotonic() - connection.used_at < _SURE and not connection.closed:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return
    await AsyncConnectionPool.check_connection(connection)


def _judged(outcome: Outcome) -> Outcome:
    if outcome.ok:
        return outcome
    if outcome.code == "PW403":
        raise NotAllowed(outcome.sentence, remedy=outcome.remedy, code=outcome.code)
    if outcome.code == "PW409":
        raise Conflict(outcome.sentence, remedy=outcome.remedy, code=outcome.code)
    raise PolicyWatchError(outcome.sentence, remedy=outcome.remedy, code=outcome.code)


def _adapters() -> AdaptersMap:
    """psycopg's own, and: a mapping is sent as jsonb."""
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(dict, JsonbDumper)
    return adapters


class _Context:
    """What psycopg asks of a context: its adapters."""

    def __init__(self) -> None:
        self.adapters = _adapters()
        self.connection = None


_ADAPTERS = _Context()
