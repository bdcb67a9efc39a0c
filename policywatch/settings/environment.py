"""Environment variables that set settings: POLICYWATCH_MAIL__PORT=2525 is `mail.port`.

A name that means nothing here is a fault, since a misspelt override would otherwise be ignored in silence.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from policywatch.errors import SettingsError
from policywatch.settings.faults import model_at, nearest
from policywatch.settings.nodes import Node, read_text

__all__ = ["NOT_SETTINGS", "PREFIX", "overlay", "values"]

PREFIX = "POLICYWATCH_"
DATABASE_URL = "POLICYWATCH_DATABASE_URL"
#: Names with our prefix that are read elsewhere: no settings.
NOT_SETTINGS = {
    "POLICYWATCH_CONFIG": "path of the settings file",
    "POLICYWATCH_CORPUS": "policy history that tests read",
}
#: Prefixes of names that are no settings: values of secrets, and what tests need.
NOT_SETTINGS_PREFIXES = ("POLICYWATCH_SECRET_", "POLICYWATCH_TEST_")


def values(env: Mapping[str, str]) -> dict[str, str]:
    """The variables that mean settings; empty ones count as not set."""
    return {
        name: value
        for name, value in env.items()
        if name.startswith(PREFIX)
        and value != ""
        and name not in NOT_SETTINGS
        and not name.startswith(NOT_SETTINGS_PREFIXES)
    }


def overlay(env: Mapping[str, str], model: type[BaseModel]) -> tuple[Node, list[SettingsError]]:
    """The environment as a node to lay over the file's, and a fault for each name that is no setting.

    Values are read like the YAML behind a key, so lists and references work: `[a@b.example, c@d.example]`,
    `{secret: smtp-password}`. A connection string given here chooses `database.mode: dsn` by itself.
    """
    root = Node({}, "environment", 0, 0)
    faults: list[SettingsError] = []
    for name, text in sorted(values(env).items()):
        place = ["database", "dsn"] if name == DATABASE_URL else name.removeprefix(PREFIX).lower().split("__")
        file = f"environment variable {name}"
        fault = _unknown(place, name, file, model)
        if fault is not None:
            faults.append(fault)
            continue
        _set(root, place, _read(text, file))
    database = root.value.get("database")
    if database is not None and "dsn" in database.value and "mode" not in database.value:
        database.value["mode"] = Node("dsn", database.value["dsn"].file, 0, 0)
    return root, faults


def _read(text: str, file: str) -> Node:
    """The value as YAML where it is a list, a mapping or a plain scalar, else the text as it is."""
    if "://" in text:
        return Node(text, file, 0, 0)
    try:
        node = read_text(text, file)
    except SettingsError:
        return Node(text, file, 0, 0)
    if isinstance(node.value, dict) and not text.lstrip().startswith("{"):
        return Node(text, file, 0, 0)  # "a: b" is a text here, not a mapping
    return _without_lines(node)


def _without_lines(node: Node) -> Node:
    """The node without line numbers: a variable has none worth naming."""
    value = node.value
    if isinstance(value, dict):
        value = {key: _without_lines(child) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_without_lines(child) for child in value]
    return Node(value, node.file, 0, 0)


def _set(root: Node, place: list[str], node: Node) -> None:
    mapping = root.value
    for step in place[:-1]:
        child = mapping.setdefault(step, Node({}, node.file, 0, 0))
        if not isinstance(child.value, dict):
            child = mapping[step] = Node({}, node.file, 0, 0)
        mapping = child.value
    mapping[place[-1]] = node


def _unknown(place: list[str], name: str, file: str, model: type[BaseModel]) -> SettingsError | None:
    """A fault when a step of the place is no field; keys of mappings (platforms, segments) are free."""
    known: list[str] = []
    for length, step in enumerate(place):
        owner = model_at(model, place[:length])
        if owner is None:
            continue
        known = list(owner.model_fields)
        if step not in known:
            break
    else:
        return None
    near = nearest(step, known)
    names = [PREFIX + "__".join([*place[:length], field]).upper() for field in ([near] if near else known)]
    if length == 0 and (whole := nearest(name, [*NOT_SETTINGS, DATABASE_URL])) and len(place) == 1:
        names = [whole]
    listed = f"Did you mean {names[0]}?" if len(names) == 1 else f"Known there: {', '.join(names)}."
    return SettingsError(f"{name} is no setting", file=file, key=".".join(place), remedy=listed)
