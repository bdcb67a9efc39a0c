"""Whether what we send as a parameter would stand in the server's log. The settings are the administrator's.

A key or a secret travels as a bound parameter. Most servers log none of those; a server that is told to log every
statement writes the parameters too, unless they are cut to length 0. We look before we send, and say what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policywatch.db.pool import Database, Tx
from policywatch.db.queries import load
from policywatch.errors import PolicyWatchError

__all__ = ["LogSettings", "log_settings", "refuse_leaks"]

_sql = load("credentials")
_ERRORS_LOGGED = frozenset(
    {"debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error"}
)
_CURE = "Ask the server's administrator for log_parameter_max_length = 0 and log_parameter_max_length_on_error = 0"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Settings of a server as they stand for this connection; None where it has no such setting."""

    values: Mapping[str, str | None]

    def leaks(self) -> list[str]:
        """How a parameter would reach the log: one sentence each, none where it would not."""
        found = []
        cut = self._is("log_parameter_max_length", "0", "0B")
        if not cut and self.values.get("log_statement") in ("all", "mod"):
            found.append(
                f"log_statement = {self.values['log_statement']} logs statements with their parameters"
            )
        timed = [
            name
            for name in ("log_min_duration_statement", "log_min_duration_sample")
            if not self._is(name, "-1", None)
        ]
        if not self._is("log_transaction_sample_rate", "0", None):
            timed.append("log_transaction_sample_rate")
        if not cut and timed:
            found.append(
                f"{' and '.join(timed)}: slow or sampled statements are logged with their parameters"
            )
        if (
            not self._is("log_parameter_max_length_on_error", "0", "0B")
            and self.values.get("log_min_error_statement") in _ERRORS_LOGGED
        ):
            found.append("log_parameter_max_length_on_error is not 0: a failed statement logs its parameters")
        if not self._is("auto_explain.log_min_duration", "-1", None) and not self._is(
            "auto_explain.log_parameter_max_length", "0", "0B"
        ):
            found.append("auto_explain logs statements with their parameters")
        if not self._is("pgaudit.log", "none", "", None) and self._is("pgaudit.log_parameter", "on"):
            found.append("pgaudit.log_parameter is on")
        return found

    def remarks(self) -> list[str]:
        """What is no leak of a parameter and still worth a look."""
        if self._is("pg_stat_statements.track_utility", "on"):
            return [
                "pg_stat_statements.track_utility is on: statements that set a password's verifier are kept whole"
            ]
        return []

    def _is(self, name: str, *values: str | None) -> bool:
        return self.values.get(name) in values

    @property
    def remedy(self) -> str:
        """What an administrator of the server would do."""
        return f"{_CURE}." if self.leaks() else "Set pg_stat_statements.track_utility = off."


async def log_settings(db: Database | Tx) -> LogSettings:
    """The settings of the server, as this login sees them."""
    return LogSettings({row["name"]: row["value"] for row in await db.all(_sql.log_settings)})


async def refuse_leaks(db: Database | Tx, *, anyway: bool = False) -> list[str]:
    """Raise before a key or a secret is sent to a server that would log it; with `anyway` only say how it would."""
    settings = await log_settings(db)
    leaks = settings.leaks()
    if leaks and not anyway:
        raise PolicyWatchError(
            f"The server would log what is secret, so nothing was sent: {'; '.join(leaks)}.",
            remedy=f"{_CURE}, or add --anyway if its log is as safe as the secret.",
            code="logged",
        )
    return leaks
