"""Faults of validation as sentences: place, key, what was expected, remedy."""

from __future__ import annotations

import collections.abc
import difflib
import re
import types
import typing
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from policywatch.errors import SettingsError
from policywatch.settings.nodes import Node
from policywatch.settings.quantities import format_duration, format_size

__all__ = ["SettingsFaults", "faults_of", "nearest", "raised"]

SHOWN = 20


class SettingsFaults(SettingsError):
    """All faults of the settings at once: the first is the sentence, the others stand in the remedy.

    `faults` holds each of them with its own place, for listings.
    """

    def __init__(self, faults: Sequence[SettingsError]) -> None:
        first, others = faults[0], faults[1:]
        remedy = first.remedy
        if others:
            lines = [f"  {fault.what}. {fault.remedy}".rstrip() for fault in others[:SHOWN]]
            if len(others) > SHOWN:
                lines.append(f"  ... and {len(others) - SHOWN} more")
            remedy = "\n".join([remedy, f"Further faults: {len(others)}", *lines]).strip()
        super().__init__(
            first.sentence,
            remedy=remedy,
            file=first.file,
            line=first.line,
            column=first.column,
            key=first.key,
        )
        self.faults: tuple[SettingsError, ...] = tuple(faults)


def raised(faults: Iterable[SettingsError]) -> None:
    """Raise what was found, if anything was."""
    found = list(faults)
    if found:
        raise SettingsFaults(found)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like this one; "" when none does."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def faults_of(error: ValidationError, root: Node, model: type[BaseModel]) -> list[SettingsError]:
    """Each error of pydantic as one SettingsError at its place in the file, in the file's order."""
    found = [_fault(dict(detail), root, model) for detail in error.errors(include_url=False)]
    return sorted(
        found, key=lambda fault: (fault.file != root.file, fault.file, fault.line or 0, fault.column or 0)
    )


def _fault(detail: dict[str, Any], root: Node, model: type[BaseModel]) -> SettingsError:
    place, node = _walk(root, detail["loc"])
    unknown = detail["type"] == "extra_forbidden"
    key = ".".join(place) or "the file"
    at_key = (unknown or detail["loc"][-1:] == ("[key]",)) and node.key_line
    sentence, remedy = _words(detail, key, place, node, model)
    return SettingsError(
        sentence,
        remedy=remedy,
        file=node.file,
        line=(node.key_line if at_key else node.line) or None,
        column=(node.key_column if at_key else node.column) or None,
        key=key,
    )


def _walk(root: Node, loc: Sequence[int | str]) -> tuple[list[str], Node]:
    """Follow the location as far as the file has it; steps that only types have are passed over."""
    place: list[str] = []
    node = root
    for step in loc:
        if isinstance(node.value, dict) and isinstance(step, str) and step in node.value:
            node = node.value[step]
            place.append(step)
        elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            place.append(str(step + 1))
    return place, node


def _words(
    detail: dict[str, Any], key: str, place: list[str], node: Node, model: type[BaseModel]
) -> tuple[str, str]:
    kind, message = detail["type"], str(detail["msg"])
    last = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "extra_forbidden":
        return _unknown_key(place, model)
    if kind == "missing":
        return f"{key} needs the key {last}", _example(detail["loc"], model) or f"Add {last}."
    if kind == "secret_literal":
        name = f"{place[0]}-{last}".replace("_", "-") if place else "name"
        return (
            f"{key} {message}",
            f"Write {last}: {{secret: {name}}} and keep the value elsewhere: "
            f"a file secrets/{name} (mode 0600) in the state folder, a systemd credential {name}, "
            f"or the environment variable POLICYWATCH_SECRET_{name.replace('-', '_').upper()}.",
        )
    if last == "secret":  # its value may be the secret itself, put into the wrong place: never repeated
        return f"{key} must be the name of a secret", "Use small letters, digits and hyphens: smtp-password."
    if kind == "dsn_password":
        field = {"dsn": "password", "owner_dsn": "owner_password"}.get(last, "password")
        return (
            f"{key} {message}",
            f"Take it out of {last} and write {field}: {{secret: database-{field.replace('_', '-')}}} "
            "beside it.",
        )
    if kind == "dsn":
        return f"{key} {message}", "See the manual of PostgreSQL, chapter Connection Strings."
    if detail["loc"] and detail["loc"][-1] == "[key]":
        expected = _expected(kind, message, detail)
        return (
            f'{".".join(place[:-1])}: "{place[-1]}" cannot be a key here; it {expected}',
            "Use small letters, digits and hyphens." if kind == "string_pattern_mismatch" else "",
        )
    if kind == "value_error":
        text = message.removeprefix("Value error, ")
        written = f' is "{_brief(node)}"; it' if text.startswith("must ") and _is_scalar(node) else ""
        sentence = (
            f"{key}{written} {text}" if text.startswith(("must ", "needs ", "lists ")) else f"{key}: {text}"
        )
        return sentence, _example(detail["loc"], model)
    expected = _expected(kind, message, detail)
    if node.value is None:
        return f"{key} is empty; it {expected}", _example(
            detail["loc"], model
        ) or "Give it a value or remove it."
    if not _is_scalar(node):
        return f"{key} {expected}", _example(detail["loc"], model)
    remedy = _example(detail["loc"], model)
    if kind in ("literal_error", "enum"):
        near = nearest(str(node.value), re.findall(r"'([^']*)'", str(detail["ctx"].get("expected", ""))))
        remedy = f"Did you mean {near}?" if near else remedy
    return f'{key} is "{_brief(node)}"; it {expected}', remedy


