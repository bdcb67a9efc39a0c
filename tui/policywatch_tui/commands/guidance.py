"""`policywatch drafts` and `policywatch approvals`: guidance from accepted changes to a second person's yes."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from policywatch.errors import PolicyWatchError, UsageError
from policywatch_tui.commands.base import Shell, ask_at_terminal, number_of, with_shell
from policywatch_tui.desk.clean import clean, clean_lines

__all__ = ["approvals", "drafts"]


@click.group()
def drafts() -> None:
    """Drafts: guidance being written, from accepted changes."""


@drafts.command("list")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@with_shell
async def list_drafts(shell: Shell, everything: bool) -> None:
    """Drafts, the last touched first."""
    from policywatch.db import listing

    async with shell.database() as db:
        rows = await listing.drafts(db, everything=everything)
    shell.table(
        "drafts",
        [{"draft": f"G-{r['id']}", **r} for r in rows],
        ("draft", "state", "revision", "author", "segment", "changes"),
        beneath=("title",),
    )


async def _draft(db: Any, number: int) -> dict[str, Any]:
    from policywatch.db import listing

    row = await listing.draft(db, number)
    if row is None:
        raise PolicyWatchError(f"There is no draft G-{number}.", remedy="See: policywatch drafts list --all")
    return row


@drafts.command()
@click.argument("draft")
@with_shell
async def show(shell: Shell, draft: str) -> None:
    """The newest revision of a draft, with what it quotes."""
    from policywatch.db import listing

    number = number_of(draft, "G")
    async with shell.database() as db:
        row = await _draft(db, number)
        evidence = await listing.draft_evidence(db, number)
    if shell.as_json:
        shell.emit({"draft": f"G-{number}", **row, "evidence": evidence})
        return
    click.echo(
        f"G-{number}  {row['state']}  revision {row['revision']} by {row['editor']}  version {row['version']}"
    )
    click.echo(
        f"segment: {row['segment'] or '-'}   rests on: {', '.join(f'C-{c}' for c in row['changes'] or ()) or '-'}"
    )
    if row["returned_reason"] and row["state"] == "open":
        click.echo(f"returned: {clean(row['returned_reason'])}")
    click.echo(f"subject: {clean(row['subject'])}\n\n{clean_lines(row['body_text'])}")


@drafts.command()
@click.argument("change", nargs=-1, required=True)
@click.option("--title", help="Default: from the changes.")
@click.option("--segment", help="Whom it is for; can be named at submit.")
@with_shell
async def new(shell: Shell, change: tuple[str, ...], title: str | None, segment: str | None) -> None:
    """A draft from accepted changes, by the template, with quoted evidence."""
    from policywatch_tui.drafting import open_draft

    numbers = [number_of(c, "C") for c in change]
    async with shell.database() as db:
        shell.outcome(await open_draft(db, numbers, title=title, segment=segment))


@drafts.command()
@click.argument("draft")
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the text from a file instead of $EDITOR; - is standard input.",
)
@click.option("--version", "version", type=int, help="The version you read.")
@with_shell
async def edit(shell: Shell, draft: str, file: Path | None, version: int | None) -> None:
    """Edit the text in $EDITOR (first line: "Subject: ..."); a new revision, which voids an approval."""
    from policywatch.db import acts
    from policywatch_tui.drafting import as_sheet, from_sheet

    number = number_of(draft, "G")
    async with shell.database() as db:
        row = await _draft(db, number)
        sheet = as_sheet(row["subject"], row["body_text"])
        kept: Path | None = None
        if file is not None:
            text = _read(file)
        else:
            text, kept = _by_editor(sheet, shell.settings.database.state_folder / "editing")
        if text == sheet:
            shell.say("Nothing was changed.")
            return
        subject, body, html = from_sheet(text)
        outcome = await acts.revise_draft(
            db, number, row["version"] if version is None else version, subject=subject, text=body, html=html
        )
    if kept is not None:
        kept.unlink(missing_ok=True)  # only now: a text that was refused is not lost
    shell.outcome(outcome)


def _read(file: Path) -> str:
    """A text from a file, or from standard input for `-`."""
    try:
        if str(file) == "-":
            return sys.stdin.read()
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.", remedy="Name a UTF-8 text file.") from error


def _by_editor(sheet: str, folder: Path) -> tuple[str, Path | None]:
    """The sheet after the person's editor, and the private file that holds it until it is stored."""
    from policywatch_tui.editing import edit

    answer = edit(sheet, folder, os.environ, contextlib.nullcontext)
    return (sheet, None) if answer is None else answer


@drafts.command()
@click.argument("draft")
@click.option("--segment", help="Whom it is for; see: policywatch members segments.")
@click.option("--version", "version", type=int, help="The version you read.")
@with_shell
async def submit(shell: Shell, draft: str, segment: str | None, version: int | None) -> None:
    """Ask a second person to approve it for a segment."""
    from policywatch.db import acts

    number = number_of(draft, "G")
    async with shell.database() as db:
        row = await _draft(db, number)
        whom = segment or row["segment"]
        if not whom:
            raise UsageError(
                "The draft names no segment.", remedy="Add --segment NAME; see: policywatch members segments"
            )
        shell.outcome(
            await acts.submit_draft(db, number, row["version"] if version is None else version, whom)
        )


