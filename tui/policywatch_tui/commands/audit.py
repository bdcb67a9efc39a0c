"""`policywatch audit`: who did what, and whether the record is whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from policywatch.errors import PolicyWatchError, UsageError
from policywatch_tui.commands.base import Shell, with_shell
from policywatch_tui.desk.clean import clean

if TYPE_CHECKING:
    from policywatch.db.audit import Filters
    from policywatch.domain.audit import Anchor
    from policywatch.domain.audit_check import Report
    from policywatch.domain.audit_file import Header

__all__ = ["audit"]

_LONGEST = 16 * 1024 * 1024  # characters of one line of a file from outside

_FILTERS = (
    click.option("--actor", help="One person or the daemon."),
    click.option("--action", help="e.g. approval.approve, or approval.% for all of that kind."),
    click.option("--object", "object_", help="KIND or KIND/ID, e.g. change/12."),
    click.option("--refused", is_flag=True, help="Only refusals."),
    click.option("--since", help="From this time on (ISO 8601, UTC where it names no zone)."),
    click.option("--until", help="Before this time."),
)


def _with_filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def _filters(
    actor: str | None,
    action: str | None,
    object_: str | None,
    refused: bool,
    since: str | None,
    until: str | None,
) -> Filters:
    from policywatch.db.audit import Filters

    kind, slash, of = (object_ or "").partition("/")
    return Filters(
        actor=actor,
        action=action,
        object_kind=kind or None,
        object_id=of if slash else None,
        outcome="refused" if refused else None,
        since=_moment(since),
        until=_moment(until),
    )


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f'"{text}" is no time.', remedy="Write it as 2026-11-27 or 2026-11-27T12:00:00Z."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group()
def audit() -> None:
    """The record of every act, refusal and machine decision (auditors and administrators)."""


@audit.command("list")
@_with_filters
@click.option("--limit", default=200, show_default=True)
@with_shell
async def list_audit(shell: Shell, limit: int, **filters: Any) -> None:
    """Audit rows, the newest first."""
    from policywatch.db import audit as log

    wanted = _filters(**filters)
    async with shell.database() as db:
        rows = await log.listed(db, wanted, limit)
    shell.table("audit", rows, ("id", "at", "actor", "action", "object_kind", "object_id", "outcome", "code"))


@audit.command()
@click.option(
    "--anchor",
    "anchor_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Seals kept elsewhere: a file of `audit anchor`, or lines of the system log with audit_sealed.",
)
@click.option(
    "--file",
    "export_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check a file of `audit export` instead; needs no database.",
)
@with_shell
async def verify(shell: Shell, anchor_file: Path | None, export_file: Path | None) -> int:
    """Check every row, seal and anchor; name what is broken, and what cannot be known. Exit 1 where something is."""
    anchors = _anchors(anchor_file) if anchor_file else []
    header: Header | None = None
    if export_file:
        header, report = _check_file(shell, export_file, anchors)
    else:
        from policywatch.db import audit as log

        async with shell.database() as db:
            with _progress(shell, "Checking rows") as step:
                report = await log.check(db, anchors, progress=step)
    unknown = _unknown(report, header)
    if shell.as_json:
        from policywatch.db.audit import as_json

        shell.emit({**as_json(report), "cannot_be_known": unknown})
    else:
        for line in [*_found(report), *unknown]:
            click.echo(clean(line))
    return 0 if report.ok else 1


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_shell
async def anchor(shell: Shell, file: Path) -> int:
    """Append the newest seal to FILE, to be kept where the database's owner cannot write."""
    from policywatch.db import audit as log
    from policywatch.domain.audit import anchor_line

    kept = _anchors(file) if file.exists() and file.stat().st_size else []
    async with shell.database() as db:
        await log.require_reader(db)
        last = max(kept, key=lambda a: a.n, default=None)
        if last is not None:
            seal = await log.seal_with(db, last.n)
            if seal is None or seal.chain != last.chain:
                raise PolicyWatchError(
                    f"The database has no longer the seal {last.n} that stands in {file}.",
                    remedy=f"Keep the file as it is and look: policywatch audit verify --anchor {file}",
                )
        newest = await log.newest_seal(db)
        if newest is None:
            raise PolicyWatchError(
                "Nothing is sealed yet.", remedy="The daemon seals within a minute: policywatch status"
            )
        made = await log.anchor_of(db, newest)
    if last is None or made.n > last.n:
        with _appending(file) as out:
            out.write(anchor_line(made) + "\n")
    if shell.as_json:
        shell.emit(
            {
                "n": made.n,
                "epoch": made.epoch,
                "at": made.at,
                "chain": made.chain,
                "rows": made.rows,
                "last_id": made.last_id,
            }
        )
    else:
        shell.say(
            f"Seal {made.n} of {made.at:%Y-%m-%d %H:%M:%SZ}: {made.rows} rows up to id {made.last_id}, {made.chain.hex()}"
        )
    return 0


@audit.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_with_filters
@with_shell
async def export(shell: Shell, file: Path, **filters: Any) -> None:
    """Write rows with their seals to FILE (JSON lines); `audit verify --file FILE` checks it anywhere."""
    from policywatch.db import audit as log

    wanted = _filters(**filters)
    lines = 0
    async with shell.database() as db:
        with _new_file(file) as out, _progress(shell, "Writing rows") as step:
            async for line in log.export(db, wanted, at=datetime.now(UTC), progress=step):
                out.write(line + "\n")
                lines += 1
    if shell.as_json:
        shell.emit({"file": file, "lines": lines})
    else:
        shell.say(f"{file}: {lines} lines. Check it with: policywatch audit verify --file {file}")


