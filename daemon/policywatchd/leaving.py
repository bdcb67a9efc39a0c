"""How a program of the daemon's side ends: errors as sentences on stderr, exit codes of the contract."""

from __future__ import annotations

import os

import click

from policywatch.errors import PolicyWatchError, UsageError

__all__ = ["leave"]


def leave(command: click.Command, name: str, arguments: list[str] | None) -> int:
    """Run a command of that program and return its exit code (design 8)."""
    try:
        code = command.main(arguments, prog_name=name, standalone_mode=False)
    except PolicyWatchError as error:
        click.echo(f"{name}: {error.what}", err=True)
        if error.remedy:
            click.echo(error.remedy, err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return UsageError.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return code if isinstance(code, int) else 0
