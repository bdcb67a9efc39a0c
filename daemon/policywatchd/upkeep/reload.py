"""The settings file is followed while the daemon runs. The only place that knows watchfiles.

The FOLDER is watched, since editors write a new file and rename it over the old one. An edit is taken after a short
silence, validated as a whole, reconciled into the database and only then put in place at once; a faulty file, an empty
one or none at all leaves the last good settings in force and says so: in the log, as an alert, in the heartbeat.
What a room took of the settings at its start is the room's business, see `Service.renewal`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchfiles import awatch

from policywatch import secrets
from policywatch.db import workers
from policywatch.db.pool import Database
from policywatch.errors import ServiceAway, SettingsError
from policywatch.settings import Settings, difference, effective, kept_until_restart, load, masked, places
from policywatchd.upkeep.reconcile import Reconciled, reconcile

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["Follower", "reconcile_at_start", "run"]

log = logging.getLogger("policywatch.upkeep")

ALERT = "settings_refused"

_SILENCE = 300  # milliseconds without a further change, after which an edit is taken
_LONGEST = 1_000  # milliseconds after which it is taken in any case
_LOOK = 2_000  # milliseconds between two looks without a change: where a folder tells nothing, and after a failure
_AGAIN = 0.25  # seconds to the second look at a fault
_MAX_BYTES = 4 * 1024 * 1024  # of the file, to see that it changed; `load` has its own limit

#: Sections that a room takes at its start, by room; what is not named here concerns collecting.
_PUBLISH = frozenset({"mail"})
_NO_ROOM = frozenset(
    {"platforms", "catalogue", "segments", "members", "review", "analysis", "guidance"}
    | {"alerts.mail_to", "alerts.digest_at", "retention", "backup", "desk"}
)


class Follower:
    """One daemon and its settings file; `look` is one look at the file."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loaded = service.settings  # the last valid file, also what of it waits for a restart
        self._seen: bytes | bool | None = False  # its content at the last look; False: look whatever it is
        self._untold = True  # alert and heartbeat do not say yet how it stands
        self._fault: SettingsError | None = None

    @property
    def path(self) -> Path | None:
        """The file that is followed: the one of the start, or where none was, the first that comes to be."""
        started = self._loaded.source_path
        return started or next((place.absolute() for place in places() if place.is_file()), None)

    def folders(self) -> list[Path]:
        """The folders that can tell of an edit; where the file is a link, also the one it leads to."""
        path = self.path
        found = (
            [path.parent, path.resolve().parent] if path else [place.absolute().parent for place in places()]
        )
        return [folder for folder in dict.fromkeys(found) if folder.is_dir()]

    async def look(self) -> bool:
        """Take the file if it changed; True when other settings are in force afterwards."""
        path = self.path
        content = await asyncio.to_thread(_content, path)
        taken = False
        if content != self._seen:
            self._seen = content
            try:
                taken = await self._take(path, content)
            except SettingsError:
                await asyncio.sleep(_AGAIN)  # perhaps it was being written just then
                taken = await self._take_or_refuse(path, content)
            except ServiceAway as away:
                self._seen = False  # nothing is in place yet: again at the next look
                log.warning("settings_wait reason=%r", away.what)
        if self._untold:
            with suppress(ServiceAway):
                await self._tell()
        return taken

    async def _take_or_refuse(self, path: Path | None, content: bytes | None) -> bool:
        """The second look at what seemed to be faulty; what moved on meanwhile waits for the next one."""
        if await asyncio.to_thread(_content, path) != content:
            self._seen = False
            return False
        try:
            return await self._take(path, content)
        except SettingsError as fault:
            self._refuse(fault)
        except ServiceAway:
            self._seen = False
        return False

    async def _take(self, path: Path | None, content: bytes | None) -> bool:
        if path is not None and content is None:
            raise SettingsError("the settings file is gone", file=str(path), remedy="Put it back.")
        if content is not None and not content.strip():
            raise SettingsError("the settings file is empty", file=str(path), remedy="Write it again.")
        wanted = await asyncio.to_thread(load, path)
        if wanted.sha256 == self._loaded.sha256:
            self._untold = self._untold or self._fault is not None
            self._fault = None
            return False
        await self._prove(wanted)
        return await self._put(wanted)

    async def _prove(self, wanted: Settings) -> None:
        """What can be wrong although every key is right: a new relay's password that is nowhere."""
        mail = wanted.mail
        if mail.password is not None and mail != self._loaded.mail:
            await asyncio.to_thread(secrets.resolve, mail.password, wanted, keyring=False)

    async def _put(self, wanted: Settings) -> bool:
        service, old = self._service, effective(self._loaded)
        followed, waits = kept_until_restart(service.settings, wanted)
        await reconcile(service.db, followed, previous=(self._loaded.sha256, old))
        rooms = rooms_of(old, effective(wanted))
        service.replace_settings(followed, rooms)
        self._loaded, self._fault, self._untold = wanted, None, True
        log.info("settings_replaced sha256=%s rooms=%s", wanted.sha256[:12], ",".join(rooms) or "none")
        if waits:
            log.warning("settings_need_restart keys=%s", ",".join(waits))
        await asyncio.to_thread(_remember, wanted)
        return True

    def _refuse(self, fault: SettingsError) -> None:
        self._fault, self._untold = fault, True
        log.error("settings_refused fault=%r remedy=%r", place_and_words(fault), masked(fault.remedy))

    async def _tell(self) -> None:
        """Alert and heartbeat say how the file stands. ServiceAway passes."""
        service, fault = self._service, self._fault
        subject = f"{service.host} {self.path or 'settings'}"
        words = None if fault is None else place_and_words(fault)
        _, waits = kept_until_restart(service.settings, self._loaded)
        if (
            service.settings_state.get("sha256") != self._loaded.sha256
            or "loaded_at" not in service.settings_state
        ):
            service.settings_state["loaded_at"] = (await workers.clock(service.db)).isoformat()
        service.settings_state |= {
            "file": str(self.path) if self.path else None,
            "sha256": self._loaded.sha256,
            "fault": words,
            "needs_restart": list(waits),
        }
        if fault is None:
            await workers.close_alert(service.db, ALERT, subject)
        else:
            sentence = (
                f"The settings were not taken, the last good ones hold: {words}. {masked(fault.remedy)}"
            )
            await workers.open_alert(service.db, ALERT, subject, sentence[:1000])
        await service.beat()
        self._untold = False


