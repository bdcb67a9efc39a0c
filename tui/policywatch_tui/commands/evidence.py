"""`policywatch documents captures|accept-capture|test|preview|reextract|export`: evidence, and what may be asked about it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from policywatch.errors import PartlyDone, PolicyWatchError, UsageError
from policywatch_tui.commands.asking import result_of
from policywatch_tui.commands.base import Shell, with_shell
from policywatch_tui.commands.document_names import find_document, split_name
from policywatch_tui.desk.clean import clean, clean_lines

if TYPE_CHECKING:
    from policywatch.db.pool import Database

__all__ = ["COMMANDS", "folder_name", "show_raw"]

_WAIT = click.option(
    "--wait", "seconds", default=120.0, show_default=True, help="Longest wait for the daemon, seconds."
)


@click.command(short_help="What came over the wire for a document.")
@click.argument("document")
@click.option("--suspect", is_flag=True, help="Only those that were kept and not believed.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@with_shell
async def captures(shell: Shell, document: str, suspect: bool, limit: int) -> None:
    """What came over the wire for a document, the newest first, and why it was or was not believed."""
    from policywatch.db import evidence

    async with shell.database() as db:
        row = await find_document(db, document)
        rows = await evidence.captures(db, row["id"], state="suspect" if suspect else None, limit=limit)
    shell.table(
        "captures",
        rows,
        ("id", "at", "state", "step", "status", "quality", "acceptable"),
        beneath=("url", "cause"),
        none=f"No suspect captures of {document}." if suspect else f"No captures of {document}.",
    )


@click.command("accept-capture", short_help="Take a suspect capture for the policy.")
@click.argument("capture", type=click.IntRange(min=1))
@with_shell
async def accept_capture(shell: Shell, capture: int) -> None:
    """Take a suspect capture for the new policy: its number is in `documents captures DOCUMENT --suspect`.

    Only the newest of at least two suspect ones in a row can be taken; the daemon compares it with the last text
    that was believed, and the change goes into the queue.
    """
    from policywatch.db import acts

    async with shell.database() as db:
        shell.outcome(await acts.accept_capture(db, capture))


@click.command("test", short_help="Fetch each page twice, show what is read.")
@click.argument("document")
@_WAIT
@with_shell
async def try_rule(shell: Shell, document: str, seconds: float) -> int:
    """Have the daemon fetch each page twice: the texts must agree and hold at least 100 characters.

    Shows what was selected and removed, passages that differ from fetch to fetch, and selectors that break easily.
    The exit code is 1 where a page failed its trial.
    """
    from policywatch.db import acts

    async with shell.database() as db:
        outcome = await acts.request_trial(db, *split_name(document))
        result = await result_of(db, outcome, seconds)
    pages = [dict(page) for page in result.get("pages", ())]
    if shell.as_json:
        shell.emit(result)
    else:
        for page in pages:
            _print_trial(page)
    return 0 if pages and all(page.get("trial") == "good" for page in pages) else 1


def _print_trial(page: Mapping[str, Any]) -> None:
    click.echo(clean(f"{page.get('trial', '?'):8} {page.get('url', '')}"))
    for name in ("cause", "characters", "removed", "preview"):
        if page.get(name) not in (None, "", 0):
            click.echo(clean_lines(f"  {name}: {page[name]}"))
    for name in ("warnings", "volatile"):
        for one in page.get(name) or ():
            click.echo(clean(f"  {name}: {one}"))


@click.command(short_help="What a further filter would have removed.")
@click.argument("document")
@click.option(
    "--filter", "filters", multiple=True, help="A named filter to add (policywatch config schema lists them)."
)
@click.option("--remove", "selectors", multiple=True, help="A CSS selector to cut out as well.")
@_WAIT
@with_shell
async def preview(
    shell: Shell, document: str, filters: tuple[str, ...], selectors: tuple[str, ...], seconds: float
) -> None:
    """What a further filter would have removed of the document's past changes; nothing is changed."""
    from policywatch.db import acts

    if not filters and not selectors:
        raise UsageError("There is nothing to try.", remedy="Say --filter NAME or --remove SELECTOR.")
    rule = {"add_filters": list(filters), "add_remove": list(selectors)}
    async with shell.database() as db:
        outcome = await acts.request_preview(db, *split_name(document), rule)
        result = await result_of(db, outcome, seconds)
    if shell.as_json:
        shell.emit(result)
    else:
        click.echo(
            clean(
                f"Would have removed {result.get('removed', 0)} of {result.get('changes', 0)} past changes,"
                f" {result.get('accepted', 0)} of them accepted by a person."
            )
        )