# -- what the commands above share ------------------------------------------------------------------


def _anchors(file: Path) -> list[Anchor]:
    from policywatch.domain.audit import anchor_of_line

    found = []
    for number, line in enumerate(_lines(file), 1):
        try:
            anchor = anchor_of_line(line)
        except ValueError as error:
            raise PolicyWatchError(
                f"{file}, line {number} is no anchor: {error}.",
                remedy="Lines of `policywatch audit anchor FILE`, or of the system log with audit_sealed.",
            ) from error
        if anchor is not None:
            found.append(anchor)
    if not found:
        raise PolicyWatchError(
            f"{file} holds no anchor.",
            remedy="Lines of `policywatch audit anchor FILE`, or of the system log with audit_sealed.",
        )
    return found


def _lines(file: Path, step: Callable[[int, int], None] = lambda _done, _total: None) -> Iterator[str]:
    """Lines of a file from outside: text, and none endless. `step` gets (bytes read, bytes there)."""
    size, read = file.stat().st_size, 0
    with file.open(encoding="utf-8", errors="strict") as lines:
        number = 0
        while line := lines.readline(_LONGEST):
            number += 1
            if len(line) >= _LONGEST:
                raise PolicyWatchError(f"{file}, line {number} is longer than any that PolicyWatch writes.")
            read += len(line)
            if number % 2000 == 0:
                step(min(read, size), size)
            yield line


def _check_file(shell: Shell, file: Path, anchors: list[Anchor]) -> tuple[Header, Report]:
    from policywatch.domain.audit_file import check_lines

    try:
        with _progress(shell, "Checking the file") as step:
            return check_lines(_lines(file, step), anchors)
    except ValueError as error:
        raise PolicyWatchError(
            f"{file} cannot be checked: {error}.", remedy="Files of `policywatch audit export` can be."
        ) from error


def _found(report: Report) -> list[str]:
    """What was checked, as sentences; what is broken comes first."""
    said = [fault.sentence for fault in report.faults]
    if report.fault_count > len(report.faults):
        said.append(f"... and {report.fault_count - len(report.faults)} more.")
    newest = report.newest
    if newest is not None:
        bare = f" ({report.bare} of them by their hash alone)" if report.bare else ""
        said.append(
            f"Checked {report.rows + report.bare} rows{bare} in {report.seals} seals; the newest is seal {newest.n} of "
            f"{newest.at:%Y-%m-%d %H:%M:%SZ}, epoch {newest.epoch}, {newest.chain.hex()}"
        )
    if report.anchors:
        said.append(
            f"{report.anchors_good} of {report.anchors} anchors agree"
            + (f", up to seal {report.anchored_seal}." if report.anchored_seal is not None else ".")
        )
    if report.late:
        said.append(
            f"{report.late} rows (the first is {report.first_late}) are much older than the seal before theirs: a "
            "transaction stayed open for long, or they were put in later."
        )
    said.append("Everything that was checked fits." if report.ok else f"BROKEN: {report.fault_count} faults.")
    return said


def _unknown(report: Report, header: Header | None) -> list[str]:
    """What this check cannot tell, as sentences."""
    said = []
    if not report.anchors:
        said.append(
            "Not known without an anchor kept elsewhere: whether whoever owns the database changed rows, hashes and "
            "seals together, or cut off the end. (policywatch audit anchor FILE; the daemon's log has every seal)"
        )
    elif report.newest is not None and report.anchored_seal != report.newest.n:
        said.append("Not covered by an anchor: rows sealed after the newest one that agrees.")
    if report.unsealed:
        since = (
            f", the oldest of {report.oldest_unsealed:%Y-%m-%d %H:%M:%SZ}" if report.oldest_unsealed else ""
        )
        said.append(
            f"Not sealed yet: {report.unsealed} rows{since}. They can be deleted unnoticed until they are."
        )
    if header is not None and header.filters:
        asked = ", ".join(f"{k} {v}" for k, v in header.filters.items())
        said.append(
            f"The file holds what was asked for ({asked}). Rows in seals without any such row, and unsealed ones, are "
            "not in it: whether one of them should be is not known."
        )
    if header is not None and header.after:
        said.append(
            f"The file begins after seal {header.after}: what was before is known by that seal's chain alone."
        )
    return said


@contextmanager
def _progress(shell: Shell, label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the stderr of a terminal, else nothing."""
    if not shell.on_terminal():
        yield lambda _done, _total: None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def step(done: int, total: int) -> None:
            bar.length = max(1, total)
            bar.update(done - bar.pos)

        yield step


@contextmanager
def _appending(file: Path) -> Iterator[TextIO]:
    try:
        with file.open("a", encoding="utf-8") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}.", remedy="Name another file."
        ) from error


@contextmanager
def _new_file(file: Path) -> Iterator[TextIO]:
    """A file for its owner alone, there under its name only when it is whole. It overwrites nothing."""
    part = file.with_name(file.name + ".part")
    try:
        if file.exists():
            raise UsageError(f"{file} exists.", remedy="Name a new file.")
        part.unlink(missing_ok=True)
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.rename(file)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}.", remedy="Name another file."
        ) from error
    finally:
        part.unlink(missing_ok=True)
