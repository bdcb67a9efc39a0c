"""`policywatch changes`: the queue and the history of changes, and verdicts, from the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from policywatch.errors import PolicyWatchError, UsageError
from policywatch_tui.commands.base import Shell, number_of, with_shell
from policywatch_tui.desk.clean import clean
from policywatch_tui.desk.marks import marks

__all__ = ["changes"]

_LIST = ("change", "platform", "document", "severity", "status", "detected_at", "verdict", "change_type")
_NOISE = ("change", "platform", "document", "kind", "detected_at", "status")


@click.group()
def changes() -> None:
    """Changes: what differs between two consecutive snapshots of a document."""


def with_keys(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its key as people write it (C-12) and one word `kind`: change, or the kind of noise."""
    noise = row.get("noise_kind") or "none"
    return {
        "change": f"C-{row['change_id']}",
        **row,
        "kind": "change" if noise == "none" else noise,
        "type": row.get("change_type"),
    }


@changes.command("list")
@click.option("--platform", help="One platform, by key.")
@click.option("--document", help="One document, by key.")
@click.option("--noise", is_flag=True, help="Differences that no reader reads, with their kind.")
@click.option("--historical", is_flag=True, help="Changes imported from an archive.")
@click.option("--upcoming", is_flag=True, help="Changes with an effective date or a deadline to come.")
@click.option("--all", "everything", is_flag=True, help="Decided ones too.")
@click.option("--limit", default=10000, show_default=True, help="At most so many.")
@with_shell
async def list_changes(
    shell: Shell,
    platform: str | None,
    document: str | None,
    noise: bool,
    historical: bool,
    upcoming: bool,
    everything: bool,
    limit: int,
) -> None:
    """The queue, the most severe first; or another part of what was seen."""
    from policywatch.db import listing

    async with shell.database() as db:
        if upcoming:
            rows = await listing.upcoming(db, limit)
            shell.table(
                "changes",
                [{"change": f"C-{r['change_id']}", **r} for r in rows],
                ("change", "platform", "effective_date", "objection_deadline", "severity", "document"),
                beneath=("summary",),
            )
            return
        statuses = list(listing.UNDECIDED)
        if everything:
            statuses += ["decided", "undone", "second_look"]
        if noise:
            statuses = ["noise"]
        if historical:
            statuses = ["historical", "decided", *listing.UNDECIDED] + (
                ["noise"] if noise or everything else []
            )
        rows = await listing.changes(
            db,
            statuses=statuses,
            platform=platform,
            document=document,
            historical=True if historical else None,
            noise=True if noise else (None if everything else False),
            by_rank=not (historical or noise or everything),
            limit=limit,
        )
    columns = _NOISE if noise else _LIST
    shell.table("changes", [with_keys(r) for r in rows], columns, beneath=("summary",))


def _passage_lines(passage: dict[str, Any]) -> list[str]:
    place = " > ".join(passage.get("section") or ()) or "(beginning)"
    lines = [f"--- {clean(place)} ({passage.get('kind')})"]
    lines += [f"- {clean(line)}" for line in str(passage.get("before") or "").splitlines() if line.strip()]
    lines += [f"+ {clean(line)}" for line in str(passage.get("after") or "").splitlines() if line.strip()]
    return lines


@changes.command()
@click.argument("change")
@with_shell
async def show(shell: Shell, change: str) -> None:
    """One change with its analysis, its passages and what was decided of it."""
    from policywatch.db import listing

    number = number_of(change, "C")
    async with shell.database() as db:
        row = await listing.change(db, number)
        if row is None:
            raise PolicyWatchError(
                f"There is no change C-{number}.", remedy="See: policywatch changes list --all"
            )
        history = await listing.change_history(db, number)
    if shell.as_json:
        shell.emit({**with_keys(row), "history": history})
        return
    lines = [
        f"C-{number}  {row['platform']}/{row['document']}  {row['severity']} (machine: {row['machine_severity']})  {row['status']}",
        f"seen {row['detected_at']:%Y-%m-%d %H:%M}Z  +{row['words_added']} -{row['words_removed']} words  version {row['version']}",
    ]
    if row["change_type"]:
        lines.append(f"{row['change_type']}, confidence {row['confidence']:.2f}: {clean(row['summary'])}")
    if row["noise_kind"] != "none":
        lines.append(f"noise: {row['noise_kind']}; no reader reads the difference")
    lines += marks(row)
    for name in ("effective_date", "objection_deadline"):
        if row[name]:
            lines.append(f"{name.replace('_', ' ')}: {row[name]}")
    for passage in row["passages"]:
        lines += ["", *_passage_lines(passage)]
    if history:
        lines.append("")
    for event in history:
        what = event["verdict"] or event["severity"] or event["kind"]
        lines.append(
            f"{event['at']:%Y-%m-%d %H:%M}Z {event['actor']}: {what} {clean(event['note'] or '')}".rstrip()
        )
    click.echo("\n".join(lines))