async def run(service: Service) -> None:
    """Follow the settings file until the daemon stops."""
    follower = Follower(service)
    while not service.stopping.is_set():
        folders = follower.folders()
        async with aclosing(_ticks(service, folders)) as ticks:
            async for _ in ticks:
                service.progress("settings")
                await follower.look()
                if service.stopping.is_set() or follower.folders() != folders:
                    break


async def _ticks(service: Service, folders: list[Path]) -> AsyncGenerator[None]:
    """At once, after each change in the folders, and now and then."""
    yield
    if not folders:
        await service.pause("settings", _LOOK / 1000)
        return
    stop = asyncio.Event()  # its own: the watcher sets it when it is cancelled
    waiting = asyncio.create_task(_set_with(service.stopping, stop))
    changes = awatch(
        *folders,
        debounce=_LONGEST, step=_SILENCE, stop_event=stop, rust_timeout=_LOOK,
        yield_on_timeout=True, recursive=False, watch_filter=None, ignore_permission_denied=True,
    )  # fmt: skip
    try:
        async with aclosing(changes):
            async for _ in changes:
                yield
    except (
        OSError,
        RuntimeError,
    ) as error:  # no more watches on this machine: looking now and then does as well
        log.warning("settings_not_watched reason=%r", str(error))
        await service.pause("settings", _LOOK / 1000)
    finally:
        stop.set()
        waiting.cancel()


async def _set_with(one: asyncio.Event, other: asyncio.Event) -> None:
    await one.wait()
    other.set()


def rooms_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The rooms that took one of the changed keys at their start."""
    keys = [one.key for one in difference(before, after)]
    sections = {key.partition(".")[0] for key in keys}
    rest = [key for key in keys if not {key, key.partition(".")[0]} & (_NO_ROOM | _PUBLISH)]
    return (*(("collect",) if rest else ()), *(("publish",) if sections & _PUBLISH else ()))


def place_and_words(fault: SettingsError) -> str:
    """`file:line:column: what is wrong`, without anybody's address."""
    place = ":".join(str(part) for part in (fault.file, fault.line, fault.column) if part)
    return masked(f"{place}: {fault.sentence}" if place else fault.sentence)


def _content(path: Path | None) -> bytes | None:
    """What stands in the file; None where there is none that can be read."""
    if path is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError:
        return b"unreadable"  # `load` says why
    with os.fdopen(descriptor, "rb") as file:
        try:
            return file.read(_MAX_BYTES)
        except OSError:
            return b"unreadable"


# -- what held before the start -------------------------------------------------------------------------------


def _last_applied(settings: Settings) -> tuple[str, Mapping[str, Any]] | None:
    """Hash and `effective()` of the settings that this installation applied last, for the difference at a start."""
    try:
        kept = json.loads(_kept(settings).read_text("utf-8"))
        return str(kept["sha256"]), dict(kept["settings"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(settings: Settings) -> None:
    """Keep the applied settings, secrets by name as in the file, beside what must outlive the program."""
    path = _kept(settings)
    part = path.with_suffix(".part")
    try:
        descriptor = os.open(
            part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"sha256": settings.sha256, "settings": effective(settings)}, file, ensure_ascii=False)
        part.rename(path)
    except OSError as error:
        log.info("settings_not_remembered reason=%r", error.strerror)


def _kept(settings: Settings) -> Path:
    return settings.database.state_folder / "applied-settings.json"


async def reconcile_at_start(db: Database, settings: Settings, *, force: bool = False) -> Reconciled:
    """Bring the database to the settings of the start, and keep them for the next difference."""
    previous = await asyncio.to_thread(_last_applied, settings)
    done = await reconcile(db, settings, force=force, previous=previous)
    await asyncio.to_thread(_remember, settings)
    return done
