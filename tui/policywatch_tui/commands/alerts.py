"""`policywatch alerts`: what wants attention, and the word that somebody saw it."""

from __future__ import annotations

import click

from policywatch_tui.commands.base import Shell, with_shell

__all__ = ["alerts"]


@click.group()
def alerts() -> None:
    """Messages to operators and reviewers, on transitions."""


@alerts.command("list")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@with_shell
async def list_alerts(shell: Shell, everything: bool) -> None:
    """Open alerts."""
    from policywatch.db import listing

    async with shell.database() as db:
        rows = await listing.alerts(db, everything=everything)
    shell.table(
        "alerts",
        rows,
        (
            "id",
            "level",
            "opened_at",
            "acked_by",
            *(("closed_at",) if everything else ()),
            "audience",
            "subject",
        ),
        beneath=("sentence",),
        none="No alerts." if everything else "No open alerts.",
    )


@alerts.command()
@click.argument("alert", type=int)
@with_shell
async def ack(shell: Shell, alert: int) -> None:
    """Say that you saw it."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.ack_alert(db, alert))
