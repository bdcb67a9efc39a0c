"""`policywatch compare`: two texts as PolicyWatch reads them, with the machine's analysis. Reads files, nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import click

from policywatch.errors import UsageError
from policywatch_tui.commands.base import Shell, json_option
from policywatch_tui.desk.clean import clean

__all__ = ["compare"]

MAX_BYTES = 16 * 1024 * 1024


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(
                f"{path} is larger than 16 MiB.", remedy="Compare the texts, not whole archives."
            )
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(f"{path} cannot be read: {why}.", remedy="Name a UTF-8 text file.") from error


def _pairs(table: Path) -> Iterator[tuple[Path, Path]]:
    """Rows `before<TAB>after` of a table; a header line that names these columns is passed over."""
    for number, line in enumerate(_text(table).splitlines(), 1):
        cells = line.split("\t")
        if not line.strip() or cells[:2] == ["before", "after"]:
            continue
        if len(cells) < 2:
            raise UsageError(
                f"{table}, line {number}: two paths are expected.", remedy="Write BEFORE<TAB>AFTER."
            )
        yield Path(cells[0]), Path(cells[1])


def _judged(before: Path, after: Path, on: date) -> dict[str, object]:
    from policywatch.reading.analyse import analyse
    from policywatch.reading.compare import compare as compared

    comparison = compared(_text(before), _text(after))
    analysis = analyse(comparison, at=on, document=after.stem, platform="")
    return {
        "before": str(before),
        "after": str(after),
        **comparison.to_json(),
        "analysis": analysis.to_json() if comparison.passages else None,
    }


@click.command()
@click.argument("before", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.argument("after", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--pairs", type=click.Path(path_type=Path, dir_okay=False), help="A table of BEFORE<TAB>AFTER paths."
)
@click.option("--jsonl", is_flag=True, help="One JSON object per pair.")
@json_option
@click.pass_obj
def compare(shell: Shell, before: Path | None, after: Path | None, pairs: Path | None, jsonl: bool) -> None:
    """Compare two texts: passages, kind of noise, type, severity, dates, with quotes. Exit 1 when they differ."""
    today = datetime.now(UTC).date()
    if pairs is not None:
        for one, other in _pairs(pairs):
            click.echo(json.dumps(_judged(one, other, today), ensure_ascii=False))
        return
    if before is None or after is None:
        raise UsageError("Two files are needed.", remedy="policywatch compare BEFORE AFTER, or --pairs TABLE")
    result = _judged(before, after, today)
    if jsonl:
        click.echo(json.dumps(result, ensure_ascii=False))
    elif shell.as_json:
        shell.emit(result)
    else:
        _show(result)
    sys.exit(1 if result["passages"] or result["noise_kind"] != "none" else 0)


def _show(result: dict[str, object]) -> None:
    analysis, passages = result["analysis"], result["passages"]
    assert isinstance(passages, list)
    if not passages:
        click.echo(
            "No difference." if result["noise_kind"] == "none" else f"Only noise: {result['noise_kind']}."
        )
        return
    if isinstance(analysis, dict):
        click.echo(f"{analysis['severity']}  {analysis['change_type']}  {clean(str(analysis['summary']))}")
    for passage in passages:
        click.echo(f"\n--- {clean(' > '.join(passage['section']) or '(beginning)')} ({passage['kind']})")
        for sign, side in (("-", "before"), ("+", "after")):
            for line in str(passage[side]).splitlines():
                if line.strip():
                    click.echo(f"{sign} {clean(line)}")
