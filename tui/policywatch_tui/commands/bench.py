"""`policywatch bench`: measurements of this program on this machine, beside a floor taken in the same run.

Nothing of an installation is touched: each benchmark makes what it needs and clears it away.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from policywatch.errors import PolicyWatchError
from policywatch_tui.commands.base import Shell, json_option, with_shell
from policywatch_tui.commands.child import run_verb
from policywatch_tui.desk.clean import clean

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


@bench.command()
@click.option(
    "--scenario",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A scenario file (docs/scenario.md).",
)
@click.option("--rounds", type=click.IntRange(1, 1000), help="Instead of the scenario's number of rounds.")
@click.option("--seed", type=click.IntRange(0), help="Instead of the scenario's seed.")
@click.option("--truth", type=click.Path(path_type=Path), help="Write the scenario's truth to this file.")
@click.option(
    "--documents",
    type=click.IntRange(10, 50_000),
    multiple=True,
    help="Without a scenario: how many unchanged documents. Repeat it to compare sizes.  [default: 500]",
)
@click.option(
    "--passes", type=click.IntRange(1, 100), default=5, show_default=True, help="Measured passes over them."
)
@json_option
@click.pass_obj
def collect(
    shell: Shell,
    scenario: Path | None,
    rounds: int | None,
    seed: int | None,
    truth: Path | None,
    documents: tuple[int, ...],
    passes: int,
) -> None:
    """The collector in a simulated web: against the truth of a scenario, or what a pass costs.

    With a scenario: rounds of visits by the real collector, and every fault by name. Without one: the processor
    time of a pass over unchanged documents beside a bare httpx loop. The exit code is 1 where something does not
    hold.
    """
    told = {"--scenario": scenario, "--rounds": rounds, "--seed": seed, "--truth": truth}
    if scenario is None and any(value is not None for value in told.values()):
        raise click.UsageError("--rounds, --seed and --truth belong to a --scenario.")
    if scenario is not None and documents:
        raise click.UsageError("--documents is for a run without --scenario.")
    arguments = [word for name, value in told.items() if value is not None for word in (name, str(value))]
    arguments += [word for number in documents for word in ("--documents", str(number))]
    code, report = run_verb(
        shell,
        "bench",
        "collect",
        *arguments,
        "--passes",
        str(passes),
        label=scenario.name if scenario else "passes",
    )
    if not report:
        raise click.exceptions.Exit(code)
    if shell.as_json:
        shell.emit(report)
    elif scenario is None:
        _print_passes(report)
    else:
        _print_rounds(report)
    raise click.exceptions.Exit(code)


def _print_passes(report: Mapping[str, Any]) -> None:
    click.echo(
        f"{'documents':>9} {'CPU s':>7} {'bare':>7} {'ratio':>6} {'ms each':>8} {'PostgreSQL':>10} {'MB':>6}"
    )
    for size in report["sizes"]:
        server = "-" if size["postgres_cpu_s"] is None else f"{size['postgres_cpu_s']:.2f}"
        click.echo(
            f"{size['documents']:9} {size['cpu_s']:7.2f} {size['bare_cpu_s']:7.2f} {size['ratio']:6.2f}"
            f" {size['cpu_ms_per_document']:8.2f} {server:>10} {size['rss_mb']:6.0f}"
        )
    for name, limit in report["limits"].items():
        mark = "" if report[name] <= limit else "  not held"
        click.echo(f"{name}: {report[name]} (at most {limit}){mark}")


def _print_rounds(report: Mapping[str, Any]) -> None:
    names = (
        "round",
        "reported",
        "errors",
        "requests",
        "not_modified",
        "max_in_flight_per_host",
        "cpu_s",
        "rss_mb",
    )
    click.echo(" ".join(f"{name:>{max(7, len(name))}}" for name in names))
    for row in report["by_round"]:
        click.echo(" ".join(f"{row[name]:>{max(7, len(name))}}" for name in names))
    click.echo(
        f"\n{report['changes_found']} of {report['changes']} scripted changes found; {report['seconds']} s"
    )
    for name, count in report["faults"].items():
        click.echo(f"{name:24} {count}")
    for note in report["notes"][:20]:
        click.echo(clean(", ".join(f"{key}: {value}" for key, value in note.items())), err=True)


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


@bench.command()
@click.option(
    "--corpus",
    envvar="POLICYWATCH_CORPUS",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="A clone or bundle of an archive, or a folder that holds pga.bundle.",
)
@click.option(
    "--reads", type=click.IntRange(10, 100_000), default=1000, show_default=True, help="Random reads."
)
@with_shell
async def storage(shell: Shell, corpus: Path, reads: int) -> int:
    """A recorded history in the store of texts: its size beside git's, every version read back, a random one timed.

    The exit code is 1 where a version differs, or the store or a read exceeds its budget.
    """
    from policywatch.db import bench_storage

    source = corpus / "pga.bundle" if (corpus / "pga.bundle").is_file() else corpus

    async def imported(settings_file: Path, history: Path) -> Mapping[str, Any]:
        child = Shell(config=settings_file, as_json=shell.as_json, plain=shell.plain)
        arguments = ("import", str(history), "--json", "--progress")
        code, report = await asyncio.to_thread(run_verb, child, *arguments, label="versions")
        if code not in (0, 6):
            raise PolicyWatchError("The import failed.", remedy="Its sentence stands above.")
        return report

    report = await bench_storage.run(source, imported, reads=reads, say=shell.say_step)
    if shell.as_json:
        shell.emit(report.to_json())
    else:
        parts = ", ".join(f"{name} {size / 1e6:.2f}" for name, size in report.contents_parts.items())
        click.echo(
            f"{report.versions:,} versions, {report.text_bytes / 1e6:.1f} MB of text, {report.suspect} suspect"
        )
        click.echo(
            f"contents {report.contents_bytes / 1e6:.2f} MB ({parts}; limit {bench_storage.BYTES / 1e6:.0f});"
            f" git packs the same into {report.git_packed_bytes / 1e6:.2f} MB"
        )
        click.echo(f"read back: {report.versions - len(report.unequal):,} equal, {len(report.unequal)} not")
        for name in report.unequal[:20]:
            click.echo(clean(f"  {name}"))
        click.echo(
            f"random read: p50 {report.read_p50_ms} ms, p95 {report.read_p95_ms} ms (limit {bench_storage.READ_MS:.0f}),"
            f" longest {report.read_max_ms} ms of {report.reads:,}; imported in {report.import_seconds:.0f} s"
        )
    return 0 if report.held else 1
