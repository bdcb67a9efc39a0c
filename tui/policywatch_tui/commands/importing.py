"""`policywatch import`: histories that others recorded, read into ours by the daemon's verb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from policywatch_tui.commands.base import Shell, in_lines, json_option
from policywatch_tui.commands.child import run_verb
from policywatch_tui.desk.clean import clean

__all__ = ["import_source", "print_report", "run_import"]

_COUNTS = ("versions", "added", "changes", "noise", "suspect", "stored")
_SHOWN = 20  # refused or suspect versions shown to a person; --json holds more


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--queue", is_flag=True, help="Put imported changes before the reviewers.")
@click.option("--dry-run", is_flag=True, help="Read and count, store nothing.")
@click.option("--platform", "platforms", multiple=True, help="Of this platform alone; may be repeated.")
@json_option
@click.pass_obj
def import_source(shell: Shell, source: Path, queue: bool, dry_run: bool, platforms: tuple[str, ...]) -> None:
    """Read a history that others recorded.

    SOURCE is a git clone or bundle of an Open Terms Archive version repository; a folder of dated files,
    <Platform>/<Document>/<YYYY-MM-DD>.md|txt|html or <YYYY-MM-DD>/<Platform>/<Document>.md; a CSV index with the
    columns time, platform, document, file and perhaps url; or WARC files.

    Imported changes are marked historical, stay out of the queue unless --queue, and never cause mail.
    Safe to interrupt and to run again: what is there already is passed over. Exit 6: some of it was refused.
    """
    code, result = run_import(shell, source, queue=queue, dry_run=dry_run, platforms=platforms)
    if shell.as_json:
        shell.emit(result)
    else:
        print_report(shell, result)
    click.get_current_context().exit(code)


def run_import(
    shell: Shell,
    source: Path,
    *,
    queue: bool = False,
    dry_run: bool = False,
    platforms: tuple[str, ...] = (),
) -> tuple[int, dict[str, Any]]:
    """Import by the daemon's verb, with its progress drawn; returns its exit code and its report."""
    flags = [*(["--queue"] if queue else []), *(["--dry-run"] if dry_run else [])]
    for platform in platforms:
        flags += ["--platform", platform]
    return run_verb(shell, "import", str(source), "--json", "--progress", *flags, label="versions")


def print_report(shell: Shell, report: dict[str, Any]) -> None:
    """The report for a person: a line per document, what was left out and why, the sum."""
    documents: dict[str, dict[str, int]] = report.get("by_document") or {}
    if documents:
        rows = [
            {"document": name, **{key: counts.get(key, 0) for key in _COUNTS}}
            for name, counts in documents.items()
        ]
        shell.table("documents", rows, ("document", *_COUNTS))
    for service, count in (report.get("unknown_services") or {}).items():
        click.echo(clean(f"left out: {count} of {service}, which is no platform here and no alias of one"))
    _print_versions("suspect", report.get("suspect", 0), report.get("suspect_versions") or [], "signs")
    _print_versions("refused", report.get("refused", 0), report.get("refused_versions") or [], "reason")
    if not report:
        return
    verb = "would be added" if report["dry_run"] else "added"
    told = (
        f"{report['versions']} versions read in {report['seconds']} s: {report['snapshots_added']} {verb}, "
        f"{report['skipped']} there already, {report['suspect']} suspect, {report['refused']} refused; "
        f"{report['changes_added']} changes"
    )
    click.echo(in_lines(told))


def _print_versions(word: str, count: int, listed: list[dict[str, Any]], key: str) -> None:
    for one in listed[:_SHOWN]:
        why = one.get(key)
        told = ", ".join(why) if isinstance(why, list) else why
        click.echo(in_lines(f"{word}: {one.get('path')} {str(one.get('commit', ''))[:12]}: {told}"))
    if count > min(len(listed), _SHOWN):
        click.echo(f"{word}: and {count - min(len(listed), _SHOWN)} more")
