"""`policywatch status`, `doctor`, `version`: how things are, and what is wrong."""

from __future__ import annotations

import asyncio
import platform
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import click

import policywatch
from policywatch.errors import PolicyWatchError
from policywatch_tui.commands.base import Shell, in_lines, json_option, with_shell
from policywatch_tui.commands.offline import offline_words

__all__ = ["doctor", "status", "version"]

_PLATFORM_COLUMNS = (
    *("platform", "documents", "ok", "failing", "blind", "never", "unreviewed", "last_good_at"),
    *("paused", "last_change_at"),
)
_TROUBLES = 10  # lines of documents; a host or a network that is away would fill screens


@click.command()
@json_option
@click.pass_obj
def version(shell: Shell) -> None:
    """The program's version, its Python, and the parts that matter."""
    from importlib.metadata import version as of

    parts = {name: of(name) for name in ("textual", "psycopg", "httpx", "pydantic")}
    if shell.as_json:
        shell.emit({"policywatch": policywatch.__version__, "python": platform.python_version(), **parts})
    else:
        click.echo(f"policywatch {policywatch.__version__} (Python {platform.python_version()})")
        click.echo("  ".join(f"{name} {number}" for name, number in parts.items()))


def _settings_lines(workers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What a daemon has to say of its settings: refused ones, and keys that wait for its next start."""
    for worker in workers:
        told = (worker["progress"] or {}).get("settings") or {}
        who = f"{worker['host']} pid {worker['pid']}"
        if told.get("fault"):
            yield f"settings refused by {who}, the last good ones hold: {told['fault']}"
        if told.get("needs_restart"):
            yield f"settings that wait for a restart of {who}: {', '.join(told['needs_restart'])}"


def _sources_line(platforms: Sequence[Mapping[str, Any]]) -> str:
    total = {name: sum(row[name] for row in platforms) for name in ("documents", "ok", "blind", "paused")}
    return (
        f"sources {total['ok']} of {total['documents'] - total['paused']} documents read as planned, "
        f"{total['blind']} blind, {total['paused']} paused"
    )


def _trouble(document: Mapping[str, Any]) -> str:
    """One line: which document, how it is, by which step it was read, why not now, when it is tried again."""
    blind = ""
    if document["blind_since"] is not None:
        pages = "" if document["pages"] == 1 else f", {document['pages_blind']} of {document['pages']} pages"
        blind = f", blind since {document['blind_since']:%Y-%m-%d %H:%M}{pages}"
    step = "" if document["step"] in (None, "none", "http") else f", read by {document['step']}"
    due = f"; next try {document['due_at']:%Y-%m-%d %H:%M}" if document["due_at"] else ""
    return f"{document['platform']}/{document['document']}: {document['state']}{blind}{step}, {document['cause']}{due}"


@click.command()
@with_shell
async def status(shell: Shell) -> None:
    """Platforms, queue, daemons, open alerts at a glance."""
    from policywatch.db import listing, steps_listing

    async with shell.database() as db:
        readable = await steps_listing.readable(db)
        facts = {row["key"]: row["value"] for row in await listing.config(db)}
        told: dict[str, Any] = {
            "platforms": await listing.platforms(db),
            "readable": readable.to_json(),
            "queue": await listing.queue_counts(db),
            "daemons": await listing.workers(db),
            "alerts": await listing.alerts(db, everything=False),
            "requests": await listing.requests(db),
            "digests": await listing.digests(db),
            "archives": await listing.archives(db),
            "troubled": [
                document
                for document in await listing.documents(db)
                if document["state"] not in ("ok", "never", "paused", "archived")
                or document["blind_since"] is not None
            ],
            "frozen": facts.get("frozen"),
            "frozen_reason": facts.get("frozen_reason"),
        }
    if shell.as_json:
        shell.emit(told)
        return
    more = "; why not the others: policywatch documents readable" if readable.why_not else ""
    for line in _first_lines(told, f"pages   {readable.sentence}{more}"):
        click.echo(in_lines(line))
    shell.table("platforms", told["platforms"], _PLATFORM_COLUMNS)
    for line in _last_lines(told):
        click.echo(in_lines(line, "  "))


def _first_lines(told: Mapping[str, Any], pages: str) -> Iterator[str]:
    """Whether anything is sent, who works, what is seen, what waits."""
    if told["frozen"]:
        yield f"FROZEN: nothing is sent ({told['frozen_reason'] or ''})."
    beating = ", ".join(f"{w['host']} pid {w['pid']}" for w in told["daemons"])
    yield "daemon  " + (beating or "silent: nothing is collected or sent (start it: policywatch daemon run)")
    yield from _settings_lines(told["daemons"])
    yield _sources_line(told["platforms"])
    yield pages
    counts = told["queue"]
    yield f"queue   {counts['undecided']} undecided, {counts['critical']} critical, {counts['snoozed']} snoozed"


def _last_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """One line for each alert, request, digest, archive and document in trouble; of the last only the first ones."""
    yield from (f"{alert['level']}: {alert['sentence']}" for alert in told["alerts"])
    for asked in told["requests"]:
        yield f"request {asked['id']} ({asked['kind']}) of {asked['requested_by']}: {asked['state']}"
    for digest in told["digests"]:
        why = f" ({digest['cause']})" if digest["cause"] else ""
        what = f"{digest['state']}, {digest['recipients']} mails{why}"
        yield f"digest of {digest['day']} for {digest['audience']}: {what}"
    for archive in told["archives"]:
        if archive["cause"]:
            yield f"archive {archive['repository']} failed {archive['failures']} times: {archive['cause']}"
    troubled = told["troubled"]
    yield from (_trouble(document) for document in troubled[:_TROUBLES])
    if len(troubled) > _TROUBLES:
        yield f"and {len(troubled) - _TROUBLES} more documents in trouble: policywatch documents list"
    if hint := offline_words(document["cause"] for document in troubled):
        yield hint


Finding = tuple[str, str, str]  # ok | warn | fault, what, remedy


async def _settings_findings(shell: Shell) -> AsyncIterator[Finding]:
    settings = shell.settings
    yield "ok", f"settings: {settings.source_path or 'shipped defaults'}", ""
    if settings.members.file is None:
        yield "warn", "members.file is empty: nothing can be mailed", "Name the members' CSV file."
    elif not settings.members.file.is_file():
        yield (
            "fault",
            f"members.file: {settings.members.file} is not there",
            "Put the file there or mend the path.",
        )
    if not settings.alerts.mail_to:
        yield (
            "warn",
            "alerts.mail_to is empty: operators are not mailed when a source goes blind",
            "Name their addresses.",
        )
    if settings.fetch.contact is None:
        yield "warn", "fetch.contact is empty: platforms cannot reach you", "Set it to an address or page."
    if shutil.which("git") is None:
        yield "warn", "git is not installed: archives cannot be imported", "Install git."


async def _render_findings(shell: Shell) -> AsyncIterator[Finding]:
    fetch = shell.settings.fetch
    if fetch.render == "off":
        yield "ok", "fetch.render is off: pages that need a browser are not read", ""
        return
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_unix_connection(fetch.render_socket)
        writer.close()
        yield "ok", f"the render service answers at {fetch.render_socket}", ""
        return
    except PermissionError:
        yield "ok", f"the render service is there; this account may not ask it ({fetch.render_socket})", ""
        return
    except (OSError, TimeoutError):
        pass
    lacking = [] if shutil.which("chromium") or shutil.which("google-chrome") else ["install chromium"]
    lacking += [] if find_spec("playwright") else ["pip install 'policywatch[render]'"]
    yield (
        "warn",
        f"no render service answers at {fetch.render_socket}: pages that need a browser are not read",
        "; ".join(
            [
                *lacking,
                f"{'then start' if lacking else 'Start'} policywatch-render (docs/operator.md, The browser),"
                " or set fetch.render: off",
            ]
        ),
    )


async def _mail_findings(shell: Shell) -> AsyncIterator[Finding]:
    mail = shell.settings.mail
    try:
        with socket.create_connection((mail.host, mail.port), timeout=3):
            yield "ok", f"mail relay {mail.host}:{mail.port} answers", ""
    except OSError as error:
        yield (
            "warn",
            f"mail relay {mail.host}:{mail.port}: {error.strerror or error}",
            "Check mail.host and mail.port.",
        )


async def _database_findings(shell: Shell) -> AsyncIterator[Finding]:
    from policywatch.db import connect, setup
    from policywatch.db import migrate as runner
    from policywatch.db import timescale as series

    settings = shell.settings
    if settings.database.mode == "embedded":
        state = connect.server(settings).status()
        yield (
            "ok" if state.state == "running" else "warn",
            f"embedded server: {state.state} {state.version} ({state.why})",
            ("" if state.state == "running" else "Start it: policywatch db start"),
        )
    conninfo = await asyncio.to_thread(
        connect.owner if settings.database.mode == "embedded" else connect.person, settings
    )
    schema = await setup.require_current(conninfo)
    yield "ok", f"schema {schema.have}", ""
    found = await series.edition(conninfo)
    yield (
        "ok",
        found.sentence,
        "More is possible here: policywatch migrate timescale"
        if found.convertible and settings.database.timescale != "off"
        else "",
    )
    for fault in await runner.verify(conninfo):
        yield "fault", fault, "See: policywatch migrate verify"


async def _work_findings(shell: Shell) -> AsyncIterator[Finding]:
    from policywatch.db import credentials, listing
    from policywatch_tui.commands.secrets import key_findings

    async with shell.database() as db:
        workers = await listing.workers(db)
        facts = {row["key"]: row["value"] for row in await listing.config(db)}
        if await credentials.key_versions(db):  # an administrator or auditor sees them
            async for finding in key_findings(shell.settings, db):
                yield finding
    if workers:
        yield "ok", f"daemon beats: {', '.join(w['host'] for w in workers)}", ""
    else:
        yield "warn", "no daemon beats", "Start it: policywatch daemon run, or systemctl start policywatch"
    if facts.get("frozen"):
        yield (
            "warn",
            "the system is frozen: nothing is sent",
            "Two people thaw it: policywatch publications thaw",
        )


_EXAMINERS: tuple[Callable[[Shell], AsyncIterator[Finding]], ...] = (
    _settings_findings,
    _render_findings,
    _mail_findings,
    _database_findings,
    _work_findings,
)


@click.command()
@with_shell
async def doctor(shell: Shell) -> int:
    """Examine the installation; each finding with a remedy. Exit 1 with a fault."""
    findings: list[Finding] = []
    for examine in _EXAMINERS:
        try:
            async for finding in examine(shell):
                findings.append(finding)
        except PolicyWatchError as error:
            findings.append(("fault", error.what, error.remedy))
            break  # what follows stands on this
    if shell.as_json:
        shell.emit({"findings": [dict(zip(("state", "what", "remedy"), f, strict=True)) for f in findings]})
    else:
        for state, what, remedy in findings:
            click.echo(in_lines(what, f"{state:<6} "))
            if remedy:
                click.echo(in_lines(remedy, " " * 7))
    return 1 if any(state == "fault" for state, _, _ in findings) else 0
