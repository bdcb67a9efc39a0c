"""`policywatch credentials`: what the daemon logs in with at platforms. A value comes by standard input or is typed.

Not here: the master key (`secrets`), passwords of mail and database (files and references of the settings).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from policywatch.errors import UsageError
from policywatch_tui.commands.base import Shell, ask_at_terminal, with_shell

if TYPE_CHECKING:
    from policywatch.settings import Settings

__all__ = ["credentials", "person_key"]

_ANYWAY = click.option(
    "--anyway", is_flag=True, help="Send keys even to a server that would write them into its log."
)
_STDIN = click.option("--stdin", "from_stdin", is_flag=True, help="Take the value from standard input.")


def person_key(settings: Settings) -> Callable[[int], bytes]:
    """The master key by its version, for the person at this terminal: key file, else keyring, else a question."""
    from policywatch import secrets

    return lambda version: secrets.master_key(settings.database.state_folder, version=version, person=True)


def _value(from_stdin: bool) -> str:
    """Never an argument: other accounts of this host would see it."""
    if from_stdin:
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    else:
        ask_at_terminal("Give the value on standard input: --stdin")
        value = str(click.prompt("Value", hide_input=True, confirmation_prompt=True, err=True))
    if not value:
        raise UsageError(
            "The value is empty; nothing was stored.", remedy="Give it on standard input: --stdin"
        )
    return value


@click.group()
def credentials() -> None:
    """Credentials of platforms, encrypted in the database; for administrators."""


async def _store(shell: Shell, platform: str, name: str, value: str, *, rotate: bool, anyway: bool) -> None:
    from policywatch.db import credentials as stored

    async with shell.database() as db:
        shell.outcome(
            await stored.set_value(
                db, person_key(shell.settings), platform, name, value, rotate=rotate, anyway=anyway
            )
        )


@credentials.command("set")
@click.argument("platform")
@click.argument("name")
@_STDIN
@_ANYWAY
@with_shell
async def set_credential(shell: Shell, platform: str, name: str, from_stdin: bool, anyway: bool) -> None:
    """Store a credential of a platform, or replace it."""
    await _store(shell, platform, name, _value(from_stdin), rotate=False, anyway=anyway)


@credentials.command()
@click.argument("platform")
@click.argument("name")
@_STDIN
@_ANYWAY
@with_shell
async def rotate(shell: Shell, platform: str, name: str, from_stdin: bool, anyway: bool) -> None:
    """Give a credential that is there its next value."""
    await _store(shell, platform, name, _value(from_stdin), rotate=True, anyway=anyway)


@credentials.command("list")
@click.argument("platform", required=False)
@with_shell
async def list_credentials(shell: Shell, platform: str | None) -> None:
    """Which there are; never a value."""
    from policywatch.db import credentials as stored

    async with shell.database() as db:
        rows = await stored.list_credentials(db, platform)
    shell.table("credentials", rows, ("platform", "name", "state", "key_version", "set_by", "set_at"))


@credentials.command()
@click.argument("platform")
@click.argument("name")
@_ANYWAY
@with_shell
async def test(shell: Shell, platform: str, name: str, anyway: bool) -> None:
    """Whether the credential can be read with the master key that is here; its value is not shown."""
    from policywatch.db import credentials as stored

    async with shell.database() as db:
        shell.outcome(await stored.test(db, person_key(shell.settings), platform, name, anyway=anyway))


@credentials.command()
@click.argument("platform")
@click.argument("name")
@with_shell
async def remove(shell: Shell, platform: str, name: str) -> None:
    """Take a credential's value away for good."""
    from policywatch.db import credentials as stored

    async with shell.database() as db:
        shell.outcome(await stored.remove(db, platform, name))
