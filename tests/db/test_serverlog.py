"""Which settings of a server would write a bound parameter into its log."""

from __future__ import annotations

import pytest

from policywatch.db import serverlog
from policywatch.db.pool import Database
from policywatch.db.serverlog import LogSettings
from policywatch.errors import PolicyWatchError
from tests.databases import Scratch

#: A server as Debian installs it: parameters would be logged, but no statement is.
PLAIN: dict[str, str | None] = {
    "log_statement": "none",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "0",
    "log_min_error_statement": "error",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "pg_stat_statements.track_utility": None,
    "auto_explain.log_min_duration": None,
    "auto_explain.log_parameter_max_length": None,
    "pgaudit.log": None,
    "pgaudit.log_parameter": None,
}


def leaks(**changed: str | None) -> list[str]:
    return LogSettings(
        {**PLAIN, **{name.replace("__", "."): value for name, value in changed.items()}}
    ).leaks()


def test_a_plain_server_logs_no_parameter() -> None:
    assert leaks() == []


@pytest.mark.parametrize(
    ("changed", "cut"),
    [
        ({"log_statement": "all"}, "log_parameter_max_length"),
        ({"log_statement": "mod"}, "log_parameter_max_length"),
        ({"log_min_duration_statement": "0"}, "log_parameter_max_length"),
        ({"log_min_duration_statement": "1s"}, "log_parameter_max_length"),
        ({"log_min_duration_sample": "100ms"}, "log_parameter_max_length"),
        ({"log_transaction_sample_rate": "0.01"}, "log_parameter_max_length"),
        ({"auto_explain__log_min_duration": "0"}, "auto_explain__log_parameter_max_length"),
    ],
)
def test_what_logs_statements_logs_parameters_until_they_are_cut(changed: dict[str, str], cut: str) -> None:
    assert len(leaks(**changed)) == 1
    assert leaks(**{**changed, cut: "0"}) == []


def test_failed_statements_and_pgaudit_are_leaks_of_their_own() -> None:
    assert leaks(log_parameter_max_length_on_error="1kB")
    assert not leaks(log_parameter_max_length_on_error="1kB", log_min_error_statement="panic")
    assert leaks(pgaudit__log="all", pgaudit__log_parameter="on")
    assert not leaks(pgaudit__log="all", pgaudit__log_parameter="off")
    assert not leaks(log_statement="ddl")


@pytest.mark.needs_db
async def test_a_person_sees_the_settings_and_may_insist(database: Scratch) -> None:
    name = database.name
    database.run(f"ALTER DATABASE {name} SET log_statement = 'all'")
    database.run(f"ALTER DATABASE {name} SET log_parameter_max_length = -1")
    async with await Database.open(database.person("vera", "viewer")) as db:
        with pytest.raises(PolicyWatchError, match="log_statement = all") as refused:
            await serverlog.refuse_leaks(db)
        assert refused.value.code == "logged"
        assert len(await serverlog.refuse_leaks(db, anyway=True)) == 1
