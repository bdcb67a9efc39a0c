"""Every error that a person may read, under one root.

The tree::

    PolicyWatchError                exit 1   the answer is no
    +-- UsageError                  exit 2   usage or configuration
    |   +-- SettingsError           exit 2   a setting is wrong (file, line, key, expectation)
    +-- Conflict                    exit 3   somebody else decided first
    +-- NotAllowed                  exit 4   the right is missing
    +-- ServiceAway                 exit 5   a needed service does not answer
    +-- PartlyDone                  exit 6   some of it is done; the rest is listed

An error is a sentence (`what`) with a remedy (`remedy`); `exit_code` is the contract of the command line.
"""

from __future__ import annotations

__all__ = [
    "Conflict",
    "NotAllowed",
    "PartlyDone",
    "PolicyWatchError",
    "ServiceAway",
    "SettingsError",
    "UsageError",
]


class PolicyWatchError(Exception):
    """What happened to which thing, and what to do about it."""

    exit_code = 1

    def __init__(self, what: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.code = code

    def __str__(self) -> str:
        return f"{self.what}\n{self.remedy}" if self.remedy else self.what


class UsageError(PolicyWatchError):
    """A command or a setting was written wrongly."""

    exit_code = 2


class SettingsError(UsageError):
    """One fault of a configuration file: where it is, what was expected, how to mend it."""

    def __init__(
        self,
        what: str,
        *,
        remedy: str = "",
        file: str = "",
        line: int | None = None,
        column: int | None = None,
        key: str = "",
    ) -> None:
        place = file
        if line is not None:
            place += f", line {line}" + (f", column {column}" if column is not None else "")
        super().__init__(f"{place}: {what}" if place else what, remedy=remedy)
        self.sentence, self.file, self.line, self.column, self.key = what, file, line, column, key


class Conflict(PolicyWatchError):
    """Somebody else was first, or the row moved on since it was read (PW409)."""

    exit_code = 3


class NotAllowed(PolicyWatchError):
    """The person's role, scope or part in the matter forbids it (PW403)."""

    exit_code = 4


class ServiceAway(PolicyWatchError):
    """The database, the mail relay or another needed service does not answer."""

    exit_code = 5


class PartlyDone(PolicyWatchError):
    """Some of it is done; the sentence lists the rest."""

    exit_code = 6
