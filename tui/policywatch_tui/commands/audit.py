"""`policywatch audit` and `policywatch alerts`: who did what, and what wants attention."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from policywatch.errors import UsageError
from policywatch_tui.commands.base import Shell, with_shell

__all__ = ["alerts", "audit"]


@click.group()
def audit() -> None:
    """The record of every act, refusal and machine decision (auditors and administrators)."""


@audit.command("list")
@click.option("--actor", help="One person or the daemon.")
@click.option("--action", help="e.g. approval.approve, or approval.% for all of that kind.")
@click.option("--refused", is_flag=True, help="Only refusals.")
@click.option("--since", help="From this time on (ISO 8601).")
@click.option("--limit", default=200, show_default=True)
@with_shell
async def list_audit(
    shell: Shell, actor: str | None, action: str | None, refused: bool, since: str | None, limit: int
) -> None:
    """Audit rows, the newest first."""
    from policywatch.db import listing

    moment = None
    if since:
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            raise UsageError(
                f'"{since}" is no time.', remedy="Write it as 2026-11-27 or 2026-11-27T12:00:00Z."
            ) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    async with shell.database() as db:
        rows = await listing.audit(
            db, actor=actor, action=action, outcome="refused" if refused else None, since=moment, limit=limit
        )
    shell.table("audit", rows, ("id", "at", "actor", "action", "object_kind", "object_id", "outcome", "code"))


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
        "alerts", rows, ("id", "level", "audience", "subject", "times", "opened_at", "acked_by", "sentence")
    )


@alerts.command()
@click.argument("alert", type=int)
@with_shell
async def ack(shell: Shell, alert: int) -> None:
    """Say that you saw it."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.ack_alert(db, alert))
