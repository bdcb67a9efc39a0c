"""`policywatch db` and `policywatch migrate`: the server and the schema."""

from __future__ import annotations

import asyncio
import os

import click

from policywatch.errors import PolicyWatchError, UsageError
from policywatch_tui.commands.base import Shell, ask_at_terminal, json_option, with_shell

__all__ = ["db", "migrate"]


@click.group()
def db() -> None:
    """The embedded database (nothing here touches an administrator's server)."""


@db.command()
@json_option
@click.pass_obj
def start(shell: Shell) -> None:
    """Start it, making it on first use; says which PostgreSQL was chosen and why."""
    from policywatch.db import connect

    started = connect.server(shell.settings, say=shell.say_step).start()
    if shell.as_json:
        shell.emit(
            {
                "state": started.status.state,
                "created": started.created,
                "reused": started.reused,
                "version": started.status.version,
                "programs": started.status.programs,
                "why": started.status.why,
                "socket_folder": started.status.socket_folder,
                "seconds": round(started.seconds, 2),
            }
        )
    else:
        click.echo(started.sentence)


@db.command()
@json_option
@click.pass_obj
def stop(shell: Shell) -> None:
    """Stop it; open transactions are ended in order (pg_ctl -m fast)."""
    from policywatch.db import connect

    server = connect.server(shell.settings)
    was = server.stop()
    if shell.as_json:
        shell.emit({"stopped": was, "state_folder": server.state_folder})
    else:
        click.echo(f"The server in {server.state_folder} {'is stopped' if was else 'was not running'}.")


@db.command("status")
@json_option
@click.pass_obj
def db_status(shell: Shell) -> None:
    """Whether it runs, where its files are, which PostgreSQL it is. Exit 1 when it does not run."""
    from policywatch.db import connect

    status = connect.server(shell.settings).status()
    fields: dict[str, object] = {
        "state": status.state,
        "version": status.version,
        "programs": status.programs,
        "why": status.why,
        "state_folder": status.state_folder,
        "data_folder": status.data_folder,
        "socket_folder": status.socket_folder,
        "pid": status.pid,
    }
    if shell.as_json:
        shell.emit(fields)
    else:
        for name, value in fields.items():
            if value not in (None, ""):
                click.echo(f"{name.replace('_', ' '):<14} {value}")
    if status.state != "running":
        click.get_current_context().exit(1)


_LOGINS = click.Choice(["person", "daemon", "owner"])


@db.command()
@click.option("--as", "login", type=_LOGINS, default="person", show_default=True)
@json_option
@click.pass_obj
def dsn(shell: Shell, login: str) -> None:
    """The connection string, without password."""
    from policywatch.db import connect
    from policywatch.settings import without_password

    made = {"person": connect.person, "daemon": connect.daemon, "owner": connect.owner}[login]
    text = without_password(made(shell.settings, say=shell.say_step))
    if shell.as_json:
        shell.emit({"login": login, "dsn": text})
    else:
        click.echo(text)


@db.command(context_settings={"ignore_unknown_options": True})
@click.option("--as", "login", type=_LOGINS, default="person", show_default=True)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(shell: Shell, login: str, arguments: tuple[str, ...]) -> None:
    """psql in the embedded database; further arguments are psql's."""
    from policywatch.db import connect

    server = connect.server(shell.settings, say=shell.say_step)
    server.start()
    users = {"person": "admin", "daemon": "pw_daemon", "owner": "postgres"}
    argv = [*server.psql(users[login]), *arguments]
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - psql takes this process over
    except OSError as error:
        raise PolicyWatchError(
            f"psql does not start: {error.strerror}.", remedy="Install the PostgreSQL client programs."
        ) from error


@click.group()
def migrate() -> None:
    """The schema: numbered migrations, then the views and acts."""


@migrate.command()
@with_shell
async def up(shell: Shell) -> None:
    """Make the database and bring its schema up; prints the administrator's one-time password once."""
    from policywatch.db import setup

    prepared = await setup.prepare(shell.settings, say=shell.say_step)
    migrated, admin = prepared.migrated, prepared.migrated.admin
    password = admin.one_time_password if admin else None
    if shell.as_json:
        shell.emit(
            {
                "version": migrated.version,
                "done": list(migrated.done),
                "api": migrated.api,
                "admin": admin.name if admin else None,
                "one_time_password": password,
            }
        )
        return
    done = ", ".join(migrated.done) or "nothing to do"
    click.echo(
        f"The schema is at {migrated.version}: {done}{'; views and acts renewed' if migrated.api else ''}."
    )
    if admin and admin.remark:
        click.echo(admin.remark)
    if admin and password:
        click.echo(
            f"One-time password of {admin.name}, shown only now: {password}\n"
            "It must be changed before anything else: policywatch users password"
        )


