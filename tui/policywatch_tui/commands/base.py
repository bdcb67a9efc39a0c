"""What every command shares: settings, a connection as the person, output as text or JSON, exit codes.

Not here: any rule of the field. A command reads a view or performs an act and shows the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import sys
import textwrap
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from policywatch.errors import PolicyWatchError, UsageError
from policywatch_tui.desk.clean import clean, clean_lines, escaped

if TYPE_CHECKING:
    from policywatch.db.pool import Database, Outcome
    from policywatch.settings import Settings

__all__ = [
    "Shell",
    "ask_at_terminal",
    "in_lines",
    "json_option",
    "number_of",
    "pass_shell",
    "plain_value",
    "run_guarded",
    "with_shell",
]

_SHORT = 20  # cells; a wider column holds text, whose beginning says something

P = ParamSpec("P")
R = TypeVar("R")


def plain_value(value: object) -> object:
    """A value as JSON has it: times ISO 8601 in UTC, intervals in seconds, bytes in hex."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, uuid.UUID | Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): plain_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_value(v) for v in value]
    return value


def _cell(value: object) -> str:
    """One cell of a table: short, on one line, cleaned of control characters."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
    if isinstance(value, timedelta):
        return f"{int(value.total_seconds())} s"
    if isinstance(value, bytes):
        return value.hex()[:12]
    if isinstance(value, list | tuple):
        return ", ".join(_cell(v) for v in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{clean(str(key))}: {_cell(one)}" for key, one in value.items()) or "-"
    return clean(" ".join(str(value).split()))


def _width() -> int | None:
    """Cells of the terminal; None where stdout is no terminal."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else None


def _fitting(widths: list[int], columns: Sequence[str], limit: int | None) -> list[int]:
    """The columns that have room: half a date misleads, only the beginning of a longer text is worth its cells."""
    if limit is None:
        return widths
    start = 0
    for place, width in enumerate(widths):
        if start + width > limit and place and (width <= _SHORT or start + len(columns[place]) > limit):
            return widths[:place]
        start += width + 2
    return widths


