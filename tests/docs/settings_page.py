"""Writes docs/settings.md from the settings' own docstrings: `python -m tests.docs.settings_page docs/settings.md`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from policywatch.reading.filters import FILTERS
from policywatch.settings import Settings, effective, json_schema

_HEAD = """# Settings

Every key of `policywatch.yaml`, with its default. Written by `python -m tests.docs.settings_page docs/settings.md`
from the docstrings in `policywatch/settings`; a test compares. The commented file itself is
[policywatch.yaml](../policywatch.yaml).

Durations: `30 s`, `5 min`, `12 h`, `7 d` (a bare number is seconds). Sizes: `512 KiB`, `8 MiB`. Shares: `2 %`.
Secrets by reference alone: `{secret: NAME}`. From the environment: `POLICYWATCH_MAIL__PORT=2525` is `mail.port`.

Accepted and checked, but without effect in this version: `review.claim_for` (a taken change stays so for 15
minutes), `analysis.llm`, `guidance.template`, `guidance.test_group`, `retention.captures`, `retention.addresses`. A running
daemon follows the file; `database` and `metrics` wait for its next start.
"""
# Their value depends on who reads them and where.
_BY_MACHINE = {
    ("database", "user"): "auto",
    ("database", "state_folder"): "auto",
    ("backup", "folder"): "backups",
}
# Classes that are parts of others: named where they are used, told once at the end.
_PARTS = (
    "Platform",
    "Document",
    "Page",
    "Credential",
    "RobotsOverride",
    "Range",
    "Archive",
    "Segment",
    "Columns",
    "SecretRef",
)


def settings_page() -> str:
    """The whole page."""
    schema, defaults = json_schema(), effective(Settings())
    lines = [_HEAD]
    for name, described in schema["properties"].items():
        section = _class_of(described)
        told = described.get("description") or schema["$defs"][section or ""]["description"]
        lines.append(f"## {name}\n\n{_sentence(told)}\n")
        if section is not None and section not in _PARTS:
            lines += [*_table(schema["$defs"][section], {**defaults[name], **_fixed(name)}), ""]
    for name in _PARTS:
        part = schema["$defs"][name]
        lines.append(f"## Part: {name}\n")
        lines.append(_sentence(part.get("description", "")) + "\n")
        lines += [*_table(part, {}), ""]
    lines += [*_filters(), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _filters() -> Iterator[str]:
    yield "## Filters\n\nThe clean-ups that a page may name in `filters`.\n"
    yield "| filter | what it does |"
    yield "|---|---|"
    for name, one in FILTERS.items():
        yield f"| `{name}` | {one.purpose} |"


def _fixed(section: str) -> dict[str, str]:
    return {key: value for (owner, key), value in _BY_MACHINE.items() if owner == section}


def _class_of(described: Mapping[str, Any]) -> str | None:
    """The class that a key's value is an instance of, where it is one."""
    for choice in (described, *described.get("anyOf", [])):
        if "$ref" in choice:
            return str(choice["$ref"]).rpartition("/")[2]
    return None


def _table(part: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for key, described in part["properties"].items():
        default = defaults.get(key, described.get("default"))
        yield f"| `{key}` | {_default(default)} | {_meaning(described)} |"


def _default(value: object) -> str:
    if value is None:
        return ""
    return "empty" if value in ([], {}) else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _meaning(described: Mapping[str, Any]) -> str:
    choices = described.get("enum", ())
    told = _sentence(described.get("description", "")).replace("|", "\\|")
    if all(str(choice) in told for choice in choices):
        return told
    return f"{told} ({', '.join(map(str, choices))})"


def _sentence(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def main() -> None:
    """Write it to the path of the first argument."""
    Path(sys.argv[1]).write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
