"""The publishing room: counts audiences, releases what has waited out its grace, sends, recovers, ends.

`run` is what the service calls. Every decision is the database's; this loop only looks often enough.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Protocol

from policywatch import secrets
from policywatch.db import publishing, workers
from policywatch.db.pool import Database
from policywatch.errors import ServiceAway, SettingsError
from policywatch.settings import Settings
from policywatchd.publish import audience
from policywatchd.publish.journal import Journal
from policywatchd.publish.keys import KEY_LABELS, Keys
from policywatchd.publish.recover import boot_id, recover
from policywatchd.publish.release import release_due
from policywatchd.publish.send import Sending
from policywatchd.publish.smtp import Relay

__all__ = ["Service", "journals", "run"]

log = logging.getLogger("policywatch.publish")

LOOK_SECONDS = 5.0  # the longest time between two looks without a hint
SOONEST = 0.05
RECOVER_EVERY = 6  # looks


class Service(Protocol):
    """What this room needs of the daemon."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def db(self) -> Database:
        """The daemon's pool."""

    @property
    def worker_id(self) -> str:
        """The daemon's name in the table of workers."""

    @property
    def stopping(self) -> asyncio.Event:
        """Set when the daemon is to end."""

    def progress(self, room: str) -> None:
        """Say that the room is alive."""

    def wake(self, room: str) -> asyncio.Event:
        """Set by hints of the database that concern the room."""

    def renewal(self, room: str) -> asyncio.Event:
        """Set when settings that the room took at its start were replaced."""


async def run(service: Service) -> None:
    """Publish until the daemon stops; without the master key only say so. SettingsError: no relay's password.

    With a new relay or sender it opens itself again, after every mail in hand has its answer.
    """
    while not service.stopping.is_set():
        service.renewal("publish").clear()
        await _publish(service)


async def _publish(service: Service) -> None:
    """Publish with the settings of this moment, until the stop or until they were replaced."""
    settings, until = service.settings, asyncio.Event()
    keys = await _keys(service)
    if keys is None:
        return
    relay = Relay.of(settings)
    journal = await _recover_first(service)
    if journal is None:
        return
    sending = Sending(
        service.db,
        settings.mail,
        keys,
        relay,
        service.worker_id,
        until,
        journal,
        hurry=service.stopping,
        progress=lambda: service.progress("publish"),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(sending.run())
        group.create_task(_look(service, keys, sending, until))
        group.create_task(_set_at_the_end(service, until))


async def _set_at_the_end(service: Service, until: asyncio.Event) -> None:
    """Set `until` at the daemon's stop, or when the settings were replaced."""
    ends = (service.stopping, service.renewal("publish"))
    waits = [asyncio.create_task(event.wait()) for event in ends]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    until.set()


async def _keys(service: Service) -> Keys | None:
    """The keys, once the master key is there; None at the stop. A daemon never makes one.

    A new key could not read the addresses that the old one sealed, and would count its recipients as new ones.
    """
    said = ""
    while not service.stopping.is_set():
        service.progress("publish")
        service.wake("publish").clear()
        with contextlib.suppress(ServiceAway):
            try:
                keys = Keys.of(secrets.master_key(service.settings.database.state_folder))
                await workers.close_alert(service.db, "master_key", "publish")
                password = service.settings.mail.password
                used = {"labels": KEY_LABELS, "secrets": [password.secret] if password else []}
                await workers.audit(service.db, "key.used", "key", "master", after=used)
                return keys
            except SettingsError as fault:
                if said != fault.what:
                    log.error("publishing_waits reason=%r remedy=%r", fault.what, fault.remedy)
                    sentence = f"Nothing is counted, released or mailed: {fault.what}. {fault.remedy}"
                    await workers.open_alert(service.db, "master_key", "publish", sentence, level="critical")
                    said = fault.what
        await _rest(service, LOOK_SECONDS)
    return None


async def _recover_first(service: Service) -> Journal | None:
    """Before anything is marked: what an earlier process of ours, or a dead one, left; then a journal of our own."""
    folder = journals(service.settings)
    while not service.stopping.is_set():
        service.progress("publish")
        service.wake("publish").clear()
        try:
            await recover(service.db, service.worker_id, folder, starting=True)
            install = str(await workers.config_value(service.db, "install_id"))
            return Journal.begin(folder, service.worker_id, boot=boot_id(), install=install)
        except ServiceAway as away:
            log.warning("recovery_waits reason=%r", away.what)
            await _rest(service, 1.0)
    return None


def journals(settings: Settings) -> Path:
    """The folder of the daemons' journals."""
    return settings.database.state_folder / "journal"


async def _look(service: Service, keys: Keys, sending: Sending, until: asyncio.Event) -> None:
    """Audiences, releases, recovery and ends, again and again."""
    looks = 0
    while not until.is_set():
        service.progress("publish")
        service.wake("publish").clear()
        wait = LOOK_SECONDS
        try:
            await audience.serve(service.db, service.settings, keys, service.worker_id)
            await release_due(service.db, service.settings, keys)
            if looks % RECOVER_EVERY == 0:
                await recover(service.db, service.worker_id, journals(service.settings))
            for publication in await publishing.finish(service.db):
                log.info("publication_sent publication=P-%d", publication)
            soon = await publishing.next_release(service.db)
            wait = LOOK_SECONDS if soon is None else min(LOOK_SECONDS, max(SOONEST, soon + 0.01))
        except ServiceAway as away:
            log.warning("publishing_waits reason=%r", away.what)
            wait = 1.0
        sending.poke()
        looks += 1
        await _rest(service, wait)


async def _rest(service: Service, seconds: float) -> None:
    """Until a hint, the stop, or the time is over."""
    waits = [
        asyncio.create_task(service.wake("publish").wait()),
        asyncio.create_task(service.stopping.wait()),
    ]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*waits, return_exceptions=True)
