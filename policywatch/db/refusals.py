"""What PostgreSQL says, as the program's own errors: away, busy, forbidden, violated.

Nothing here decides; it names. What is only a developer's fault (a syntax error, a wrong column) stays as it is.
"""

from __future__ import annotations

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from policywatch.errors import Conflict, NotAllowed, PolicyWatchError, ServiceAway

__all__ = ["Broken", "Violation", "away", "is_race", "place", "told", "translate"]


class Violation(PolicyWatchError):
    """A constraint or guard of the schema refused a row; `code` is the SQLSTATE, `constraint` its name."""

    def __init__(self, what: str, *, code: str, constraint: str = "") -> None:
        super().__init__(what, code=code)
        self.constraint = constraint


class Broken(ServiceAway):
    """The connection ended before the answer: whether the statement was carried out is not known."""


def place(conninfo: str) -> str:
    """Where a connection leads, for sentences: never a user's password."""
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return "the database"
    host = str(parts.get("host") or parts.get("hostaddr") or "")
    name = str(parts.get("dbname") or parts.get("user") or "postgres")
    if host.startswith("/") or not host:
        return f'the database "{name}" at the socket {host or "of this system"}'
    return f'the database "{name}" at {host}:{parts.get("port") or 5432}'


def away(conninfo: str, error: BaseException | None = None) -> PolicyWatchError:
    """The sentence for a connection that could not be made."""
    reason = " ".join(str(error).split()) if error is not None else "no answer"
    where = place(conninfo)
    lowered = reason.lower()
    if "password" in lowered or "authentication" in lowered or "pg_hba" in lowered:
        return ServiceAway(
            f"{where} refused the login: {reason}",
            remedy="Check database.user and its password in the settings (policywatch config show).",
        )
    if "does not exist" in lowered and "role" in lowered:
        return ServiceAway(
            f"{where} refused the login: {reason}",
            remedy="Ask an administrator: policywatch users add NAME --role ROLE",
        )
    if "permission denied for database" in lowered:
        return NotAllowed(
            f"{where} refused the login: {reason}", remedy="Ask an administrator: policywatch users add."
        )
    if "does not exist" in lowered and "database" in lowered:
        return ServiceAway(f"{where} does not exist.", remedy="Make it: policywatch migrate up")
    remedy = "Check database.dsn in the settings and that the server runs."
    if "socket" in where:
        remedy = "Start it: policywatch db start (an administrator's server: check database.dsn)."
    return ServiceAway(f"{where} does not answer: {reason}", remedy=remedy)


def busy() -> ServiceAway:
    """All connections of this program are in use."""
    return ServiceAway("The database is busy.", remedy="Try again in a moment.", code="busy")


def translate(error: psycopg.Error, query: str, conninfo: str, *, broken: bool) -> BaseException:
    """The program's error for PostgreSQL's, or the same error where only a developer can mend it.

    `broken`: the connection is gone. `query` is the statement's name.
    """
    state = error.sqlstate or ""
    said = error.diag.message_primary or str(error)
    if broken or state.startswith(("08", "57P")):
        return Broken(
            f"{place(conninfo)} broke the connection during {query}: {' '.join(str(error).split())}",
            remedy="Try again in a moment; see: policywatch db status",
        )
    if isinstance(error, errors.SerializationFailure | errors.DeadlockDetected):
        return Conflict(f"{query} met another writer: {said}", remedy="Try again.", code=state)
    if isinstance(error, errors.LockNotAvailable | errors.QueryCanceled | errors.TooManyConnections):
        return ServiceAway(
            f"The database is busy ({query}): {said}", remedy="Try again in a moment.", code="busy"
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return NotAllowed(
            f"Your role does not reach this: {said} ({query}).",
            remedy="Ask an administrator for another: policywatch users role NAME ROLE.",
            code=state,
        )
    if isinstance(error, errors.IntegrityError):
        return Violation(said, code=state, constraint=error.diag.constraint_name or "")
    if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName | errors.UndefinedFunction):
        return PolicyWatchError(
            f"{place(conninfo)} lacks what {query} needs: {said}",
            remedy="Bring its schema up to this program: policywatch migrate up",
            code=state,
        )
    if isinstance(error, errors.DataError):
        return PolicyWatchError(
            f"{query} was given what the database cannot hold: {said}", code=state or "22000"
        )
    return error


class told:
    """A failure of PostgreSQL in a file, as a sentence with file and line."""

    def __init__(self, title: str, text: str, became: str) -> None:
        self._title, self._text, self._became = title, text, became

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, psycopg.Error) or is_race(error):
            return
        position = error.diag.statement_position
        line = f", line {self._text.count(chr(10), 0, int(position) - 1) + 1}" if position else ""
        said = error.diag.message_primary or " ".join(str(error).split())
        if error.sqlstate == "0A000" and error.diag.message_hint:  # the file's own refusal, with its remedy
            raise PolicyWatchError(f"{said}.", remedy=error.diag.message_hint, code="0A000") from error
        raise PolicyWatchError(
            f"{self._title}{line} {self._became}: {said}",
            remedy=error.diag.message_hint or "Mend the cause and run it again; nothing else was changed.",
            code=error.sqlstate or "",
        ) from error


def is_race(error: BaseException) -> bool:
    """Roles are the cluster's: runners in two databases may touch the same row of it at the same moment."""
    return isinstance(error, errors.InternalError_) and "concurrently updated" in str(error)