@migrate.command()
@click.option("--to", default=0, show_default=True, help="The migration to go down to.")
@click.option("--yes", is_flag=True, help="Do not ask. Everything above that migration is lost.")
@with_shell
async def down(shell: Shell, to: int, yes: bool) -> None:
    """Undo migrations (development and proof; production restores a backup). Data is lost."""
    from policywatch.db import connect
    from policywatch.db import migrate as runner

    if not yes:
        ask_at_terminal("Add --yes if its data may be lost.")
        word = click.prompt("This loses data. Type the name of the database to go on", err=True)
        if word != shell.settings.database.name and shell.settings.database.mode == "embedded":
            raise UsageError(
                "That is not its name; nothing was done.", remedy="Type it exactly, or use --yes."
            )
    owner = await asyncio.to_thread(connect.owner, shell.settings)
    done = (await runner.down(owner, to=to, say=shell.say_step)).done
    if shell.as_json:
        shell.emit({"version": to, "undone": list(done)})
    else:
        click.echo(f"Down to {to}: {', '.join(done) or 'nothing to do'}.")


@migrate.command("status")
@with_shell
async def migrate_status(shell: Shell) -> int:
    """What is applied and what this program needs. Exit 1 when they differ."""
    from policywatch.db import connect
    from policywatch.db import migrate as runner

    owner = await asyncio.to_thread(connect.owner, shell.settings)
    schema = await runner.status(owner)
    if shell.as_json:
        shell.emit(
            {
                "have": schema.have,
                "want": schema.want,
                "current": schema.current,
                "api_current": schema.api_current,
                "clock_replaced": schema.clock_replaced,
                "timescaledb": schema.timescale,
                "steps": [{"version": s.version, "name": s.name, "state": s.state} for s in schema.steps],
            }
        )
    else:
        for step in schema.steps:
            click.echo(f"{step.version:03d} {step.name:<28} {step.state}")
        click.echo(
            f"at {schema.have}, this program needs {schema.want}; TimescaleDB: {schema.timescale or 'not used'}"
        )
        if schema.clock_replaced:
            click.echo("The database clock (app.pw_now) was replaced: this is a test or demo database.")
    return 0 if schema.current else 1


@migrate.command()
@with_shell
async def verify(shell: Shell) -> int:
    """Compare what was applied with the files, and the clock with the original. Exit 1 with the faults."""
    from policywatch.db import connect
    from policywatch.db import migrate as runner

    owner = await asyncio.to_thread(connect.owner, shell.settings)
    faults = await runner.verify(owner)
    if shell.as_json:
        shell.emit({"ok": not faults, "faults": list(faults)})
    else:
        click.echo("\n".join(faults) or "The schema is what the files say.")
    return 1 if faults else 0


@migrate.command()
@with_shell
async def timescale(shell: Shell) -> None:
    """Turn a plain database's series into hypertables, once the server offers TimescaleDB. Safe to repeat.

    One transaction, all or nothing; writers wait meanwhile, so stop the daemon for a large database.
    """
    from policywatch.db import connect
    from policywatch.db import timescale as series

    wish = shell.settings.database.timescale
    if wish == "off":
        raise UsageError(
            "The settings leave TimescaleDB alone (database.timescale: off).",
            remedy="Set database.timescale: auto, then run this again.",
        )
    owner = await asyncio.to_thread(connect.owner, shell.settings)
    shell.say_step("Converting ...")
    done = await series.convert(owner)
    if shell.as_json:
        shell.emit(
            {
                "converted": done.made,
                "edition": done.edition.kind,
                "timescaledb": done.edition.version,
            }
        )
        return
    click.echo(
        (f"{done.made} series are hypertables now. " if done.made else "Nothing was left to convert. ")
        + f"{done.edition.sentence}."
    )


@migrate.command()
@click.argument("what", type=click.Choice(["on", "off", "status"]), default="status")
@with_shell
async def rls(shell: Shell, what: str) -> int:
    """Row-level security: people scoped to platforms see and act on those alone. Off by default.

    Exit 1 when tables and system_config disagree (switch it again).
    """
    from policywatch.db import connect
    from policywatch.db import rls as limits

    owner = await asyncio.to_thread(connect.owner, shell.settings)
    now = await (limits.state(owner) if what == "status" else limits.switch(owner, on=what == "on"))
    if shell.as_json:
        shell.emit(
            {
                "rls": now.on,
                "whole": now.whole,
                "tables": now.tables,
                "limited": now.limited,
                "scoped": now.scoped,
            }
        )
    else:
        click.echo(
            f"Row-level security is {'on' if now.on else 'off'}: it holds in {now.limited} of {now.tables} tables;"
            f" {now.scoped} people are limited to platforms."
        )
        if not now.whole:
            click.echo(
                "Tables and system_config disagree. Run: policywatch migrate rls on (or off)", err=True
            )
    return 0 if now.whole else 1
