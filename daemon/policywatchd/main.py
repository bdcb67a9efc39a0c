"""The command `policywatchd`: what runs without a person. Options and exit codes; the work is elsewhere."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from policywatch.errors import UsageError
from policywatch.settings import Settings, load
from policywatchd import running
from policywatchd.leaving import leave

__all__ = ["main"]

T = TypeVar("T")

_CONFIG = click.option("--config", type=click.Path(path_type=Path), help="The settings file.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@_CONFIG
@click.option("--verbose", is_flag=True, help="Log every visit.")
@click.option("--quiet", is_flag=True, help="Log warnings and errors only.")
@click.version_option(package_name="policywatch")
@click.pass_context
def cli(context: click.Context, config: Path | None, verbose: bool, quiet: bool) -> None:
    """PolicyWatch's daemon: collects, judges, publishes, keeps order."""
    context.obj = config
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    for name in ("httpx", "httpcore", "psycopg", "psycopg.pool", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _settings(context: click.Context, config: Path | None) -> Settings:
    return load(config or context.obj)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@cli.command()
@_CONFIG
@click.pass_context
def run(context: click.Context, config: Path | None) -> None:
    """Run until SIGTERM: collect, judge, publish, upkeep."""
    _run(running.run(_settings(context, config)))


@cli.command()
@_CONFIG
@click.option("--web", required=True, help="The simulated web, 127.0.0.1:PORT.")
@click.pass_context
def simulate(context: click.Context, config: Path | None, web: str) -> None:
    """Run in the pretend world (databases of demo, benchmarks and tests only)."""
    from policywatchd.simulate import simulate as start

    _run(start(_settings(context, config), web))


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every document, due or not.")
@_CONFIG
@_JSON
@click.option("--web", hidden=True, help="The simulated web, as in simulate.")
@click.pass_context
def once(
    context: click.Context,
    names: tuple[str, ...],
    everything: bool,
    config: Path | None,
    as_json: bool,
    web: str | None,
) -> None:
    """Visit what is due, or NAMES (PLATFORM or PLATFORM/DOCUMENT), one time; exit 6 where some could not be read."""
    if names and everything:
        raise UsageError("Name documents, or say --all.")
    settings, asked = _settings(context, config), names if names else ("",) if everything else ()
    if web is None:
        report = _run(running.visit_once(settings, asked))
    else:
        from policywatchd.simulate import visit_once

        report = _run(visit_once(settings, asked, web))
    click.echo(json.dumps(report.to_json(), ensure_ascii=False) if as_json else "\n".join(report.lines()))
    if not report.is_whole:
        context.exit(6)


@cli.command()
@_CONFIG
@_JSON
@click.pass_context
def reconcile(context: click.Context, config: Path | None, as_json: bool) -> None:
    """Bring platforms, documents, segments and facts of the database to the settings."""
    done = _run(running.reconcile_once(_settings(context, config)))
    if as_json:
        click.echo(json.dumps(done.to_json()))
        return
    click.echo(
        f"{done.platforms} platforms, {done.documents} documents, {done.pages} pages, {done.segments} segments, "
        f"{done.facts} facts written; {done.archived} archived"
    )


@cli.command("import")
@click.argument("source")
@click.option("--queue", is_flag=True, help="Put imported changes before the reviewers.")
@click.option("--dry-run", is_flag=True, help="Read and count, store nothing.")
@click.option("--platform", "platforms", multiple=True, help="Of this platform alone; may be repeated.")
@click.option("--progress", "as_lines", is_flag=True, help="Progress as JSON lines on standard error.")
@_CONFIG
@_JSON
@click.pass_context
def import_(
    context: click.Context,
    source: str,
    queue: bool,
    dry_run: bool,
    platforms: tuple[str, ...],
    as_lines: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Import a history: SOURCE is a git clone or bundle of an archive, dated files, a CSV index, or WARC files.

    Exit 6 where some of it was refused.
    """

    def told(done: int, total: int, text: str) -> None:
        click.echo(json.dumps({"done": done, "total": total, "text": text}, ensure_ascii=False), err=True)

    report = _run(
        running.import_archive(
            _settings(context, config),
            source,
            queue=queue,
            dry_run=dry_run,
            platforms=platforms,
            progress=told if as_lines else None,
        )
    )
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        click.echo("\n".join(f"{name}: {value}" for name, value in report.items()))
    if report["refused"]:
        context.exit(6)


@cli.group()
def bench() -> None:
    """Measurements of the daemon's rooms in a pretend world, on a database of their own."""


@bench.command("collect")
@click.option("--scenario", type=click.Path(path_type=Path, dir_okay=False), help="The scenario file.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="Instead of the scenario's.")
@click.option("--seed", type=click.IntRange(0), help="Instead of the scenario's.")
@click.option("--truth", type=click.Path(path_type=Path), help="Write the scenario's truth to this file.")
@click.option("--documents", type=click.IntRange(10, 50_000), multiple=True, help="Without a scenario.")
@click.option("--passes", type=click.IntRange(1, 100), default=5, show_default=True)
@_CONFIG
@click.pass_context
def bench_collect(
    context: click.Context,
    scenario: Path | None,
    rounds: int | None,
    seed: int | None,
    truth: Path | None,
    documents: tuple[int, ...],
    passes: int,
    config: Path | None,
) -> None:
    """Rounds of a scenario, or passes over unchanged documents, as one JSON object; exit 1 where something does not hold.

    Progress as JSON lines on standard error.
    """
    from policywatchd.bench import collect
    from policywatchd.bench import passes as over
    from policywatchd.bench.place import until_ended

    def told(done: int, total: int, text: str) -> None:
        click.echo(json.dumps({"done": done, "total": total, "text": text}), err=True)

    if logging.getLogger().level > logging.DEBUG:
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.ERROR)  # pages that cannot be read are what a scenario is made of
    settings = _settings(context, config)
    work = (
        over.run(settings, documents or (500,), passes=passes, say=told)
        if scenario is None
        else collect.run(settings, scenario, seed=seed, rounds=rounds, truth_file=truth, say=told)
    )
    report = _run(until_ended(work))
    click.echo(json.dumps(report, ensure_ascii=False))
    if not report["held"]:
        context.exit(1)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with the code of the contract."""
    sys.exit(leave(cli, "policywatchd", arguments))


if __name__ == "__main__":
    main()
