"""A small world for tests of publishing: people, members, approved guidance, a daemon's publishing room.

People act through the acts of the database, as themselves; the room runs as the daemon's login.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row

from policywatch import secrets
from policywatch.db.pool import Database
from policywatch.guidance.rendering import revise
from policywatch.settings import Settings
from policywatchd.publish import loop
from tests.databases import Scratch

AUTHOR, APPROVER = "ada", "ben"
Row = dict[str, Any]


def members_csv(count: int, *, kind: str = "creator", start: int = 1) -> str:
    """A members file of so many people at members.test."""
    rows = [f"m{n}@members.test,{kind},DE" for n in range(start, start + count)]
    return "\n".join(["email,kind,country", *rows]) + "\n"


@dataclass
class Room:
    """What the publishing room needs of a daemon, and nothing more."""

    settings: Settings
    db: Database
    worker_id: str = "test-daemon"
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    turns: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    renewed: asyncio.Event = field(default_factory=asyncio.Event)

    def progress(self, room: str) -> None:
        """The room lives."""
        self.turns += 1

    def wake(self, room: str) -> asyncio.Event:
        """Its hint."""
        return self.woken

    def renewal(self, room: str) -> asyncio.Event:
        """New settings for it."""
        return self.renewed


@dataclass
class World:
    """One database with two people and a members file."""

    owner: psycopg.AsyncConnection[Row]
    people: dict[str, psycopg.AsyncConnection[Row]]
    daemon: str
    folder: Path
    port: int = 25
    mail: dict[str, Any] = field(default_factory=dict)
    keyed: bool = True

    # -- what stands around it --

    @property
    def members(self) -> Path:
        """The members file."""
        return self.folder / "members.csv"

    def settings(self) -> Settings:
        """Settings that lead to the members file and to the sink."""
        mail = {"host": "127.0.0.1", "port": self.port, "sender": "desk@policywatch.test", **self.mail}
        state = self.folder / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        if self.keyed:
            secrets.master_key(state, create=True, env={})  # as an installation has one
        return Settings.model_validate(
            {"database": {"state_folder": str(state)}, "members": {"file": str(self.members)}, "mail": mail}
        )

    async def rows(self, statement: str, *values: Any) -> list[Row]:
        """What a statement of the test answers, as the administrator."""
        cursor = await self.owner.execute(statement, values)
        return await cursor.fetchall() if cursor.description else []

    async def value(self, statement: str, *values: Any) -> Any:
        """Its first column in its first row."""
        rows = await self.rows(statement, *values)
        return next(iter(rows[0].values())) if rows else None

    async def act(self, person: str, call: str, *values: Any) -> Row:
        """Call an act as that person; the answer, whatever it is."""
        cursor = await self.people[person].execute(f"SELECT * FROM act.{call}", values)
        answer = await cursor.fetchone()
        assert answer is not None
        return answer

    async def move_clock(self, by: str) -> None:
        """The database's clock goes forward."""
        await self.owner.execute("UPDATE app.test_clock SET shift = shift + %s::interval", (by,))

    # -- the story --

    async def submit(
        self, segment: str = "all", text: str = "The terms changed.\n\n.A line with a dot."
    ) -> int:
        """A draft that asks for approval; the id of the request."""
        said = revise("What is new", text)
        made = await self.act(
            AUTHOR,
            "create_draft(%s, 'Terms', %s, %s, %s, '{}')",
            uuid4(), said.subject, said.text, said.html,
        )  # fmt: skip
        assert made["ok"], made
        asked = await self.act(
            AUTHOR, "submit_draft(%s, %s, %s, %s)", uuid4(), made["id"], made["version"], segment
        )
        assert asked["ok"], asked
        return int(asked["id"])

    async def approve(self, request: int) -> int:
        """The second person says yes; the id of the publication."""
        shown = (await self.rows("SELECT * FROM app.approval_requests WHERE id = %s", request))[0]
        said = await self.act(
            APPROVER,
            "approve_request(%s, %s, %s, %s, %s)",
            uuid4(), request, shown["version"], shown["content_hash"], shown["recipient_count"],
        )  # fmt: skip
        assert said["ok"], said
        return int(said["id"])

    async def counted(self, request: int) -> Row:
        """Wait until the daemon answered the request."""
        await self.until(
            "SELECT recipient_count IS NOT NULL OR count_fault IS NOT NULL FROM app.approval_requests WHERE id = %s",
            request,
        )
        return (await self.rows("SELECT * FROM app.approval_requests WHERE id = %s", request))[0]

    async def approved(self, room: Room, segment: str = "all") -> int:
        """From a draft to a publication in its grace period, with a running room."""
        request = await self.submit(segment)
        room.woken.set()
        await self.counted(request)
        return await self.approve(request)

    async def until(self, statement: str, *values: Any, seconds: float = 20.0) -> None:
        """Wait until the statement answers true."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.value(statement, *values):  # noqa: ASYNC110 - the database sets no event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            ledger = await self.states()
            raise AssertionError(f"not within {seconds:g} s: {statement} {values}; ledger {ledger}") from None

    async def until_state(self, publication: int, *states: str, seconds: float = 20.0) -> None:
        """Wait until the publication is in one of these states."""
        await self.until(
            "SELECT state = ANY (%s) FROM app.guidance_publications WHERE id = %s",
            list(states), publication, seconds=seconds,
        )  # fmt: skip

    async def states(self) -> dict[str, int]:
        """How many ledger rows are in each state."""
        rows = await self.rows("SELECT state, count(*) AS n FROM app.publication_recipients GROUP BY 1")
        return {row["state"]: row["n"] for row in rows}

    @asynccontextmanager
    async def room(self, worker: str = "test-daemon") -> AsyncIterator[Room]:
        """The publishing room at work; stopped cleanly at the end."""
        async with await Database.open(self.daemon, application="publishing-test") as db:
            room = Room(self.settings(), db, worker)
            running = asyncio.create_task(loop.run(room))
            try:
                yield room
                assert not running.done(), "the room ended by itself"
            finally:
                room.stopping.set()
                await asyncio.wait_for(running, 20)


@asynccontextmanager
async def world(database: Scratch, folder: Path) -> AsyncIterator[World]:
    """The world in a fresh database."""
    database.replace_clock()
    logins = {AUTHOR: database.person(AUTHOR, "editor"), APPROVER: database.person(APPROVER, "approver")}
    async with AsyncExitStack() as stack:

        async def connect(conninfo: str) -> psycopg.AsyncConnection[Row]:
            made = await psycopg.AsyncConnection.connect(conninfo, autocommit=True, row_factory=dict_row)
            return await stack.enter_async_context(made)

        people = {name: await connect(login) for name, login in logins.items()}
        made = World(await connect(database.superuser), people, database.daemon, folder)
        made.members.write_text(members_csv(5), encoding="utf-8")
        yield made


def addresses(count: int) -> Sequence[str]:
    """The addresses of `members_csv`."""
    return [f"m{n}@members.test" for n in range(1, count + 1)]