def in_lines(text: str, indent: str = "") -> str:
    """The text, cleaned; on a terminal in lines of its width that end between words."""
    whole, width = indent + clean(text), _width()
    if width is None or len(whole) <= width:
        return whole
    return textwrap.fill(
        whole,
        max(40, width),
        subsequent_indent=" " * len(indent) + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


@dataclass
class Shell:
    """The surroundings of one command: the global options, and what is made of them when first asked for."""

    config: Path | None = None
    as_json: bool = False
    plain: bool = False
    command: str = ""
    _settings: Settings | None = field(default=None, repr=False)

    @property
    def settings(self) -> Settings:
        """The settings, loaded once; a fault is a SettingsError (exit 2)."""
        if self._settings is None:
            from policywatch.settings import load

            self._settings = load(self.config)
        return self._settings

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """A connection as the person, with a session row that ends with the command."""
        from policywatch.db import acts, connect
        from policywatch.db.pool import Database
        from policywatch_tui.commands.opening import prepare

        await prepare(self.settings, self.say_step)
        conninfo = await asyncio.to_thread(connect.person, self.settings, ask=sys.stdin.isatty())
        session = uuid.uuid4()
        async with await Database.open(
            conninfo, max_size=2, application="policywatch", session=session
        ) as db:
            await acts.open_session(db, session, "command", self.command)
            try:
                yield db
            finally:
                with contextlib.suppress(PolicyWatchError):
                    await acts.close_session(db, session)

    def say(self, sentence: str) -> None:
        """A sentence for the person: on stdout as text, on stderr beside JSON."""
        click.echo(clean(sentence), err=self.as_json)

    def say_step(self, sentence: str) -> None:
        """A step of work that takes time: on stderr of a terminal, else nowhere."""
        if self.on_terminal():
            click.echo(clean(sentence), err=True)

    def emit(self, payload: Mapping[str, object]) -> None:
        """One JSON object on stdout."""
        text = json.dumps(plain_value(payload), ensure_ascii=False, indent=None if self.plain else 2)
        click.echo(escaped(text))

    def table(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[str],
        *,
        beneath: Sequence[str] = (),
        none: str = "",
    ) -> None:
        """A listing: JSON holds every column of the rows, text the named ones that the terminal has room for.

        What is in `beneath` is long and matters: on a terminal it stands whole under its row, in a pipe it is the
        last columns. `none` is said of an empty listing.
        """
        if self.as_json:
            self.emit({name: [dict(r) for r in rows]})
            return
        if not rows:
            click.echo(none or f"No {name}.")
            return
        limit = _width()
        if limit is None:
            columns, beneath = (*columns, *beneath), ()
        cells = [[_cell(r.get(c)) for c in columns] for r in rows]
        widths = [max(len(c), *(len(row[i]) for row in cells)) for i, c in enumerate(columns)]
        widths = _fitting(widths, columns, limit)
        counts = {c for c in columns if all(type(r.get(c)) is int for r in rows)}
        for place, line in enumerate([list(columns), *cells]):
            placed = zip(line, widths, columns, strict=False)
            text = "  ".join(t.rjust(w) if c in counts else t.ljust(w) for t, w, c in placed).rstrip()
            click.echo(text[:limit])
            long = [_cell(rows[place - 1][c]) for c in beneath if rows[place - 1].get(c)] if place else []
            if long:
                click.echo(in_lines(": ".join(long), "    "))

    def outcome(self, outcome: Outcome) -> None:
        """The answer of an act that was done (a refused one was raised)."""
        if self.as_json:
            self.emit(
                {
                    "ok": outcome.ok,
                    "sentence": outcome.sentence,
                    "version": outcome.version,
                    "id": outcome.id,
                }
            )
        else:
            click.echo(clean(outcome.sentence))

    def on_terminal(self) -> bool:
        """Progress may be drawn on stderr."""
        return sys.stderr.isatty() and not self.plain


pass_shell = click.make_pass_decorator(Shell)


def json_option(command: Callable[..., R]) -> Callable[..., R]:
    """`--json` is understood after the command too, as people write it."""

    def set_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.ensure_object(Shell).as_json = True

    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=set_json,
        help="Print one JSON object instead of text.",
    )(command)


def with_shell(body: Callable[..., Awaitable[int | None]]) -> Callable[..., None]:
    """Make a click callback of an async body `(shell, ...) -> exit code or None`."""

    @functools.wraps(body)
    def call(*args: Any, **kwargs: Any) -> None:
        ctx = click.get_current_context()
        shell = ctx.ensure_object(Shell)
        shell.command = ctx.command_path

        async def started() -> int | None:
            return await body(shell, *args, **kwargs)

        code = asyncio.run(started())
        if code:
            ctx.exit(code)

    return json_option(call)


def ask_at_terminal(remedy: str) -> None:
    """Before a question: UsageError where nobody can answer it."""
    if not sys.stdin.isatty():
        raise UsageError("Nobody is at a terminal to answer; nothing was done.", remedy=remedy)


def number_of(text: str, letter: str) -> int:
    """The number in `C-12`, `c12` or `12`; letter is the kind expected (C, G, A, P)."""
    bare = text.strip().upper().removeprefix(letter).removeprefix("-")
    if not (bare.isascii() and bare.isdigit()):
        raise UsageError(f'"{text}" is no number of that kind.', remedy=f"Write it as {letter}-12 or 12.")
    return int(bare)


def run_guarded(command: click.Command, argv: list[str] | None) -> int:
    """Run a click command; errors become a sentence on stderr and the exit code of the contract."""
    try:
        result = command.main(args=argv, prog_name="policywatch", standalone_mode=False)
    except PolicyWatchError as error:
        click.echo(clean_lines(error.what), err=True)
        if error.remedy:
            click.echo(clean_lines(error.remedy), err=True)
        return error.exit_code
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130
    except BrokenPipeError:
        # The reader of a pipe left (head, less): not a fault; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0
