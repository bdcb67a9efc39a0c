"""`policywatch bench`: measurements of this program on this machine, beside a floor taken in the same run.

Nothing of an installation is touched: each benchmark makes what it needs and clears it away.
"""

from __future__ import annotations

import asyncio
import signal

import click

from policywatch_tui.commands.base import Shell, with_shell

__all__ = ["bench"]


@click.group()
def bench() -> None:
    """Measurements of this program, with the floor of this machine beside."""


@bench.command()
@click.option(
    "--scale",
    type=click.IntRange(100, 10_000_000),
    default=100_000,
    show_default=True,
    help="How many changes.",
)
@click.option(
    "--runs",
    type=click.IntRange(5, 1000),
    default=50,
    show_default=True,
    help="Measured runs of each statement.",
)
@click.option("--keep", is_flag=True, help="Leave the scratch database (and its server) where it is.")
@with_shell
async def database(shell: Shell, scale: int, runs: int, keep: bool) -> int:
    """Every question of desk and daemon, asked of a database in proportion to so many changes.

    p50 and p95 in milliseconds beside SELECT 1 on the same connection, and the plan node that took longest. The
    exit code is 1 where a screen's question exceeds its budget.
    """
    from policywatch.db import bench as benched

    task = asyncio.current_task()
    assert task is not None
    # Whoever ends the command, its server and database go with it.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        report = await benched.run(shell.settings, scale=scale, runs=runs, keep=keep, say=shell.say_step)
    except asyncio.CancelledError:
        raise click.Abort from None
    if shell.as_json:
        shell.emit(report.to_json())
    else:
        _print(report)
    return 0 if all(budget.held for budget in report.budgets) else 1


def _print(report: object) -> None:
    from policywatch.db.bench import Report

    assert isinstance(report, Report)
    click.echo(
        f"{report.scale:,} changes, PostgreSQL {report.server_version}, TimescaleDB {report.timescaledb or 'none'},"
        f" {report.processors} processors; {report.seed.bytes / 1e9:.2f} GB, filled in {report.seed.seconds:.0f} s"
    )
    click.echo(f"\n{'budget':20} {'p95 ms':>8} {'limit':>6}")
    for budget in report.budgets:
        mark = "" if budget.held else "  not held"
        click.echo(f"{budget.name:20} {budget.p95_ms:8.2f} {budget.limit_ms:6.0f}{mark}")
    click.echo(
        f"\n{'statement':40} {'rows':>6} {'p50':>8} {'p95':>8} {'1 p50':>6} {'1 p95':>6}  worst node (own ms, rows, blocks)"
    )
    for figure in report.figures:
        node = figure.node
        worst = "" if node is None else f"{node.what} ({node.own_ms:.2f}, {node.rows}, {node.blocks})"
        click.echo(
            f"{figure.login[0]} {figure.query:38} {figure.rows:6} {figure.p50_ms:8.2f} {figure.p95_ms:8.2f}"
            f" {figure.floor_p50_ms:6.2f} {figure.floor_p95_ms:6.2f}  {worst}"
        )
    if report.left_out:
        click.echo("\nNot measured:")
        for name, reason in report.left_out.items():
            click.echo(f"  {name}: {reason}")
    if report.kept:
        click.echo(f"\nKept: {report.kept}")
