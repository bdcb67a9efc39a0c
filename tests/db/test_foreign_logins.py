"""Adding a person never takes over a login of the server that belongs to somebody else."""

from __future__ import annotations

import pytest

from policywatch.db import acts, logins
from policywatch.db.pool import Database
from policywatch.errors import PolicyWatchError
from tests.databases import Scratch

pytestmark = pytest.mark.needs_db


async def test_a_login_that_is_not_of_policywatch_is_refused(database: Scratch) -> None:
    foreign = database.login_name("foreign")
    database.run(f"CREATE ROLE {foreign} LOGIN")
    try:
        async with await Database.open(database.admin) as db:
            with pytest.raises(PolicyWatchError, match="not of PolicyWatch"):
                await acts.user_add(
                    db, foreign, "editor", verifier=logins.verifier(foreign, "a long password")
                )

        stored = database.run("SELECT rolpassword FROM pg_authid WHERE rolname = %s", foreign)
        assert stored == [{"rolpassword": None}]
        [audit] = database.run("SELECT outcome FROM app.audit_log WHERE action = 'user.add'")
        assert audit["outcome"] == "refused"
    finally:
        database.run(f"DROP ROLE {foreign}")


async def test_a_login_of_another_database_keeps_its_password(database: Scratch) -> None:
    """A disabled row would be known here; this login is only a member of our groups, from elsewhere."""
    elsewhere = database.login_name("elsewhere")
    database.run(f"CREATE ROLE {elsewhere} LOGIN IN ROLE pw_viewer")
    try:
        async with await Database.open(database.admin) as db:
            outcome = await acts.user_add(
                db, elsewhere, "editor", verifier=logins.verifier(elsewhere, "a long password")
            )

        assert "the password of their login on this server" in outcome.sentence
        stored = database.run("SELECT rolpassword FROM pg_authid WHERE rolname = %s", elsewhere)
        assert stored == [{"rolpassword": None}]
        [row] = database.run("SELECT must_change_password FROM app.users WHERE name = %s", elsewhere)
        assert not row["must_change_password"]
    finally:
        database.run(f"DROP ROLE {elsewhere}")
