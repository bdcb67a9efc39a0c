"""`policywatch documents`: what is watched, how it is, and what it said."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from policywatch.errors import PolicyWatchError, UsageError
from policywatch_tui.commands import evidence
from policywatch_tui.commands.base import Shell, with_shell
from policywatch_tui.commands.document_names import find_document, split_name
from policywatch_tui.commands.readable import readable
from policywatch_tui.desk.clean import clean_lines

_HEALTH = (
    *("state", "step", "blind_since", "last_good_at", "last_visit_at", "last_change_at"),
    *("failing_since", "due_at"),
)

__all__ = ["documents", "split_name"]


@click.group()
def documents() -> None:
    """Documents: the policies that are watched."""


for _command in (*evidence.COMMANDS, readable):
    documents.add_command(_command)


@documents.command("list", short_help="Every document, how it is, and why.")
@click.option("--platform", help="One platform, by key.")
@click.option("--pages", "by_page", is_flag=True, help="Page by page.")
@with_shell
async def list_documents(shell: Shell, platform: str | None, by_page: bool) -> None:
    """Every document (or page): state, since when blind, step of the ladder, last looks, next try, cause of trouble."""
    from policywatch.db import listing

    async with shell.database() as db:
        if by_page:
            rows = await listing.all_pages(db, platform)
            shell.table("pages", rows, ("platform", "document", *_HEALTH), beneath=("url", "cause"))
            return
        rows = await listing.documents(db, platform)
    none = f"No documents of {platform}; policywatch status lists the platforms." if platform else ""
    shell.table("documents", rows, ("platform", "document", *_HEALTH), beneath=("cause",), none=none)


@documents.command(short_help="The text of a document, now or at a time.")
@click.argument("document")
@click.option("--at", help="The text believed at that time (ISO 8601), default now.")
@click.option(
    "--raw", is_flag=True, help="The bytes as they came over the wire, of the pages behind that text."
)
@with_shell
async def show(shell: Shell, document: str, at: str | None, raw: bool) -> None:
    """The text of a document, now or at a time; with --raw the pages it was read from."""
    from policywatch.db import contents, listing

    try:
        moment = datetime.fromisoformat(at) if at else None
    except ValueError:
        raise UsageError(
            f'"{at}" is no time.', remedy="Write it as 2026-11-27 or 2026-11-27T12:00:00Z."
        ) from None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    async with shell.database() as db:
        row = await find_document(db, document)
        snapshot = await listing.snapshot_at(db, row["id"], moment)
        if snapshot is None:
            raise _nothing_then(document, at)
        if raw:
            await evidence.show_raw(shell, db, row, snapshot)
            return
        text = await contents.fetch_text(db, bytes(snapshot["text_sha256"]), person=True)
        pages = await listing.pages(db, row["id"])
    if shell.as_json:
        shell.emit({**row, "snapshot": snapshot, "pages": pages, "text": text})
    else:
        click.echo(clean_lines(text))


def _nothing_then(document: str, at: str | None) -> PolicyWatchError:
    if at is None:
        return PolicyWatchError(
            f"There is no snapshot of {document}: it was never read well.",
            remedy=f"Look now: policywatch check {document}",
        )
    return PolicyWatchError(
        f"There is no snapshot of {document} from then.",
        remedy=f"See: policywatch documents history {document}",
    )


@documents.command()
@click.argument("document")
@click.option("--limit", default=100, show_default=True)
@with_shell
async def history(shell: Shell, document: str, limit: int) -> None:
    """Snapshots of a document, the newest first."""
    from policywatch.db import listing

    async with shell.database() as db:
        row = await find_document(db, document)
        rows = await listing.snapshots(db, row["id"], limit)
    shell.table(
        "snapshots",
        rows,
        ("id", "fetched_at", "source", "kind", "partial", "text_sha256"),
        none=f"No snapshots of {document}: it was never read well.",
    )


@documents.command(short_help="Documents whose newest text holds words.")
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", default=50, show_default=True)
@with_shell
async def search(shell: Shell, words: tuple[str, ...], limit: int) -> None:
    """Documents whose newest text holds the words ("quoted" for a phrase, -word to exclude)."""
    from policywatch.db import listing

    async with shell.database() as db:
        rows = await listing.search(db, " ".join(words), limit)
    shell.table(
        "documents", rows, ("platform", "document", "rank", "snapshot_id"), none="No text holds that."
    )


@documents.command()
@click.argument("document")
@click.option("--reason", required=True, help="Why nobody looks at it for now.")
@with_shell
async def pause(shell: Shell, document: str, reason: str) -> None:
    """Stop looking at a document, with a reason."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.pause_document(db, *split_name(document), reason))


@documents.command()
@click.argument("document")
@with_shell
async def resume(shell: Shell, document: str) -> None:
    """Look at a paused document again."""
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.pause_document(db, *split_name(document), None))
