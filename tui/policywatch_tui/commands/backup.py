"""`policywatch backup`: create, list, restore (called by monitoring/backup/*.sh too)."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import click

import policywatch
from policywatch_tui.commands.base import Shell, json_option, with_shell

__all__ = ["backup"]


def _programs(shell: Shell) -> Path | None:
    """Where the embedded server's own pg_dump and pg_restore are; None on an administrator's server."""
    from policywatch.db import connect

    embedded = shell.settings.database.mode == "embedded"
    return connect.server(shell.settings).programs() if embedded else None


@click.group()
def backup() -> None:
    """Backups of the database, and restores that wake frozen."""


@backup.command()
@with_shell
async def create(shell: Shell) -> None:
    """One consistent backup while the program runs; the manifest is written last."""
    from policywatch.db import backup as backups
    from policywatch.db import connect

    conninfo = await asyncio.to_thread(connect.owner, shell.settings)
    place, manifest = await backups.create(
        conninfo,
        shell.settings.backup.folder,
        program=f"policywatch {policywatch.__version__}",
        programs=_programs(shell),
    )
    if shell.as_json:
        shell.emit({"backup": str(place), **asdict(manifest)})
    else:
        click.echo(
            f"{place}  {manifest.size} bytes  sha256 {manifest.sha256[:16]}  {sum(manifest.rows.values())} rows"
        )


@backup.command("list")
@json_option
@click.pass_obj
def list_backups(shell: Shell) -> None:
    """Backups, the newest first; a folder without a manifest is shown as broken."""
    from policywatch.db import backup as backups

    rows = [
        {
            "backup": str(place),
            "made_at": m.made_at,
            "bytes": m.size,
            "rows": sum(m.rows.values()),
            "state": "complete",
        }
        if m
        else {"backup": str(place), "made_at": None, "bytes": None, "rows": None, "state": "broken"}
        for place, m in backups.listed(shell.settings.backup.folder)
    ]
    shell.table("backups", rows, ("made_at", "state", "bytes", "rows"), beneath=("backup",))


@backup.command()
@click.argument("place", type=click.Path(path_type=Path))
@click.option("--into", "database", required=True, help="Name of the new database.")
@with_shell
async def restore(shell: Shell, place: Path, database: str) -> None:
    """Restore into a new database. It wakes frozen: nothing is sent until two people thaw it."""
    from policywatch.db import backup as backups
    from policywatch.db import connect

    if not place.is_absolute() and not place.exists():
        place = shell.settings.backup.folder / place
    conninfo = await asyncio.to_thread(connect.owner, shell.settings)
    restored = await backups.restore(conninfo, place, database, programs=_programs(shell))
    if shell.as_json:
        shell.emit(asdict(restored))
    else:
        click.echo(
            f"{database}: {restored.rows} rows in {restored.tables} tables, as the manifest says. It is frozen; "
            f"{restored.uncertain} recipients are uncertain. Two people thaw it: policywatch publications thaw"
        )
