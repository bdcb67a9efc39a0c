"""Credentials of platforms: stored under a key of their own, used by the daemon, moved to a new master key.

The master key stays in this program. What is sent is the key of one row and, when it is set, the value: both as
bound parameters, and only to a server that does not log them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from policywatch.db.pool import Database, Outcome
from policywatch.db.queries import load
from policywatch.db.serverlog import refuse_leaks
from policywatch.db.workers import audit
from policywatch.errors import PolicyWatchError, SettingsError
from policywatch.keys import check_value, credential_key
from policywatch.secrets import SecretText

__all__ = [
    "Moved",
    "check_keys",
    "key_rotations",
    "key_versions",
    "list_credentials",
    "newest_version",
    "publish_request_key",
    "remove",
    "request_key",
    "rotate_keys",
    "set_value",
    "test",
    "use",
]

log = logging.getLogger("policywatch.db")
_sql = load("credentials")

#: The master key of a version; raises SettingsError where this program has it not.
KeyOf = Callable[[int], bytes]
Row = dict[str, Any]
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Moved:
    """How far a rotation is: credentials that it moved so far, and how many are left under an older version."""

    done: int
    rest: int


# As an administrator --------------------------------------------------------------------------------


async def list_credentials(db: Database, platform: str | None = None) -> list[Row]:
    """Which there are: platform, name, state, key version, who set it and when; never a value."""
    return await db.all(_sql.credentials, platform=platform)


async def key_versions(db: Database) -> list[Row]:
    """Versions of the master key with their check values; none before the first use."""
    return await db.all(_sql.key_versions)


async def key_rotations(db: Database) -> list[Row]:
    """Rotations; one without `ended_at` was cut off and can be resumed."""
    return await db.all(_sql.key_rotations)


async def newest_version(db: Database) -> int:
    """The version that new credentials are stored under."""
    return max((row["version"] for row in await key_versions(db)), default=1)


async def set_value(
    db: Database,
    key_of: KeyOf,
    platform: str,
    name: str,
    value: str,
    *,
    rotate: bool = False,
    anyway: bool = False,
) -> Outcome:
    """Store a credential; with `rotate` one that is there gets a new value. Refused where the server would log it."""
    await refuse_leaks(db, anyway=anyway)
    version = await newest_version(db)
    master = key_of(version)
    return await db.act(
        _sql.set_credential,
        platform=platform,
        name=name,
        value=value,
        key=_row_key(master, version, platform, name),
        version=version,
        check=check_value(master, version),
        rotate=rotate,
    )


async def test(db: Database, key_of: KeyOf, platform: str, name: str, *, anyway: bool = False) -> Outcome:
    """Whether the credential can be read with the key that is here; its value is not told."""
    await refuse_leaks(db, anyway=anyway)
    there = [row for row in await list_credentials(db, platform) if row["name"] == name]
    version = there[0]["key_version"] if there else 1
    key = _row_key(key_of(version), version, platform, name)
    return await db.act(_sql.test_credential, platform=platform, name=name, key=key, version=version)


async def remove(db: Database, platform: str, name: str) -> Outcome:
    """The value goes; the row says that there was one."""
    return await db.act(_sql.remove_credential, platform=platform, name=name)


async def rotate_keys(
    db: Database,
    key_of: KeyOf,
    from_version: int,
    to_version: int,
    *,
    most: int = 500,
    anyway: bool = False,
) -> AsyncIterator[Moved]:
    """Move every credential to a new version of the master key, 500 (`most`) at a time; begins or resumes.

    Every batch is a transaction: cut off anywhere, each row is readable under the version that stands in it. The
    last `Moved` has `rest` 0, unless rows cannot be read or others hold them.
    """
    await refuse_leaks(db, anyway=anyway)
    old, new = key_of(from_version), key_of(to_version)
    await db.act(
        _sql.begin_key_rotation,
        from_version=from_version,
        from_check=check_value(old, from_version),
        to_version=to_version,
        to_check=check_value(new, to_version),
    )
    state, before = Moved(0, 0), -1
    while (
        before != state.done
    ):  # a pass that moved nothing is the last: what is left cannot be read or is held
        before, after = state.done, 0
        while rows := await db.all(_sql.rest_of_rotation, version=to_version, after=after, most=most):
            after = rows[-1]["id"]
            state = await _batch(db, rows, old, new, to_version)
            yield state
        if after == 0:  # nothing to move: an empty batch closes the rotation
            yield await _batch(db, [], old, new, to_version)
            return
        if state.rest == 0:
            return


async def _batch(db: Database, rows: Sequence[Row], old: bytes, new: bytes, to_version: int) -> Moved:
    """One batch, and how far the rotation is after it."""

    def keys(master: bytes, of: Callable[[Row], int]) -> list[str]:
        return [_row_key(master, of(row), row["platform"], row["name"]) for row in rows]

    await db.act(
        _sql.rotate_credentials,
        ids=[row["id"] for row in rows],
        old=keys(old, lambda row: int(row["key_version"])),
        new=keys(new, lambda _row: to_version),
    )
    state = next(row for row in await key_rotations(db) if row["to_version"] == to_version)
    log.info("credentials_rotated version=%d done=%d left=%d", to_version, state["done"], state["rest"])
    return Moved(state["done"], state["rest"])


# As the daemon --------------------------------------------------------------------------------------


async def use(db: Database, key_of: KeyOf, platform: str, name: str, purpose: str) -> SecretText:
    """The value of a credential, as the daemon. Its use is audited with the purpose.

    PolicyWatchError where there is none, where it cannot be read, or where the server would log its key.
    """
    try:
        await refuse_leaks(db)
    except PolicyWatchError as refusal:
        told = {"sentence": refusal.what, "purpose": purpose}
        what = f"{platform}/{name}"
        await audit(db, "credential.use", "credential", what, outcome="refused", after=told)
        raise
    for _ in range(_TRIES):
        version = await db.value(_sql.key_version_of, platform=platform, name=name) or 1
        key = _row_key(key_of(version), version, platform, name)
        row = await db.one(
            _sql.use_credential, platform=platform, name=name, key=key, version=version, purpose=purpose
        )
        assert row is not None
        if row["state"] == "ok":
            return SecretText(row["value"])
        if row["state"] == "absent":
            raise PolicyWatchError(
                f"There is no credential {platform}/{name}.",
                remedy=f"An administrator sets it: policywatch credentials set {platform} {name}",
            )
        if row["state"] == "unreadable":
            raise PolicyWatchError(
                f"The credential {platform}/{name} cannot be read with the master key that is here.",
                remedy="See: policywatch secrets doctor",
            )
        await asyncio.sleep(0)  # a rotation moved it just now
    raise PolicyWatchError(f"The credential {platform}/{name} moves faster than it can be read.")


async def check_keys(db: Database, key_of: KeyOf) -> list[int]:
    """Compare the master key with what this database was written under, as the daemon; the versions that are right.

    A wrong key raises SettingsError, and nothing was written. A missing one is passed over (what needs it says so).
    A database that knows no key yet takes this one as its first.
    """
    known: dict[int, bytes] = {
        row["version"]: bytes(row["check_value"]) for row in await db.all(_sql.key_checks)
    }
    right = []
    for version in known or [1]:
        try:
            found = check_value(key_of(version), version)
        except SettingsError as fault:
            log.warning("master_key_missing version=%d what=%s", version, fault.what)
            continue
        if version in known and found != known[version]:
            raise SettingsError(
                f"the master key here is not the one that this database was written under (version {version})",
                key="policywatch.key",
                remedy="Put the right key file back from your backup of keys, or connect to the database it belongs to.",
            )
        right.append(version)
    if not known and right and not await db.value(_sql.check_key, version=1, check=check_value(key_of(1), 1)):
        raise SettingsError("another program registered another master key just now", key="policywatch.key")
    return right


async def publish_request_key(db: Database, public: bytes) -> bool:
    """As the daemon: what people seal arguments with. True where it was another before."""
    return bool(await db.run(_sql.publish_request_key, key=public.hex()))


async def request_key(db: Database) -> bytes:
    """As a person: the daemon's public key."""
    text = await db.value(_sql.request_key)
    if not text:
        raise PolicyWatchError(
            "The daemon has not said yet what to seal addresses with.",
            remedy="Start it: policywatch daemon run",
        )
    return bytes.fromhex(text)


def _row_key(master: bytes, version: int, platform: str, name: str) -> str:
    """A plain string: psycopg knows no other."""
    if "/" in platform or "/" in name:
        raise PolicyWatchError("A platform and the name of a credential have no slash.")
    return str(credential_key(master, version, platform, name))
