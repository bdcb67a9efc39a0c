"""`policywatch daemon`, `check`: the daemon's work from the command line."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import click

from policywatch.errors import PolicyWatchError
from policywatch_tui.commands.asking import answered
from policywatch_tui.commands.base import Shell, in_lines, json_option, with_shell
from policywatch_tui.commands.child import daemon_argv, run_verb
from policywatch_tui.commands.offline import offline_words
from policywatch_tui.desk.clean import clean

__all__ = ["check", "daemon"]


@click.group()
def daemon() -> None:
    """The daemon in the foreground (under systemd: policywatchd run)."""


@daemon.command()
@click.pass_obj
def run(shell: Shell) -> None:
    """Collect, judge, publish until told to stop (Ctrl-C or SIGTERM)."""
    argv = daemon_argv(shell, "run")
    os.execv(argv[0], argv)  # noqa: S606 - the daemon takes this process over


@daemon.command()
@click.argument("documents", nargs=-1)
@json_option
@click.pass_obj
def once(shell: Shell, documents: tuple[str, ...]) -> None:
    """Visit what is due, or the named PLATFORM[/DOCUMENT]s, judge, and end."""
    code, result = run_verb(shell, "once", *documents, "--json", label="visits", told="page_unread")
    _report(shell, result)
    click.get_current_context().exit(code)


def _report(shell: Shell, result: dict[str, Any]) -> None:
    if shell.as_json:
        shell.emit(result)
        return
    for name, value in result.items():
        if not isinstance(value, list | dict):
            click.echo(f"{name.replace('_', ' ')}: {value}")
    if result.get("changes"):
        click.echo(in_lines(f"changes: {', '.join(result['changes'])}"))
    for name in result.get("held") or ():
        click.echo(in_lines(f"{name}  not visited: another daemon has it, or its host asks to wait", "  "))
    for row in result.get("unread") or ():
        click.echo(in_lines("  ".join(str(v) for v in row.values()), "  "))
    if hint := offline_words(row.get("cause") for row in result.get("unread") or ()):
        click.echo(hint)


@click.command()
@click.argument("document", required=False)
@click.option("--all", "everything", is_flag=True, help="All documents.")
@click.option(
    "--wait", "seconds", default=60.0, show_default=True, help="Longest wait for the daemon, seconds."
)
@with_shell
async def check(shell: Shell, document: str | None, everything: bool, seconds: float) -> int:
    """Look now at PLATFORM, PLATFORM/DOCUMENT or --all: by the running daemon, else by one run of its own."""
    from policywatch.db import acts, listing

    if document is None and not everything:
        raise click.UsageError("Name PLATFORM[/DOCUMENT] or --all.")
    platform, _, key = (document or "").partition("/")
    async with shell.database() as db:
        if await listing.workers(db):
            outcome = await acts.request_visit(db, platform or None, key or None)
            if outcome.id is None:
                raise PolicyWatchError(outcome.sentence)
            row = await answered(db, outcome.id, seconds)
            payload = {
                "request": outcome.id,
                "state": row["state"],
                "sentence": outcome.sentence,
                **(row["result"] or {}),
            }
            if shell.as_json:
                shell.emit(payload)
            else:
                click.echo(clean(f"{outcome.sentence} See: policywatch status"))
            return 0 if row["state"] == "done" else 6
    # The empty name is every active document.
    code, result = await asyncio.to_thread(
        run_verb, shell, "once", document or "", "--json", label="visits", told="page_unread"
    )
    _report(shell, result)
    return code
