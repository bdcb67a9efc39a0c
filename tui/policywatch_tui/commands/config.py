"""`policywatch config`: whether the settings are right, what holds, the schema for editors, which file it is.

Faults of the file exit with 2, as they do before every other command; what the file names and is not there
(a secret, the members file) is a check that found faults: exit 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from policywatch.errors import SettingsError, UsageError
from policywatch_tui.commands.base import Shell, json_option, pass_shell
from policywatch_tui.commands.rule_warnings import rule_faults, rule_warnings, warning_lines
from policywatch_tui.desk.clean import clean_lines

if TYPE_CHECKING:
    from policywatch.settings import Settings

__all__ = ["config_group"]

_NAMED_ROWS = 20


@click.group("config")
def config_group() -> None:
    """Settings: check them, show what holds."""


@config_group.command()
@json_option
@pass_shell
@click.pass_context
def check(ctx: click.Context, shell: Shell) -> None:
    """Read the settings as every program does and say all that is wrong.

    Warns of selectors that will break soon; a warning is no fault.
    Exit codes: 0 right, 1 something that they name is missing or no selector, 2 a fault in the file.
    """
    from policywatch.settings import catalogue

    try:
        settings = shell.settings
    except SettingsError as error:
        if not shell.as_json:
            raise
        faults = getattr(error, "faults", (error,))
        shell.emit({"ok": False, "path": error.file or None, "faults": [_told(fault) for fault in faults]})
        ctx.exit(error.exit_code)
    missing = [*rule_faults(settings), *_missing(settings)]
    documents = list(catalogue(settings))
    counts = {
        "platforms": len(settings.platforms),
        "documents": len(documents),
        "pages": sum(len(document.pages) for document in documents),
        "segments": len(settings.segments),
    }
    path = str(settings.source_path) if settings.source_path else None
    warnings = rule_warnings(settings)
    if shell.as_json:
        told = {
            "faults": [_told(fault) for fault in missing],
            "warnings": [one.to_json() for one in warnings],
        }
        shell.emit({"ok": not missing, "path": path, "sha256": settings.sha256, **counts, **told})
    else:
        for line in warning_lines(warnings):
            click.echo(clean_lines(line), err=True)
        shell.say(f"{path or 'No settings file: the defaults hold'}")
        shell.say("  " + ", ".join(f"{count} {name}" for name, count in counts.items()))
        for fault in missing:
            click.echo(clean_lines(f"{fault.what}\n  {fault.remedy}"), err=True)
        if not missing:
            shell.say("No faults.")
    ctx.exit(1 if missing else 0)


@config_group.command()
@click.argument("section", required=False)
@json_option
@pass_shell
def show(shell: Shell, section: str | None) -> None:
    """The settings that hold, defaults and environment included; secrets by name alone.

    SECTION is one of the sections of policywatch.yaml, for example mail.
    """
    from policywatch.settings import as_yaml, effective

    holding = effective(shell.settings)
    if section is not None and section not in holding:
        raise UsageError(f'there is no section "{section}".', remedy=f"Sections: {', '.join(holding)}.")
    if shell.as_json:
        shell.emit(holding if section is None else {section: holding[section]})
        return
    click.echo(clean_lines(as_yaml(shell.settings, section)), nl=False)


@config_group.command()
@json_option
def schema() -> None:
    """The JSON Schema of policywatch.yaml, for editors (its first line refers to it)."""
    from policywatch.settings import schema_text

    click.echo(schema_text(), nl=False)


@config_group.command()
@json_option
@pass_shell
def path(shell: Shell) -> None:
    """Which settings file holds, and where one is looked for."""
    from policywatch.settings import find, places

    found = find(shell.config)
    looked = [str(place.absolute()) for place in places()]
    if shell.as_json:
        shell.emit({"path": str(found) if found else None, "places": looked})
    elif found:
        click.echo(clean_lines(str(found)))
    else:
        shell.say(f"None: the defaults hold. Looked for {', '.join(looked)}.")


def _missing(settings: Settings) -> list[SettingsError]:
    """What the settings name and is not there."""
    from policywatch.secrets import source_of
    from policywatch.settings import secret_references

    found: list[SettingsError] = []
    for key, reference in secret_references(settings):
        try:
            source_of(reference, settings)
        except SettingsError as error:
            found.append(SettingsError(f"{key}: {error.sentence}", remedy=error.remedy, key=key))
    return found + _members_faults(settings)


def _members_faults(settings: Settings) -> list[SettingsError]:
    """What is wrong with the members file: the whole of it, or rows that would be skipped."""
    from policywatch.guidance.members import parse_members

    path = settings.members.file
    if path is None:
        return []
    try:
        file = parse_members(path.read_text("utf-8"), settings.members.columns.model_dump())
    except FileNotFoundError:
        what, remedy = f"there is no file {path}", "Correct the path or put the file there."
    except OSError as error:
        what, remedy = (
            f"{path} cannot be read: {error.strerror}",
            "Correct the path or the rights of the file.",
        )
    except UnicodeDecodeError:
        what, remedy = f"{path} is not UTF-8", "Save the file as UTF-8."
    except UsageError as error:
        what, remedy = f"{path}: {error.what}", error.remedy
    else:
        remedy = "Mend the row; until then it is skipped, and the rest is used."
        rows = [f"{path}, {fault}" for fault in file.faults[:_NAMED_ROWS]]
        if len(file.faults) > _NAMED_ROWS:
            rows.append(f"{path}: {len(file.faults) - _NAMED_ROWS} further rows")
        return [SettingsError(f"members.file: {row}", remedy=remedy, key="members.file") for row in rows]
    return [SettingsError(f"members.file: {what}", remedy=remedy, key="members.file")]


def _told(fault: SettingsError) -> dict[str, object]:
    return {
        "file": fault.file or None,
        "line": fault.line,
        "column": fault.column,
        "key": fault.key or None,
        "what": fault.sentence,
        "remedy": fault.remedy,
    }
