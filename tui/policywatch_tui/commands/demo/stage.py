"""The stage of the demo: pretend web and mail server, a database of its own, two people, the daemon.

Built in the order in which things need each other, cleared in the opposite one, whatever happens between.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from policywatch import secrets
from policywatch.db import acts, connect, logins, migrate
from policywatch.db import demo as ledger
from policywatch.db.embedded import Server
from policywatch.db.pool import Database
from policywatch.settings import Settings, load
from policywatch.simulated.mail import SmtpSink
from policywatch.simulated.members import PretendMember, csv_text, pretend_members
from policywatch.simulated.web import SimulatedWeb
from policywatch.simulated.world import demo_settings, settings_text
from policywatch_tui.commands.demo.daemon import Daemon, clean_environment
from policywatch_tui.commands.demo.place import Place
from policywatch_tui.commands.demo.teller import Teller
from policywatch_tui.commands.demo.waiting import Waiting, finished, listening

__all__ = ["GRACE_SECONDS", "PEOPLE", "Person", "Stage", "staged"]

PEOPLE = ("ana", "ben")
GRACE_SECONDS = 3
#: Long beside the story, which asks for its visits; short enough that a person at the desk sees the daemon work.
_CADENCE = "30 s"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at work: their login and their own connections."""

    name: str
    db: Database
    session: uuid.UUID

    async def leave(self) -> None:
        """End the session."""
        await acts.close_session(self.db, self.session)


@dataclass(slots=True)
class Stage:
    """Everything that stands. `owner` is the owner's connection: it counts, it never acts for a person."""

    place: Place
    web: SimulatedWeb
    sink: SmtpSink
    members: tuple[PretendMember, ...]
    owner: Database
    people: dict[str, Person]
    daemon: Daemon
    waiting: Waiting
    server: str


@contextlib.asynccontextmanager
async def staged(place: Place, teller: Teller) -> AsyncIterator[Stage]:
    """Build the stage, and clear it in the end."""
    async with contextlib.AsyncExitStack() as ends:
        if place.kept:
            place.mails.mkdir(mode=0o700)
        web = await ends.enter_async_context(SimulatedWeb())
        sink = await ends.enter_async_context(SmtpSink(folder=place.mails if place.kept else None))
        teller.told(
            f"A pretend web of {len(web.platforms)} platforms with {len(web.documents)} policies stands on this "
            "computer, and a pretend mail server. Nothing leaves it."
        )
        members = pretend_members()
        place.write(place.members, csv_text(members))
        _write_settings(place, sink.port)
        settings = load(place.settings, clean_environment())
        version = await _database(place, settings, teller, ends)
        owner = await ends.enter_async_context(await _open(connect.owner(settings), "policywatch demo"))
        await ledger.set_origin(owner, "demo")
        people = {}
        await _add_people(place, settings)
        for name in PEOPLE:
            people[name] = await _at_work(name, load(place.settings_of(name), clean_environment()), ends)
        teller.told("ana and ben are at work. Both may approve, but nobody their own words.")
        waiting = await ends.enter_async_context(listening(connect.owner(settings)))
        place.write(place.log, "")
        daemon = Daemon(place.settings, web.port, place.log)
        ends.push_async_callback(daemon.stop)
        await daemon.start()
        yield Stage(place, web, sink, members, owner, people, daemon, waiting, version)


async def _database(place: Place, settings: Settings, teller: Teller, ends: contextlib.AsyncExitStack) -> str:
    """A cluster of its own with the schema; stopped in the end, its socket folder removed."""
    teller.doing("making a database")
    # Nothing here has to survive a power cut.
    server = Server(place.state, extra={"fsync": "off"}, env=clean_environment(), say=teller.doing)

    def stop() -> None:
        status = server.status()
        server.stop()
        sockets = status.socket_folder
        if sockets is not None and place.folder not in sockets.parents:
            shutil.rmtree(sockets, ignore_errors=True)

    async def stopped() -> None:
        await finished(stop)

    ends.push_async_callback(stopped)
    started = await finished(server.start)
    teller.doing("making tables, views and acts")
    await migrate.up(await finished(lambda: connect.owner(settings)), peer=True)
    secrets.master_key(place.state, create=True)
    teller.told(f"It has a database of its own: PostgreSQL {started.status.version}, all tables made.")
    return started.status.version


def _write_settings(place: Place, smtp_port: int) -> None:
    """The daemon's settings, and the same for each person with their login."""
    database = {"mode": "embedded", "state_folder": str(place.state)}
    for path, login in (
        (place.settings, {}),
        *((place.settings_of(name), {"user": name, "password": {"secret": name}}) for name in PEOPLE),
    ):
        settings: dict[str, Any] = demo_settings(
            smtp_port=smtp_port,
            members=place.members,
            cadence=_CADENCE,
            grace=f"{GRACE_SECONDS} s",
            database={**database, **login},
        )
        settings["metrics"] = {"listen": "127.0.0.1:0"}  # a real daemon may hold the usual port
        place.write(path, settings_text(settings))


async def _add_people(place: Place, settings: Settings) -> None:
    """By the same door as `policywatch users add`: the password is made here, the server sees its verifier."""
    async with await _open(connect.person(settings), "policywatch demo admin") as admin:
        for name in PEOPLE:
            password = logins.one_time_password()
            place.write(place.state / "secrets" / name, password + "\n")
            await acts.user_add(
                admin, name, "approver", verifier=logins.verifier(name, password), one_time=False
            )


async def _at_work(name: str, settings: Settings, ends: contextlib.AsyncExitStack) -> Person:
    session = uuid.uuid4()
    db = await ends.enter_async_context(
        await Database.open(
            connect.person(settings), max_size=2, application=f"policywatch demo {name}", session=session
        )
    )
    await acts.open_session(db, session, "command", "demo")
    return Person(name, db, session)


async def _open(conninfo: str, application: str) -> Database:
    return await Database.open(conninfo, max_size=2, application=application)
