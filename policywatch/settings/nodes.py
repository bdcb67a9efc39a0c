"""YAML as nodes that know their place: file, line and column of every key and value.

Stricter than most readers, since a settings file is written by people and read by a machine that mails:
YAML 1.2's plain scalars (`no`, `off` and `on` are words, not booleans; `12:30` is no number), no tags, no
merge keys, no duplicate keys; size, depth and the growth of aliases are limited. Nothing is constructed but
strings, numbers, booleans, null, lists and mappings.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from policywatch.errors import SettingsError

__all__ = ["MAX_BYTES", "Node", "merged", "plain", "read_file", "read_text"]

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 24
MAX_NODES = 100_000
_Loader: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # parses to events alone; nothing is constructed by it
_INT = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place; `value` is a scalar, a dict of nodes or a list of nodes. Lines count from 1."""

    value: Any
    file: str
    line: int
    column: int
    key_line: int = 0
    key_column: int = 0
    size: int = 1


def plain(node: Node) -> Any:
    """The value without its places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def merged(below: Node, above: Node) -> Node:
    """`above` laid over `below`: mappings key by key, everything else replaced; places come along."""
    if not isinstance(below.value, dict) or not isinstance(above.value, dict):
        return above
    value = dict(below.value)
    for key, child in above.value.items():
        value[key] = merged(value[key], child) if key in value else child
    return replace(above, value=value)


def read_file(path: Path) -> Node:
    """The file as nodes. Raises SettingsError when it cannot be read or is no acceptable YAML."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as fault:
        raise SettingsError(
            f"the settings file cannot be read: {fault.strerror}",
            file=str(path),
            remedy="Check its path and rights.",
        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SettingsError(
            "the settings file is not a regular file", file=str(path), remedy="Name a YAML file."
        )
    with os.fdopen(handle, "rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise SettingsError(
            f"the settings file is larger than {MAX_BYTES // 1024} KiB",
            file=str(path),
            remedy="Keep settings only in it; lists of members belong into the members file.",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise SettingsError(
            "the settings file is not UTF-8", file=str(path), line=line, remedy="Save it as UTF-8."
        ) from None
    return read_text(text, str(path))


def read_text(text: str, file: str) -> Node:
    """The text as nodes; an empty one is an empty mapping. Raises SettingsError."""
    composer = _Composer(file)
    try:
        events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
        for event in events:
            composer.take(event)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise SettingsError(
            f"this is not valid YAML: {fault.problem or fault.context}",
            file=file,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
            remedy=_yaml_remedy(fault.problem or ""),
        ) from None
    except yaml.YAMLError as fault:
        raise SettingsError(
            f"this is not valid YAML: {fault}", file=file, remedy="Remove control characters from it."
        ) from None
    return composer.root or Node({}, file, 1, 1)


def _yaml_remedy(problem: str) -> str:
    if "\\t" in problem or "tab" in problem:
        return "Indent with spaces, not with tabs."
    if "mapping values are not allowed" in problem:
        return "Put values that hold a colon into quotes, and give each key a line of its own."
    return "Check indentation, quotes and brackets here and in the line above."


@dataclass(slots=True)
class _Open:
    """A list or mapping that is still being read."""

    value: Any
    line: int
    column: int
    anchor: str | None
    key: Node | None = None
    size: int = 1


class _Composer:
    """Puts nodes together from YAML events, without recursion, within the limits."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.documents = 0
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}

    def fault(self, event: Any, what: str, remedy: str) -> SettingsError:
        line, column = _place(event)
        return SettingsError(what, file=self.file, line=line, column=column, remedy=remedy)

    def take(self, event: Any) -> None:
        """One event of the parser; `root` holds the result after the last one."""
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self.fault(event, "there is a second document", "Remove the line ---.")
            return
        if isinstance(event, yaml.AliasEvent):
            known = self.anchors.get(str(event.anchor))
            if known is None:
                raise self.fault(
                    event, f"alias *{event.anchor} has no anchor before it", f"Write &{event.anchor} first."
                )
            line, column = _place(event)
            self.add(event, replace(known, line=line, column=column))
        elif isinstance(event, yaml.ScalarEvent):
            self.refuse_tag(event)
            node = Node(_scalar(event), self.file, *_place(event))
            self.remember(event.anchor, node)
            self.add(event, node)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self.refuse_tag(event)
            if len(self.stack) >= MAX_DEPTH:
                raise self.fault(event, f"this is nested deeper than {MAX_DEPTH} levels", "Flatten it.")
            value: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            self.stack.append(_Open(value, *_place(event), event.anchor))
            if event.anchor:
                self.anchors[event.anchor] = None  # not complete: an alias inside itself has no end
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            done = self.stack.pop()
            node = Node(done.value, self.file, done.line, done.column, size=done.size)
            self.remember(done.anchor, node)
            self.add(event, node)

    def refuse_tag(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            raise self.fault(
                event, f"the tag {event.tag} is not accepted", "Remove it; write the plain value."
            )

    def remember(self, anchor: str | None, node: Node) -> None:
        if anchor:
            self.anchors[anchor] = node

    def add(self, event: Any, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            top.value.append(node)
        elif top.key is None:
            self.begin_key(event, top, node)
            return
        else:
            key = top.key
            top.value[key.value] = replace(node, key_line=key.line, key_column=key.column)
            top.key = None
        top.size += node.size
        if top.size > MAX_NODES:
            raise self.fault(
                event, f"aliases grow this beyond {MAX_NODES} values", "Use fewer aliases of large parts."
            )

    def begin_key(self, event: Any, top: _Open, node: Node) -> None:
        if isinstance(node.value, dict | list) or node.value is None:
            raise self.fault(event, "a key must be a word", "Write key: value.")
        word = event.value if isinstance(event, yaml.ScalarEvent) else str(node.value)
        if word == "<<":
            raise self.fault(event, "merge keys (<<) are not accepted", "Write the keys out.")
        if word in top.value:
            first = top.value[word]
            raise SettingsError(
                f"the key {word!r} stands here for the second time (first in line {first.key_line})",
                file=self.file,
                line=node.line,
                column=node.column,
                key=word,
                remedy="Keep one of the two.",
            )
        top.key = replace(node, value=word)


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _scalar(event: Any) -> str | int | float | bool | None:
    """The value of a scalar by the core schema of YAML 1.2; whatever is quoted is a string."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if len(text) <= 20:  # longer ones are identifiers, and Python refuses to read very long numbers
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text
