"""`policywatch secrets`: where secrets and the master key come from, what is wrong with them, and a new master key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import click

from policywatch.errors import PartlyDone, PolicyWatchError, SettingsError
from policywatch_tui.commands.base import Shell, with_shell
from policywatch_tui.commands.credentials import person_key
from policywatch_tui.desk.clean import clean

if TYPE_CHECKING:
    from policywatch.db.pool import Database
    from policywatch.settings import Settings

__all__ = ["Finding", "key_findings", "secrets"]

Finding = tuple[str, str, str]  # ok | warn | fault, what, remedy


def named_findings(settings: Settings) -> Iterator[Finding]:
    """Where each secret that the settings name comes from; its value is not told. Blocks: it may ask the keyring."""
    from policywatch.secrets import keyring_state, source_of
    from policywatch.settings import secret_references

    for key, reference in secret_references(settings):
        try:
            source = source_of(reference, settings)
        except SettingsError as fault:
            yield "fault", f"{key} ({reference.secret}): {fault.sentence}", fault.remedy
        else:
            yield "ok", f"{key} ({reference.secret}): from {source}", ""
    yield "ok", keyring_state(), ""


async def key_findings(settings: Settings, db: Database) -> AsyncIterator[Finding]:
    """The master key against what the database was written under, and what its server logs of parameters."""
    from policywatch.db import credentials as stored
    from policywatch.db.serverlog import log_settings
    from policywatch.keys import check_value
    from policywatch.secrets import key_name, master_key

    versions = {row["version"]: bytes(row["check_value"]) for row in await stored.key_versions(db)}
    for version in versions or [1]:
        name = key_name(version)
        try:
            found = check_value(master_key(settings.database.state_folder, version=version), version)
        except SettingsError as fault:
            # On an administrator's server the key lies with the daemon, and need not be on this host.
            elsewhere = (
                settings.database.mode == "dsn" and not (settings.database.state_folder / name).exists()
            )
            yield "warn" if elsewhere else "fault", fault.sentence, fault.remedy
            continue
        if version not in versions:
            yield "ok", f"{name} is here (the database has not been written under it yet)", ""
        elif found == versions[version]:
            yield "ok", f"{name} is the key that this database was written under", ""
        else:
            yield (
                "fault",
                f"{name} is not the key that this database was written under",
                "Put the right key file back from your backup of keys; a daemon does not start with this one.",
            )
    for rotation in await stored.key_rotations(db):
        if rotation["ended_at"] is None:
            yield (
                "warn",
                f"the rotation to key version {rotation['to_version']} was cut off: {rotation['rest']} credentials are left",
                "Go on: policywatch secrets rotate",
            )
    log = await log_settings(db)
    for leak in log.leaks():
        yield "warn", f"the server would log keys and secrets: {leak}", log.remedy
    for remark in log.remarks():
        yield "warn", remark, log.remedy
    if not log.leaks():
        yield "ok", "the server's log holds no parameters of statements", ""


@click.group()
def secrets() -> None:
    """Secrets that the settings name, and the master key."""


@secrets.command()
@with_shell
async def doctor(shell: Shell) -> int:
    """Where each secret comes from, whether the master key is the right one, what the server logs. Exit 1 with a fault."""
    from policywatch.db.serverlog import log_settings

    findings = await asyncio.to_thread(lambda: list(named_findings(shell.settings)))
    settings: dict[str, str | None] = {}
    try:
        async with shell.database() as db:
            findings += [finding async for finding in key_findings(shell.settings, db)]
            settings = dict((await log_settings(db)).values)
    except PolicyWatchError as fault:
        findings.append(("fault", fault.what, fault.remedy))
    if shell.as_json:
        shell.emit(
            {
                "findings": [dict(zip(("state", "what", "remedy"), f, strict=True)) for f in findings],
                "server_log": settings,
            }
        )
    else:
        for state, what, remedy in findings:
            click.echo(clean(f"{state:<6} {what}"))
            if remedy:
                click.echo(clean(f"       {remedy}"))
        for name, value in settings.items():
            if value is not None:
                click.echo(clean(f"       {name} = {value}"))
    return 1 if any(state == "fault" for state, _, _ in findings) else 0


@secrets.command()
@click.option("--anyway", is_flag=True, help="Send keys even to a server that would write them into its log.")
@with_shell
async def rotate(shell: Shell, anyway: bool) -> None:
    """Make the next version of the master key and move all credentials to it. Safe to interrupt and to run again.

    Recipients and their addresses stay under version 1: keep every key file.
    """
    from policywatch.db import credentials as stored
    from policywatch.db.serverlog import refuse_leaks
    from policywatch.secrets import key_name, new_master_key

    folder = shell.settings.database.state_folder
    key_of = person_key(shell.settings)
    async with shell.database() as db:
        opened = [row for row in await stored.key_rotations(db) if row["ended_at"] is None]
        now = opened[0]["from_version"] if opened else await stored.newest_version(db)
        new = opened[0]["to_version"] if opened else now + 1
        await _allowed(db)
        await refuse_leaks(db, anyway=anyway)
        key_of(now)
        new_master_key(folder, new)
        state = stored.Moved(0, 0)
        async for state in stored.rotate_keys(db, key_of, now, new, anyway=anyway):
            shell.say_step(f"{state.done} credentials are under key version {new}, {state.rest} are left")
        left = [
            r for r in await stored.list_credentials(db) if r["state"] == "active" and r["key_version"] != new
        ]
    names = [f"{r['platform']}/{r['name']}" for r in left]
    payload = {
        "version": new,
        "done": state.done,
        "left": names,
        "key_file": folder / key_name(new),
    }
    if shell.as_json:
        shell.emit(payload)
    else:
        click.echo(
            f"{state.done} credentials are under key version {new}. Back up {folder / key_name(new)}, and keep the older "
            "key files: addresses and recipients are under them."
        )
        if shell.settings.database.mode == "dsn":
            click.echo("Give it to the daemon where that runs on another host: it needs both.")
    if left:
        raise PartlyDone(
            f"{len(left)} credentials could not be read and stay under the old key: {', '.join(names[:20])}",
            remedy="Set them again (policywatch credentials set), then run this again.",
        )


async def _allowed(db: Database) -> None:
    """Before a key file is made: whether this person may rotate at all. The act asks again."""
    from policywatch.db import listing
    from policywatch.errors import NotAllowed

    me = await listing.me(db)
    if me is None or me["role"] != "admin":
        raise NotAllowed("Only an administrator makes a new master key.", remedy="Ask one.")
