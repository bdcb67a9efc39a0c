"""`policywatch init`: the first installation, step by step; safe to repeat.

Settings file, database, schema, key, catalogue; then what of the platforms can be read, and a history to compare
with: without one a fresh installation has nothing to say for weeks.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from policywatch.errors import PolicyWatchError
from policywatch_tui.commands.base import Shell, with_shell
from policywatch_tui.desk.clean import clean

if TYPE_CHECKING:
    from policywatch.db.steps_listing import Readable

__all__ = ["init"]

_STARTER = """\
# The settings of PolicyWatch. What is not said here keeps its default.
# `policywatch config show` prints all that holds; docs/settings.md explains every key.

fetch:
  # Address or page where a platform can reach you; sent with each request. Please set it.
  contact: null

members:
  # CSV file of those who receive guidance; empty: nothing can be mailed.
  file: null
"""


@click.command()
@click.option(
    "--import",
    "source",
    type=click.Path(path_type=Path),
    help="Import this history too (see: policywatch import).",
)
@click.option("--no-import", is_flag=True, help="Do not ask for a history.")
@click.option("--no-settings", is_flag=True, help="Write no settings file where there is none.")
@with_shell
async def init(shell: Shell, source: Path | None, no_import: bool, no_settings: bool) -> int:
    """First installation: settings, database, schema, key, catalogue, history. Safe to repeat.

    Asks only at a terminal, and only for a history where there is none.
    """
    from policywatch.db import setup
    from policywatch.settings import catalogue
    from policywatch_tui.commands.child import run_verb

    written = None if no_settings else _write_settings(shell)
    prepared = await setup.prepare(shell.settings, say=shell.say_step)
    code, reconciled = await asyncio.to_thread(run_verb, shell, "reconcile", "--json")
    if code:
        sys.exit(code)
    admin = prepared.migrated.admin
    payload: dict[str, Any] = {
        "settings": shell.settings.source_path,
        "settings_written": written is not None,
        "database": shell.settings.database.mode,
        "schema": prepared.migrated.version,
        "state_folder": shell.settings.database.state_folder,
        "catalogue": reconciled,
        "one_time_password": admin.one_time_password if admin else None,
    }
    if not shell.as_json:
        if written is not None:
            click.echo(f"Settings: {written} (made now; set fetch.contact in it)")
        if prepared.started:
            click.echo(prepared.started.sentence)
        count = len(list(catalogue(shell.settings)))
        click.echo(f"The schema is at {prepared.migrated.version}; {count} documents are in the catalogue.")
        if admin and admin.one_time_password:
            click.echo(f"One-time password of {admin.name}, shown only now: {admin.one_time_password}")
    readable, history = await _standing(shell)
    if readable is not None:
        payload["readable"] = readable.to_json()
        _tell_readable(shell, readable)
    if source is None and history is False and not no_import:
        source = _ask_for_history(shell)
    if source is not None:
        code, payload["import"] = await _import(shell, source)
    if shell.as_json:
        shell.emit(payload)
    else:
        click.echo("Next: policywatch users add NAME --role reviewer; then policywatch")
    return code


def _write_settings(shell: Shell) -> Path | None:
    """A short settings file in the account's own place, where none is found; the file that was made."""
    from policywatch.settings import find, places

    if shell.config is not None or find() is not None:
        return None
    for place in places():
        if not place.is_absolute() or not os.access(_first_folder(place), os.W_OK):
            continue
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with place.open("x", encoding="utf-8") as file:
            file.write(_STARTER)
        return place
    return None


def _first_folder(path: Path) -> Path:
    return next(folder for folder in path.parents if folder.exists())


async def _standing(shell: Shell) -> tuple[Readable | None, bool | None]:
    """Which pages are readable, and whether there is any history; None where this login may not look yet."""
    from policywatch.db import listing, steps_listing

    try:
        async with shell.database() as db:
            return await steps_listing.readable(db), await listing.has_history(db)
    except PolicyWatchError:  # an administrator's server: the one-time password comes first
        return None, None


def _tell_readable(shell: Shell, readable: Readable) -> None:
    if shell.as_json:
        return
    if not readable.count:
        click.echo(f"{readable.total} pages are declared; none was looked at yet: policywatch check --all")
        return
    click.echo(f"{readable.sentence}.")
    for (health, reason), count in list(readable.why_not.items())[:10]:
        click.echo(clean(f"  {count} not: {health}, {reason}"))
    click.echo("Page by page: policywatch documents readable")


def _ask_for_history(shell: Shell) -> Path | None:
    """A history to import, asked for at a terminal; elsewhere only named as the next step."""
    told = (
        "There is no history yet, so for weeks there is nothing to compare. An Open Terms Archive clone or bundle,"
        " dated files, a CSV index or WARC files can be imported."
    )
    if shell.as_json or not sys.stdin.isatty():
        if not shell.as_json:
            click.echo(f"{told} Later: policywatch import SOURCE")
        return None
    click.echo(told)
    answer = click.prompt("Path of a history (empty: none)", default="", show_default=False)
    return Path(answer).expanduser() if answer.strip() else None


async def _import(shell: Shell, source: Path) -> tuple[int, dict[str, Any]]:
    from policywatch_tui.commands.importing import print_report, run_import

    code, report = await asyncio.to_thread(run_import, shell, source)
    if not shell.as_json:
        print_report(shell, report)
    return code, report
