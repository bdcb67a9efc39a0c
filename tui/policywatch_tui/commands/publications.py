"""`policywatch publications` and `policywatch members`: guidance on its way, and for whom."""

from __future__ import annotations

import click

from policywatch.errors import PolicyWatchError, UsageError
from policywatch_tui.commands.base import Shell, ask_at_terminal, number_of, with_shell

__all__ = ["members", "publications"]


@click.group()
def publications() -> None:
    """Publications: approved guidance in grace, on its way, or ended."""


@publications.command("list")
@with_shell
async def list_publications(shell: Shell) -> None:
    """Publications with their ledger in numbers."""
    from policywatch.db import listing

    async with shell.database() as db:
        rows = await listing.publications(db)
    shell.table(
        "publications",
        [{"publication": f"P-{r['id']}", "draft": f"G-{r['draft_id']}", **r} for r in rows],
        (
            "publication",
            "draft",
            "state",
            "recipients",
            "sent",
            "failed",
            "uncertain",
            "deferred",
            "release_at",
        ),
        beneath=("title",),
    )


@publications.command()
@click.argument("publication")
@click.option("--state", help="Only recipients in this state.")
@click.option("--limit", default=200, show_default=True)
@with_shell
async def show(shell: Shell, publication: str, state: str | None, limit: int) -> None:
    """One publication with its ledger, by shortened hash."""
    from policywatch.db import listing

    number = number_of(publication, "P")
    async with shell.database() as db:
        rows = await listing.publications(db, number)
        if not rows:
            raise PolicyWatchError(
                f"There is no publication P-{number}.", remedy="See: policywatch publications list"
            )
        ledger = await listing.recipients(db, number, state, limit)
    if shell.as_json:
        shell.emit({"publication": f"P-{number}", **rows[0], "recipients_rows": ledger})
        return
    for name in (
        "title",
        "state",
        "approved_at",
        "release_at",
        "released_at",
        "ended_at",
        "pause_reason",
        "approved_count",
        "recipients",
        "sent",
        "queued",
        "deferred",
        "failed",
        "uncertain",
        "suppressed",
        "cancelled",
    ):
        if rows[0][name] is not None:
            click.echo(f"{name:<15} {rows[0][name]}")
    shell.table("recipients", ledger, ("hash", "state", "tries", "sent_at", "last_code", "last_text"))


@publications.command()
@click.argument("publication")
@with_shell
async def withdraw(shell: Shell, publication: str) -> None:
    """Take it back within its grace period: nobody gets it."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.withdraw_publication(db, number_of(publication, "P")))


@publications.command()
@click.argument("publication")
@click.option("--reason", default="", help="Why.")
@with_shell
async def pause(shell: Shell, publication: str, reason: str) -> None:
    """Hold it while it is being sent."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.pause_publication(db, number_of(publication, "P"), reason))


@publications.command()
@click.argument("publication")
@with_shell
async def resume(shell: Shell, publication: str) -> None:
    """Send it on: a new yes of somebody who did not write it."""
    from policywatch.db import acts, listing

    number = number_of(publication, "P")
    async with shell.database() as db:
        rows = await listing.publications(db, number)
        if not rows:
            raise PolicyWatchError(
                f"There is no publication P-{number}.", remedy="See: policywatch publications list"
            )
        shell.outcome(await acts.resume_publication(db, number, rows[0]["version"]))


@publications.command()
@click.argument("publication", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Freeze the whole system: nothing is released, no mail leaves."
)
@click.option("--reason", default="", help="Why, for the audit.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_shell
async def stop(shell: Shell, publication: str | None, everything: bool, reason: str, yes: bool) -> None:
    """End a publication that is being sent, or with --all everything at once."""
    from policywatch.db import acts

    if everything == (publication is not None):
        raise UsageError("Name one publication, or --all.", remedy="policywatch publications stop P-7")
    if not yes:
        ask_at_terminal("Add --yes.")
        click.confirm(f"Stop {publication or 'everything'}?", abort=True, err=True)
    async with shell.database() as db:
        if publication is None:
            shell.outcome(await acts.freeze_system(db, reason))
        else:
            shell.outcome(await acts.stop_publication(db, number_of(publication, "P")))


@publications.command()
@with_shell
async def thaw(shell: Shell) -> None:
    """End the frost: two approvers must say so, one after the other."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.thaw_system(db))


@click.group()
def members() -> None:
    """Members and segments (addresses are never shown here)."""


@members.command()
@with_shell
async def segments(shell: Shell) -> None:
    """Groups of members, by criteria."""
    from policywatch.db import listing

    async with shell.database() as db:
        rows = await listing.segments(db)
    shell.table("segments", rows, ("key", "version", "name", "criteria"))
