"""The command `policywatch`: without an argument the desk, else one command of `commands/`.

Commands are imported when they are named, so that the desk and `--help` stay quick.
"""

from __future__ import annotations

import importlib
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from policywatch_tui.commands.base import Shell, run_guarded

__all__ = ["main"]

# noun -> (module, attribute, one line of help); the order is the order of `--help`.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("demo", "demo", "the whole story on a simulated web"),
    "init": ("init", "init", "first installation"),
    "status": ("status", "status", "platforms, queue, daemons, alerts at a glance"),
    "doctor": ("status", "doctor", "check the installation, with remedies"),
    "version": ("status", "version", "versions of the program and its database"),
    "config": ("config", "config_group", "check, show and explain the settings"),
    "db": ("db", "db", "the embedded database: start stop status dsn psql"),
    "migrate": ("db", "migrate", "the schema: up down status verify timescale rls"),
    "daemon": ("daemon", "daemon", "run | once (same as policywatchd)"),
    "check": ("daemon", "check", "look at the platforms now"),
    "import": ("importing", "import_source", "history from a git archive, dated files, CSV or WARC"),
    "documents": ("documents", "documents", "list readable show history search test captures ..."),
    "compare": ("compare", "compare", "two texts, as PolicyWatch reads them"),
    "changes": ("changes", "changes", "list show verdict undo severity snooze take release"),
    "drafts": ("guidance", "drafts", "list show new edit submit close"),
    "approvals": ("guidance", "approvals", "list show approve return"),
    "publications": ("publications", "publications", "list show withdraw pause resume stop thaw"),
    "members": ("publications", "members", "segments"),
    "users": ("people", "users", "add list role disable password"),
    "sessions": ("people", "sessions", "list end"),
    "credentials": ("credentials", "credentials", "set list test rotate remove"),
    "secrets": ("secrets", "secrets", "doctor rotate"),
    "audit": ("audit", "audit", "list verify export anchor"),
    "alerts": ("alerts", "alerts", "list ack"),
    "backup": ("backup", "backup", "create list restore"),
    "metrics": ("metrics", "metrics", "print the exposition"),
    "bench": ("bench", "bench", "collect database storage"),
}


class LazyCommands(click.Group):
    """A group whose members are imported at their first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, attribute, _ = entry
        loaded: Any = getattr(importlib.import_module(f"policywatch_tui.commands.{module}"), attribute)
        assert isinstance(loaded, click.Command)
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name; where there is none, the nearest name is asked about."""
        if args[0] not in COMMANDS and (near := get_close_matches(args[0], COMMANDS, 1)):
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(
    cls=LazyCommands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--config", "config", type=click.Path(path_type=Path), help="The settings file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.option("--plain", is_flag=True, help="No colours, no progress.")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, as_json: bool, plain: bool) -> None:
    """PolicyWatch: what the platforms changed, what it means, and guidance that goes out once, approved.

    Without a command it opens the desk. Exit codes: 0 done, 1 the answer is no, 2 usage or configuration,
    3 somebody else decided first, 4 not allowed, 5 a needed service is away, 6 partly done, 130 interrupted.
    """
    ctx.obj = Shell(config=config, as_json=as_json, plain=plain)
    if ctx.invoked_subcommand is None:
        from policywatch_tui.commands.opening import open_desk

        ctx.exit(open_desk(ctx.obj))


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit by the contract of exit codes."""
    sys.exit(run_guarded(cli, argv))


if __name__ == "__main__":
    main()
