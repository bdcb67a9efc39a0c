"""`policywatch documents readable`: how many pages can be read, by which step, and why the others cannot."""

from __future__ import annotations

import click

from policywatch_tui.commands.base import Shell, in_lines, with_shell
from policywatch_tui.commands.offline import offline_words

__all__ = ["readable"]


@click.command(short_help="How many pages can be read, and why not.")
@click.option("--platform", help="One platform, by key.")
@click.option("--pages", "each", is_flag=True, help="Every page with its step and reason.")
@with_shell
async def readable(shell: Shell, platform: str | None, each: bool) -> None:
    """How many pages are readable, by which step (http, browser, archive), and why the others are not."""
    from policywatch.db import steps_listing

    async with shell.database() as db:
        counts = await steps_listing.readable(db, platform)
        rows = await steps_listing.pages(db, platform) if each else []
    if shell.as_json:
        shell.emit({**counts.to_json(), **({"each": rows} if each else {})})
        return
    click.echo(f"{counts.sentence}.")
    for (health, reason), count in counts.why_not.items():
        click.echo(in_lines(f"{count:>4}  {health}: {reason}", "  "))
    if hint := offline_words(reason for _, reason in counts.why_not):
        click.echo(hint)
    if each:
        shell.table("pages", rows, ("platform", "document", "step", "health"), beneath=("url", "reason"))