async def _version(db: Any, number: int, given: int | None) -> int:
    """The version the person read, or the newest when they name none."""
    from policywatch.db import listing

    if given is not None:
        return given
    row = await listing.change(db, number)
    if row is None:
        raise PolicyWatchError(
            f"There is no change C-{number}.", remedy="See: policywatch changes list --all"
        )
    return int(row["version"])


_version_option = click.option(
    "--version", "version", type=int, help="The version you read; refused when it moved on."
)


@changes.command()
@click.argument("change")
@click.argument("decision", type=click.Choice(["accepted", "no_effect", "bad_capture"]))
@click.option("--note", help="Why, for those who come after.")
@_version_option
@with_shell
async def verdict(shell: Shell, change: str, decision: str, note: str | None, version: int | None) -> None:
    """Decide a change: accepted, no_effect or bad_capture. `undo` takes it back."""
    from policywatch.db import acts

    number = number_of(change, "C")
    async with shell.database() as db:
        shell.outcome(
            await acts.decide_change(db, number, await _version(db, number, version), decision, note)
        )


@changes.command()
@click.argument("change")
@_version_option
@with_shell
async def undo(shell: Shell, change: str, version: int | None) -> None:
    """Take your verdict back; the change is undecided again."""
    from policywatch.db import acts

    number = number_of(change, "C")
    async with shell.database() as db:
        shell.outcome(await acts.undo_verdict(db, number, await _version(db, number, version)))


@changes.command()
@click.argument("change")
@click.argument("level", type=click.Choice(["none", "low", "medium", "high", "critical"]))
@click.option("--reason", required=True, help="Why the machine's severity is not right.")
@_version_option
@with_shell
async def severity(shell: Shell, change: str, level: str, reason: str, version: int | None) -> None:
    """Override the machine's severity."""
    from policywatch.db import acts

    number = number_of(change, "C")
    async with shell.database() as db:
        shell.outcome(await acts.set_severity(db, number, await _version(db, number, version), level, reason))


def until(text: str, now: datetime) -> datetime | None:
    """A time to come from `4h`, `1d`, `1w` or a date; `wake` is None. Refuses anything else."""
    if text == "wake":
        return None
    units = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
    try:
        if text[:-1].isdigit() and text[-1:] in units:
            return now + int(text[:-1]) * units[text[-1]]
        parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise UsageError(
            f'"{text}" is no time.', remedy="Write 4h, 1d, 1w, a date as 2026-12-24, or wake."
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@changes.command()
@click.argument("change")
@click.argument("time")
@_version_option
@with_shell
async def snooze(shell: Shell, change: str, time: str, version: int | None) -> None:
    """Hide an undecided change for a while: 4h, 1d, 1w, a date, or wake."""
    from policywatch.db import acts, listing

    number = number_of(change, "C")
    async with shell.database() as db:
        me = await listing.me(db)
        now = me["server_time"] if me else datetime.now(UTC)
        shell.outcome(
            await acts.snooze_change(db, number, await _version(db, number, version), until(time, now))
        )


@changes.command()
@click.argument("change")
@with_shell
async def take(shell: Shell, change: str) -> None:
    """Show the others that you look at it."""
    from policywatch.db import acts

    async with shell.database() as db:
        minutes = max(1, round(shell.settings.review.claim_for.total_seconds() / 60))
        shell.outcome(await acts.take_change(db, number_of(change, "C"), minutes))


@changes.command()
@click.argument("change")
@with_shell
async def release(shell: Shell, change: str) -> None:
    """You no longer look at it."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.release_change(db, number_of(change, "C")))
