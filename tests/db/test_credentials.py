"""Credentials of platforms: encrypted under a key of each row, told to nobody, moved to a new master key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from policywatch.db import credentials
from policywatch.db.pool import Database
from policywatch.errors import NotAllowed, PolicyWatchError, SettingsError
from policywatch.keys import check_value, credential_key
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db

MASTERS = {1: b"1" * 32, 2: b"2" * 32}
VALUE = "hunter2 of the platform"


def key_of(version: int) -> bytes:
    return MASTERS[version]


@asynccontextmanager
async def opened(conninfo: str) -> AsyncIterator[Database]:
    async with await Database.open(conninfo, max_size=2) as db:
        yield db


async def stored(database: Scratch, *names: str) -> None:
    async with opened(database.admin) as db:
        for name in names or ("token",):
            await credentials.set_value(db, key_of, "x", name, f"{VALUE} {name}")


async def test_what_an_administrator_sets_the_daemon_uses_and_both_are_audited(database: Scratch) -> None:
    await stored(database)

    async with opened(database.daemon) as db:
        value = await credentials.use(db, key_of, "x", "token", "collect")

    assert value == f"{VALUE} token"
    assert repr(value) == "SecretText(hidden)"
    rows = database.run(
        "SELECT action, object_id, outcome FROM app.audit_log WHERE action ~ '^credential' ORDER BY id"
    )
    assert [(r["action"], r["object_id"], r["outcome"]) for r in rows] == [
        ("credential.set", "x/token", "done"),
        ("credential.use", "x/token", "done"),
    ]


async def test_a_listing_has_no_value_and_no_ciphertext(database: Scratch) -> None:
    await stored(database)
    async with opened(database.admin) as db:
        row = (await credentials.list_credentials(db))[0]
    assert set(row) == {"id", "platform", "name", "state", "key_version", "set_by", "set_at"}
    assert database.run("SELECT secret FROM app.platform_credentials")[0]["secret"].find(VALUE.encode()) == -1


@pytest.mark.parametrize("role", ["viewer", "reviewer", "editor", "approver", "auditor"])
async def test_only_administrators_set_test_rotate_and_remove(module_database: Scratch, role: str) -> None:
    database = module_database
    async with opened(database.person(f"{role}1", role)) as db:
        before = database.run("SELECT count(*) AS n FROM app.platform_credentials")[0]["n"]
        version, check = 1, check_value(MASTERS[1], 1)
        key = str(credential_key(MASTERS[1], 1, "x", "token"))
        sql = credentials._sql
        for query, more in (
            (
                sql.set_credential,
                {"value": "v", "key": key, "version": version, "check": check, "rotate": False},
            ),
            (
                sql.set_credential,
                {"value": "v", "key": key, "version": version, "check": check, "rotate": True},
            ),
            (sql.test_credential, {"key": key, "version": version}),
            (sql.remove_credential, {}),
        ):
            with pytest.raises(NotAllowed):
                await db.act(query, platform="x", name="token", **more)
        with pytest.raises(NotAllowed):
            await db.act(
                sql.begin_key_rotation, from_version=1, from_check=check, to_version=2, to_check=b"12345678"
            )
        with pytest.raises(NotAllowed):
            await db.act(sql.rotate_credentials, ids=[1], old=[key], new=[key])
        if role != "auditor":
            assert [r async for r in _safe(db)] == []
    assert database.run("SELECT count(*) AS n FROM app.platform_credentials")[0]["n"] == before
    refused = database.run(
        "SELECT count(*) AS n FROM app.audit_log WHERE outcome = 'refused' AND actor = %s AND action ~ '^(credential|key)'",
        database.login_name(f"{role}1"),
    )
    assert refused[0]["n"] == 6


async def _safe(db: Database) -> AsyncIterator[dict[str, object]]:
    """What somebody without the right sees of the listing: nothing, or that there is none for them."""
    try:
        for row in await credentials.list_credentials(db):
            yield row
    except PolicyWatchError:
        return


async def test_a_ciphertext_moved_to_another_row_is_refused(database: Scratch) -> None:
    await stored(database, "one", "two")
    database.run(
        "UPDATE app.platform_credentials c SET secret = o.secret FROM app.platform_credentials o WHERE o.id <> c.id"
    )
    for name in ("one", "two"):
        async with opened(database.daemon) as db:
            with pytest.raises(PolicyWatchError, match="cannot be read"):
                await credentials.use(db, key_of, "x", name, "collect")
        async with opened(database.admin) as db:
            with pytest.raises(PolicyWatchError, match="cannot be read with this key"):
                await credentials.test(db, key_of, "x", name)
    outcomes = database.run(
        "SELECT outcome, count(*) AS n FROM app.audit_log WHERE action = 'credential.use' GROUP BY 1"
    )
    assert outcomes == [{"outcome": "failed", "n": 2}]


async def test_a_wrong_master_key_stores_nothing(database: Scratch) -> None:
    await stored(database)
    async with opened(database.admin) as db:
        with pytest.raises(PolicyWatchError, match="not the master key of version 1"):
            await credentials.set_value(db, lambda _: b"w" * 32, "x", "token", "other")
        assert (await credentials.test(db, key_of, "x", "token")).ok


async def test_removing_takes_the_value_and_leaves_the_name(database: Scratch) -> None:
    await stored(database)
    async with opened(database.admin) as db:
        await credentials.remove(db, "x", "token")
        with pytest.raises(PolicyWatchError, match="There is no credential x/token"):
            await credentials.remove(db, "x", "token")
        with pytest.raises(PolicyWatchError, match="There is no credential x/token"):
            await credentials.set_value(db, key_of, "x", "token", "new", rotate=True)
        assert [r["state"] for r in await credentials.list_credentials(db)] == ["retired"]
    assert database.run("SELECT octet_length(secret) AS n FROM app.platform_credentials") == [{"n": 0}]
    async with opened(database.daemon) as db:
        with pytest.raises(PolicyWatchError, match="There is no credential"):
            await credentials.use(db, key_of, "x", "token", "collect")


@pytest.mark.parametrize(
    ("platform", "name", "value"),
    [
        ("nowhere", "token", "v"),
        ("x", "To ken", "v"),
        ("x", "", "v"),
        ("x", "token", ""),
        ("x", "token", "v" * 16_385),
    ],
)
async def test_what_cannot_be_stored_is_refused_with_a_reason(
    module_database: Scratch, platform: str, name: str, value: str
) -> None:
    async with opened(module_database.admin) as db:
        with pytest.raises(PolicyWatchError) as refused:
            await credentials.set_value(db, key_of, platform, name, value)
    assert refused.value.remedy


async def test_a_rotation_leaves_everything_readable_and_nothing_old(database: Scratch) -> None:
    await stored(database, "one", "two", "three")
    async with opened(database.admin) as db:
        states = [s async for s in credentials.rotate_keys(db, key_of, 1, 2)]
        assert states[-1] == credentials.Moved(3, 0)
        assert {r["key_version"] for r in await credentials.list_credentials(db)} == {2}
        with pytest.raises(PolicyWatchError):  # version 3 would be next
            async for _ in credentials.rotate_keys(db, key_of, 1, 2):
                pass
        await credentials.set_value(db, key_of, "x", "four", "under the new key")
    async with opened(database.daemon) as db:
        assert await credentials.use(db, key_of, "x", "two", "collect") == f"{VALUE} two"
        assert await credentials.use(db, key_of, "x", "four", "collect") == "under the new key"
    assert database.run("SELECT ended_at IS NOT NULL AS ended FROM app.key_rotations") == [{"ended": True}]


async def test_a_row_that_cannot_be_read_is_named_and_holds_up_no_other(database: Scratch) -> None:
    await stored(database, "one", "two", "three")
    database.run("UPDATE app.platform_credentials SET secret = '\\x00' WHERE name = 'two'")
    async with opened(database.admin) as db:
        states = [s async for s in credentials.rotate_keys(db, key_of, 1, 2)]
        assert states[-1] == credentials.Moved(2, 1)
        old = [r["name"] for r in await credentials.list_credentials(db) if r["key_version"] == 1]
        assert old == ["two"]
        await credentials.set_value(db, key_of, "x", "two", "set again")  # mends it
        assert [s async for s in credentials.rotate_keys(db, key_of, 1, 2)][-1].rest == 0
    told = database.run(
        "SELECT after FROM app.audit_log WHERE action = 'key.rotate_batch' ORDER BY id LIMIT 1"
    )
    assert told[0]["after"] == {"done": 2, "left": 1, "unreadable": ["x/two"]}


async def test_the_first_key_is_registered_and_a_wrong_one_is_told_before_anything_is_written(
    database: Scratch,
) -> None:
    async with opened(database.daemon) as db:
        assert await credentials.check_keys(db, key_of) == [1]
        count: Callable[[], int] = lambda: database.run("SELECT count(*) AS n FROM app.audit_log")[0]["n"]  # noqa: E731
        before = count()
        with pytest.raises(SettingsError, match="not the one that this database was written under"):
            await credentials.check_keys(db, lambda _: b"w" * 32)
        assert await credentials.check_keys(db, key_of) == [1]
        assert count() == before

        def none(_: int) -> bytes:
            raise SettingsError("there is no master key")

        assert await credentials.check_keys(db, none) == []
