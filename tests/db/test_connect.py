"""Who connects where, from the settings; and one call that makes a database ready."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from policywatch.db import connect, listing, servers
from policywatch.db.pool import Database
from policywatch.db.setup import prepare, require_current
from policywatch.errors import PolicyWatchError, ServiceAway, SettingsError
from policywatch.settings import Settings, account_name
from tests.databases import embedded_folder


def settings(**database: object) -> Settings:
    return Settings.model_validate({"database": database})


@pytest.fixture(scope="module")
def local() -> Iterator[Settings]:
    """Settings of an embedded server in a folder of its own, not started."""
    try:
        servers.choose(*servers.find())
    except ServiceAway as error:
        pytest.skip(error.what)
    with embedded_folder() as folder:
        chosen = settings(mode="embedded", state_folder=str(folder / "state"))
        yield chosen
        connect.server(chosen).stop()


def test_on_an_administrators_server_each_has_their_login_and_no_password_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POLICYWATCH_SECRET_DAEMON", "from elsewhere")
    chosen = settings(
        mode="dsn",
        dsn="postgresql://db.example/pw",
        owner_dsn="postgresql://boss@db.example/pw",
        user="ana",
        daemon_password={"secret": "daemon"},
    )
    assert conninfo_to_dict(connect.person(chosen)) == {"host": "db.example", "dbname": "pw", "user": "ana"}
    assert conninfo_to_dict(connect.owner(chosen)) == {"host": "db.example", "dbname": "pw", "user": "boss"}
    daemon = conninfo_to_dict(connect.daemon(chosen))
    assert (daemon["user"], daemon["password"]) == ("pw_daemon", "from elsewhere")


def test_without_a_login_in_the_settings_the_dsns_counts_and_then_the_accounts() -> None:
    named = settings(mode="dsn", dsn="host=db.example user=cy dbname=pw")
    assert conninfo_to_dict(connect.person(named))["user"] == "cy"
    bare = settings(mode="dsn", dsn="host=db.example dbname=pw")
    assert conninfo_to_dict(connect.person(bare))["user"] == account_name()


def test_an_administrators_server_is_not_started_from_here() -> None:
    with pytest.raises(SettingsError, match="an administrator's"):
        connect.server(settings(mode="dsn", dsn="host=db.example dbname=pw"))


@pytest.mark.needs_db
async def test_one_call_makes_everything_ready_and_a_second_changes_nothing(local: Settings) -> None:
    first = await prepare(local)
    assert first.started is not None
    assert first.started.created
    assert first.migrated.done
    assert first.migrated.admin is not None
    assert (first.migrated.admin.made, first.migrated.admin.one_time_password) == (True, None)
    second = await prepare(local)
    assert second.started is not None
    assert second.started.reused
    assert (second.migrated.done, second.migrated.api) == ((), False)
    await require_current(connect.daemon(local))
    async with await Database.open(connect.person(local)) as db:
        me = await listing.me(db)
    assert me is not None
    assert (me["name"], me["role"], me["must_change_password"]) == ("admin", "admin", False)


@pytest.mark.needs_db
async def test_an_unreachable_database_is_told_with_where_it_was_sought(tmp_path: Path) -> None:
    away = settings(mode="dsn", dsn="host=127.0.0.1 port=1 dbname=pw", state_folder=str(tmp_path))
    with pytest.raises(ServiceAway, match=r'the database "pw" at 127.0.0.1:1 does not answer'):
        await prepare(away)
    nameless = settings(mode="dsn", dsn="host=127.0.0.1 port=1", state_folder=str(tmp_path))
    with pytest.raises(PolicyWatchError, match="is named nowhere"):
        await prepare(nameless)