@click.command(short_help="Read kept captures again by today's rules.")
@click.argument("document")
@_WAIT
@with_shell
async def reextract(shell: Shell, document: str, seconds: float) -> None:
    """Read the kept captures of a document again by today's rules; what differs is technical, never a change."""
    from policywatch.db import acts

    async with shell.database() as db:
        outcome = await acts.request_reextract(db, *split_name(document))
        result = await result_of(db, outcome, seconds)
    if shell.as_json:
        shell.emit(result)
    else:
        click.echo(clean(", ".join(f"{name}: {value}" for name, value in result.items())))


@click.command(short_help="Write every snapshot into a folder.")
@click.argument("document")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@with_shell
async def export(shell: Shell, document: str, folder: Path) -> None:
    """Write every snapshot of a document as FOLDER/PLATFORM/NAME/TIME.md, as `policywatch import` reads them."""
    from policywatch.db import contents, evidence

    written: list[str] = []
    async with shell.database() as db:
        row = await find_document(db, document)
        place = folder / folder_name(row["platform_name"]) / folder_name(row["document_name"])
        place.mkdir(parents=True, exist_ok=True)
        for snapshot in await evidence.all_snapshots(db, row["id"]):
            text = await contents.fetch(db, bytes(snapshot["text_sha256"]), person=True)
            path = place / f"{snapshot['fetched_at']:%Y-%m-%dT%H-%M-%S}.md"
            while path.exists() and path.read_bytes() != text and str(path) in written:
                path = path.with_stem(path.stem + "-later")
            path.write_bytes(text)
            written.append(str(path))
            shell.say_step(f"{len(written)} versions written")
    if shell.as_json:
        shell.emit({"document": document, "folder": str(place), "versions": len(written)})
    else:
        click.echo(f"{len(written)} versions of {document} are in {place}.")


def folder_name(name: str) -> str:
    """A name of the database as that of one folder: no way up, nothing hidden, nothing that a terminal obeys."""
    plain = "".join(sign if sign.isprintable() and sign not in "/\\" else "-" for sign in name) or "-"
    return f"-{plain[1:]}" if plain.startswith(".") else plain


async def show_raw(
    shell: Shell, db: Database, document: Mapping[str, Any], snapshot: Mapping[str, Any]
) -> None:
    """Print the bytes behind a snapshot: as they are into a pipe, cleaned on a terminal, described as JSON."""
    from policywatch.db import contents, evidence

    pages = await evidence.captures_of_snapshot(db, document["id"], snapshot["id"])
    if not pages:
        raise PolicyWatchError(
            f"Behind this text of {document['platform']}/{document['document']} no page is kept"
            f" (its source is {snapshot['source']}).",
            remedy="Without --raw the text itself is shown.",
        )
    missing, shown = [], []
    for page in pages:
        if page["raw_sha256"] is None:
            missing.append(page["url"])
            continue
        body = await contents.fetch(db, bytes(page["raw_sha256"]), person=True)
        if shell.as_json:
            shown.append({**page, "body": body.decode("utf-8", "replace")})
        elif sys.stdout.isatty():
            click.echo(clean_lines(body.decode("utf-8", "replace")))
        else:
            sys.stdout.buffer.write(body)
    if shell.as_json:
        shell.emit({"snapshot": snapshot["id"], "pages": shown, "missing": missing})
    if missing:
        raise PartlyDone(f"The bytes of {len(missing)} pages are not kept: {', '.join(missing)}")


COMMANDS = (captures, accept_capture, try_rule, preview, reextract, export)
