"""`policywatch users` and `policywatch sessions`: who may do what, and who is at work."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from policywatch.errors import UsageError
from policywatch_tui.commands.base import Shell, with_shell

if TYPE_CHECKING:
    from policywatch.db.pool import Database

__all__ = ["sessions", "users"]

ROLES = ["viewer", "reviewer", "editor", "approver", "admin", "auditor"]


@click.group()
def users() -> None:
    """People: one login role each; rights come from this database."""


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--mail", help="Their address; seen by administrators and the daemon alone.")
@click.option("--os-user", help="Their account on this host: an SSH login then needs no password.")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    help="Restrict to platforms (repeatable); holds once `policywatch migrate rls` is on.",
)
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Take the one-time password from standard input instead of making one.",
)
@with_shell
async def add(
    shell: Shell,
    name: str,
    role: str,
    mail: str | None,
    os_user: str | None,
    platforms: tuple[str, ...],
    password_stdin: bool,
) -> None:
    """Add a person. Without --os-user it prints a one-time password, once."""
    from policywatch.db import acts, listing, logins
    from policywatch.db.peers import ACCOUNT

    if os_user is not None and not ACCOUNT.fullmatch(os_user):
        raise UsageError(
            f'"{os_user}" cannot be an account of this host.', remedy="Give its name as `id -un` shows it."
        )
    password = None
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
        if len(password) < 12:
            raise UsageError(
                "The password is too short.", remedy="Give at least 12 characters on standard input."
            )
    elif os_user is None:
        password = logins.one_time_password()
    async with shell.database() as db:
        outcome = await acts.user_add(
            db,
            name,
            role,
            verifier=logins.verifier(name, password) if password else None,
            mail=mail,
            os_user=os_user,
            platforms=platforms or None,
        )
        # A login that the server knows already keeps its password: then there is none to show.
        fresh = any(u["name"] == name and u["must_change_password"] for u in await listing.users(db))
        lines = await _let_in(shell, db, name, os_user) if os_user else []
    shown = password if fresh and not password_stdin else None
    if shell.as_json:
        shell.emit(
            {
                "ok": True,
                "name": name,
                "role": role,
                "one_time_password": shown,
                "for_the_administrator": lines,
            }
        )
        return
    shell.outcome(outcome)
    for line in lines:
        click.echo(line)
    if shown:
        click.echo(
            f"One-time password, shown only now: {shown}\n{name} changes it with: policywatch users password"
        )


async def _let_in(shell: Shell, db: Database, name: str, account: str) -> list[str]:
    """Let an account in without a password; what is left to whoever runs the server, as lines for them."""
    from policywatch.db import connect, listing, peers

    if shell.settings.database.mode != "embedded":
        return ["For the server's administrator, then reload it:", *peers.lines_for(name, account)]
    server = connect.server(shell.settings)
    if not server.is_keeper():
        return ["The daemon tells the server within seconds; until then the account is not let in."]
    others = {
        u["name"]: u["os_user"] for u in await listing.users(db) if u["os_user"] not in (None, u["name"])
    }
    await asyncio.to_thread(peers.know_people, server, others)
    return []


@users.command("list")
@with_shell
async def list_users(shell: Shell) -> None:
    """Everybody with a right here."""
    from policywatch.db import listing

    async with shell.database() as db:
        rows = await listing.users(db)
    shell.table("users", rows, ("name", "role", "state", "os_user", "must_change_password", "created_by"))


@users.command("role")
@click.argument("name")
@click.argument("new_role", type=click.Choice(ROLES))
@with_shell
async def set_role(shell: Shell, name: str, new_role: str) -> None:
    """Give another person another role."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.user_role(db, name, new_role))


@users.command()
@click.argument("name")
@with_shell
async def disable(shell: Shell, name: str) -> None:
    """Take every right of a person; what they did stays."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.user_disable(db, name))


@users.command()
@click.option("--password-stdin", is_flag=True, help="Take the new password from standard input.")
@with_shell
async def password(shell: Shell, password_stdin: bool) -> None:
    """Change your own password (a one-time password must be changed before anything else)."""
    from policywatch.db import acts, listing, logins

    # The login comes first: nobody should think of a new password only to hear that the old one was refused.
    async with shell.database() as db:
        me: dict[str, Any] | None = await listing.me(db)
        if me is None:
            raise UsageError(
                "You have no active account here.", remedy="Ask an administrator: policywatch users add"
            )
        if password_stdin:
            new = sys.stdin.readline().rstrip("\n")
        else:
            asked = f"New password of {me['name']}, at least 12 characters"
            new = click.prompt(asked, hide_input=True, confirmation_prompt=True, err=True)
        if len(new) < 12:
            raise UsageError("The password is too short.", remedy="Choose at least 12 characters.")
        shell.outcome(await acts.user_password(db, logins.verifier(me["name"], new)))
    if (kept := shell.settings.database.password) is not None:
        click.echo(
            f"Put the new one where the secret {kept.secret} is kept; the old one opens nothing.", err=True
        )


@click.group()
def sessions() -> None:
    """Desk and command sessions."""


@sessions.command("list")
@click.option("--all", "everything", is_flag=True, help="Ended ones too.")
@with_shell
async def list_sessions(shell: Shell, everything: bool) -> None:
    """Your sessions; an administrator or auditor sees everybody's."""
    from policywatch.db import listing

    async with shell.database() as db:
        rows = await listing.sessions(db, everything=everything)
    if not shell.as_json:  # eight signs are enough to name one
        rows = [{**row, "id": str(row["id"])[:8]} for row in rows]
    shell.table(
        "sessions",
        rows,
        ("id", "user_name", "kind", "started_at", "ended_at", "heartbeat_at", "ended_how", "client"),
    )


@sessions.command()
@click.argument("session", required=False)
@click.option("--user", help="All sessions of a person.")
@with_shell
async def end(shell: Shell, session: str | None, user: str | None) -> None:
    """End a session (its id, or the beginning of it) or all of --user: your own, anybody's as an administrator.

    A desk leaves at once; the daemon cuts what is still connected.
    """
    from policywatch.db import acts

    if (session is None) == (user is None):
        raise UsageError("Name one session, or --user NAME.", remedy="See: policywatch sessions list")
    async with shell.database() as db:
        chosen = None if session is None else await _session(db, session)
        shell.outcome(await acts.end_session(db, session=chosen, user=user))


async def _session(db: Database, text: str) -> UUID:
    """The open session that begins so; UsageError where none or several do."""
    from policywatch.db import listing

    begun = text.strip().lower()
    found = [s["id"] for s in await listing.sessions(db, everything=False) if str(s["id"]).startswith(begun)]
    if len(found) == 1 and begun:
        return UUID(str(found[0]))
    try:
        return UUID(begun)
    except ValueError:
        said = "No open session of yours begins" if not found else f"{len(found)} open sessions begin"
        raise UsageError(f'{said} with "{text}".', remedy="See: policywatch sessions list") from None
