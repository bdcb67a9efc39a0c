"""Commands as the documents write them: found in their fenced blocks, and read by the program's own options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from policywatch_tui.main import cli

__all__ = ["Written", "fault_of", "subcommands", "written"]

_BLOCK = re.compile(r"^ *```console(?P<run> run)?\n(?P<text>.*?)^ *```", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"\s+# exit (\d+)$")


@dataclass(frozen=True, slots=True)
class Written:
    """One line `$ policywatch ...` of a document. `run`: it stands in a block that is to be carried out."""

    page: str
    line: int
    text: str
    exit_code: int
    run: bool

    @property
    def arguments(self) -> list[str]:
        """What follows the program's name."""
        return shlex.split(self.text)[1:]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def written(page: Path) -> Iterator[Written]:
    """Every command of a page's console blocks, in order."""
    text = page.read_text("utf-8")
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start("text")) + 1
        for number, line in enumerate(block["text"].splitlines(), first):
            command = line.strip()
            if command.startswith("$ "):
                code = _EXIT.search(command)
                yield Written(
                    page.name,
                    number,
                    _EXIT.sub("", command)[2:],
                    int(code[1]) if code else 0,
                    block["run"] is not None,
                )


def fault_of(arguments: Sequence[str]) -> str:
    """Why the program would not take these arguments; empty when it would. Nothing is carried out."""
    command: click.Command = cli
    context = click.Context(cli, info_name="policywatch")
    rest = list(arguments)
    try:
        while True:
            values, rest, _ = command.make_parser(context).parse_args(rest)
            if not isinstance(command, click.Group):
                break
            if not rest:
                return "" if command.invoke_without_command else f"{command.name} needs a command"
            name, rest = rest[0], rest[1:]
            found = command.get_command(context, name)
            if found is None:
                return f"there is no command {name}"
            command, context = found, click.Context(found, info_name=name, parent=context)
        if rest:
            return f"too many arguments: {' '.join(rest)}"
        return _missing_or_wrong(command, context, values)
    except click.UsageError as error:
        return error.format_message()


def _missing_or_wrong(command: click.Command, context: click.Context, values: dict[str, object]) -> str:
    for parameter in command.params:
        value = values.get(parameter.name or "")
        given = [
            one for one in (value if isinstance(value, list | tuple) else [value]) if isinstance(one, str)
        ]
        if parameter.required and not given:
            return f"{parameter.name} is missing"
        if isinstance(parameter.type, click.Choice):
            for one in given:
                parameter.type.convert(one, parameter, context)
    return ""


def subcommands() -> dict[str, frozenset[str]]:
    """Every command of the program, with the commands below it."""
    context = click.Context(cli, info_name="policywatch")
    found = {}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        below = command.list_commands(context) if isinstance(command, click.Group) else ()
        found[name] = frozenset(below)
    return found