def _is_scalar(node: Node) -> bool:
    return not isinstance(node.value, dict | list) and node.value is not None


def _brief(node: Node) -> str:
    text = str(node.value)
    if isinstance(node.value, bool):
        text = text.lower()
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 60 else text[:57] + "..."


def _expected(kind: str, message: str, detail: dict[str, Any]) -> str:
    known = {
        "string_type": "must be text; put numbers and true/false into quotes",
        "int_type": "must be a whole number",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_type": "must be a number",
        "float_parsing": "must be a number",
        "bool_type": "must be true or false",
        "bool_parsing": "must be true or false",
        "tuple_type": "must be a list",
        "list_type": "must be a list",
        "mapping_type": "must hold keys and values",
        "dict_type": "must hold keys and values",
        "model_type": "must hold keys and values",
        "path_type": "must be a path",
        "string_too_short": "must not be empty",
        "too_short": "must name at least one",
    }
    if kind in known:
        return known[kind]
    if kind == "string_pattern_mismatch":
        return f"must match the pattern {detail['ctx']['pattern']}"
    if message.startswith("Input should "):
        return message.replace("Input should be", "must be", 1).replace("Input should", "must", 1)
    return message[:1].lower() + message[1:]


def _unknown_key(place: list[str], model: type[BaseModel]) -> tuple[str, str]:
    word, section = place[-1], ".".join(place[:-1])
    owner = model_at(model, place[:-1])
    known = list(owner.model_fields) if owner else []
    near = nearest(word, known)
    where = f"in {section}" if section else "at the top"
    remedy = f"Did you mean {near}?" if near else f"Known there: {', '.join(known)}."
    return f'unknown key "{word}" {where}', remedy


def model_at(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel] | None:
    """The model that describes the keys at this place of the settings; None where there is none."""
    current: Any = model
    for step in place:
        current = next(
            (inner for option in _options(current) if (inner := _into(option, step)) is not None), None
        )
    within = [
        _into(option, 0) if typing.get_origin(option) is tuple else option for option in _options(current)
    ]
    return next((option for part in within for option in _options(part) if _is_model(option)), None)


def _is_model(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, BaseModel)


def _options(annotation: Any) -> list[Any]:
    """The members of a union, bare of Annotated."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _options(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [option for member in typing.get_args(annotation) for option in _options(member)]
    return [annotation]


def _into(option: Any, step: int | str) -> Any:
    """The type one step further: a field of a model, the values of a mapping, the members of a list."""
    if _is_model(option):
        field = option.model_fields.get(str(step))
        return field.annotation if field else None
    origin, arguments = typing.get_origin(option), typing.get_args(option)
    if origin is collections.abc.Mapping:
        return arguments[1]
    return arguments[0] if origin is tuple and arguments else None


def _example(loc: Sequence[int | str], model: type[BaseModel]) -> str:
    """`Write for example grace_period: 5 min` from the field's default, where it has a telling one."""
    owner = model_at(model, loc[:-1]) if loc else None
    field = owner.model_fields.get(str(loc[-1])) if owner else None
    default = field.default if field else None
    if isinstance(default, bool):
        text = str(default).lower()
    elif isinstance(default, timedelta):
        text = format_duration(default)
    elif isinstance(default, int):
        text = format_size(default) if default >= 1024 * 1024 else str(default)
    elif isinstance(default, str | float | Path):
        text = str(default)
    else:
        return ""
    return f"Write for example {loc[-1]}: {text}"