@drafts.command()
@click.argument("draft")
@with_shell
async def preview(shell: Shell, draft: str) -> None:
    """The mail as it would be sent, to a pretend member."""
    from policywatch_tui.drafting import preview_mail

    async with shell.database() as db:
        row = await _draft(db, number_of(draft, "G"))
    mail = preview_mail(shell.settings, row)
    if shell.as_json:
        shell.emit({"mail": mail})
    else:
        click.echo(clean_lines(mail))


@drafts.command()
@click.argument("draft")
@with_shell
async def close(shell: Shell, draft: str) -> None:
    """Give an open draft up; it stays readable."""
    from policywatch.db import acts

    number = number_of(draft, "G")
    async with shell.database() as db:
        shell.outcome(await acts.close_draft(db, number, (await _draft(db, number))["version"]))


@click.group()
def approvals() -> None:
    """Approval requests: the question to a second person."""


@approvals.command("list")
@click.option("--all", "everything", is_flag=True, help="Decided ones too.")
@with_shell
async def list_approvals(shell: Shell, everything: bool) -> None:
    """What waits for a yes; `mine` marks those that you wrote or edited and cannot approve."""
    from policywatch.db import listing

    async with shell.database() as db:
        rows = await listing.approvals(db, everything=everything)
    shell.table(
        "approvals",
        [{"approval": f"A-{r['id']}", "draft": f"G-{r['draft_id']}", **r} for r in rows],
        (
            "approval",
            "draft",
            "state",
            "author",
            "mine",
            "segment",
            "recipient_count",
            "approvals_given",
            "approvals_needed",
        ),
        beneath=("title",),
    )


async def _approval(db: Any, number: int) -> dict[str, Any]:
    from policywatch.db import listing

    row = await listing.approval(db, number)
    if row is None:
        raise PolicyWatchError(
            f"There is no approval request A-{number}.", remedy="See: policywatch approvals list --all"
        )
    return row


@approvals.command("show")
@click.argument("approval")
@with_shell
async def show_approval(shell: Shell, approval: str) -> None:
    """Exactly what a yes would sign."""
    number = number_of(approval, "A")
    async with shell.database() as db:
        row = await _approval(db, number)
    if shell.as_json:
        shell.emit({"approval": f"A-{number}", **row})
        return
    count = row["recipient_count"]
    click.echo(
        f"A-{number}  G-{row['draft_id']} revision {row['revision']} by {row['author']}  {row['state']}  version {row['version']}"
    )
    click.echo(f"you sign  sha256 {row['content_hash'].hex()}")
    click.echo(
        f"to        {clean(row['segment_name'])} (v{row['segment_version']}): "
        + (
            f"{count} recipients, {row['suppressed_count']} suppressed"
            if count is not None
            else clean(row["count_fault"] or "not counted yet")
        )
    )
    click.echo(
        f"sends     {row['grace_period']} after the approval   approvals {row['approvals_given']} of {row['approvals_needed']}"
    )
    click.echo(f"subject   {clean(row['subject'])}\n\n{clean_lines(row['body_text'])}")


@approvals.command()
@click.argument("approval")
@click.option("--count", type=int, help="The number of recipients that you were shown.")
@click.option("--sha256", help="The content hash that you were shown (whole).")
@click.option("--version", "version", type=int, help="The version you read.")
@with_shell
async def approve(
    shell: Shell, approval: str, count: int | None, sha256: str | None, version: int | None
) -> None:
    """Say yes as the second person. Without --count it shows what is signed and asks for the number."""
    from policywatch.db import acts

    number = number_of(approval, "A")
    async with shell.database() as db:
        row = await _approval(db, number)
        if count is None:
            click.echo(
                f"A-{number}: {clean(row['subject'])}\nto {row['recipient_count']} recipients ({clean(row['segment_name'])})",
                err=True,
            )
            ask_at_terminal("Add --count with the number of recipients that you were shown.")
            count = click.prompt("Type the number of recipients to approve", type=int, err=True)
        try:
            digest = bytes.fromhex(sha256) if sha256 else row["content_hash"]
        except ValueError:
            raise UsageError(
                f'"{sha256}" is no SHA-256 in hex.', remedy="See: policywatch approvals show"
            ) from None
        outcome = await acts.approve_request(
            db, number, row["version"] if version is None else version, digest, count or 0
        )
    shell.outcome(outcome)


@approvals.command("return")
@click.argument("approval")
@click.option("--reason", required=True, help="What the author should change.")
@click.option("--version", "version", type=int, help="The version you read.")
@with_shell
async def return_approval(shell: Shell, approval: str, reason: str, version: int | None) -> None:
    """Say no, with a reason; the draft is open again."""
    from policywatch.db import acts

    number = number_of(approval, "A")
    async with shell.database() as db:
        row = await _approval(db, number)
        shell.outcome(
            await acts.return_request(db, number, row["version"] if version is None else version, reason)
        )
