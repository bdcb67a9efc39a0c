"""The command `policywatch-render`: the service that renders pages. Options, account, start and stop."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import signal
import sys
import tempfile
from pathlib import Path

import click

from policywatch.errors import UsageError
from policywatchd.collect.wall import Gate, system_resolver
from policywatchd.leaving import leave
from policywatchd.render.browser import Browser, Limits
from policywatchd.render.server import Server
from policywatchd.upkeep.notify import notify

__all__ = ["main"]

log = logging.getLogger("policywatch.render")

_ACCOUNT = "policywatch-render"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", type=click.Path(path_type=Path), help="The settings file, for its fetch.render_socket."
)
@click.option(
    "--socket", type=click.Path(path_type=Path), help="The socket to serve, instead of the settings'."
)
@click.option("--group-may-ask", is_flag=True, help="The socket is for the group too (mode 0660, else 0600).")
@click.option("--chromium", help="The browser's program; default: the first that the system has.")
@click.option("--memory", default=1536, show_default=True, help="MiB that the browser may take.")
@click.option("--recycle", default=50, show_default=True, help="Pages after which the browser is replaced.")
@click.option("--pages", default=2, show_default=True, help="Pages that are built at the same time.")
@click.option("--account", help="For root: the account to change to.")
@click.option(
    "--no-sandbox", is_flag=True, help="Only where the kernel gives no user namespaces, as in a container."
)
@click.option("--verbose", is_flag=True)
@click.version_option(package_name="policywatch")
def cli(
    config: Path | None,
    socket: Path | None,
    group_may_ask: bool,
    chromium: str | None,
    memory: int,
    recycle: int,
    pages: int,
    account: str | None,
    no_sandbox: bool,
    verbose: bool,
) -> None:
    """Render pages for the daemon, behind a wall, until SIGTERM. Needs no database."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    if min(memory, recycle, pages) < 1:
        raise UsageError("memory, recycle and pages must be at least 1.")
    path = socket or _of_settings(config)
    become_ordinary(account)
    limits = Limits(memory * 1024 * 1024, recycle)
    asyncio.run(
        serve(
            path,
            Browser(chromium, limits=limits, sandbox=not no_sandbox),
            pages=pages,
            mode=0o660 if group_may_ask else 0o600,
        )
    )


def _of_settings(config: Path | None) -> Path:
    from policywatch.settings import load

    return load(config).fetch.render_socket


def become_ordinary(account: str | None) -> None:
    """Root changes to the account (default policywatch-render) for good; anybody else stays who they are.

    Raises UsageError where root names no ordinary account: foreign scripts never run as root.
    """
    if os.geteuid() != 0:
        if account is not None:
            raise UsageError("Only root can change to another account.")
        return
    try:
        entry = pwd.getpwnam(account or _ACCOUNT)
    except KeyError:
        raise UsageError(
            f"A browser never runs as root, and there is no account {account or _ACCOUNT} to change to.",
            remedy=f"Make it (useradd --system {_ACCOUNT}), or name one with --account.",
        ) from None
    if entry.pw_uid == 0:
        raise UsageError("A browser never runs as root: name another account.")
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ["HOME"] = entry.pw_dir if os.access(entry.pw_dir, os.W_OK) else tempfile.gettempdir()
    if not os.access(sys.executable, os.X_OK):
        raise UsageError(
            f"The account {entry.pw_name} cannot reach {sys.executable}.",
            remedy="Install PolicyWatch where that account can read it (/opt/policywatch).",
        )


async def serve(socket: Path, browser: Browser, *, pages: int = 2, mode: int = 0o600) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(socket, browser, Gate(system_resolver, frozenset()), pages=pages, mode=mode)
    try:
        await server.start()
        notify("READY=1")
        log.info("render_started socket=%s", socket)
        await stopping.wait()
        notify("STOPPING=1")
    finally:
        await server.close()
        await browser.close()
    log.info("render_stopped rendered=%d", server.rendered)


def main(arguments: list[str] | None = None) -> None:
    """Run, and exit with the codes of the contract."""
    sys.exit(leave(cli, "policywatch-render", arguments))


if __name__ == "__main__":
    main()
