"""Named statements from `policywatch/db/sql/*.sql`: the only SQL of the program beside the migrations.

A file is a list of statements, each below a line `-- name: xxx` and the reason for it:

    -- name: claim_due
    -- Hand each daemon different documents: rows another daemon holds are passed over.
    SELECT ... WHERE due_at <= %(now)s;

A statement ends with the next name or the end of the file. Parameters are `%(name)s`; a percent sign that is
meant is written `%%`. Names and text are checked when the file is loaded, which is at import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Queries", "Query", "load", "load_text", "sql_files"]

_NAME = re.compile(r"^--\s*name:\s*(?P<name>.*?)\s*$")
_IDENTIFIER = re.compile(r"^[a-z][a-z0-9_]*$")
_PARAMETER = re.compile(r"%\((\w+)\)[sbt]")


@dataclass(frozen=True, slots=True)
class Query:
    """One statement, with the name it is known by in metrics and errors (`file.name`)."""

    name: str
    text: str
    reason: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, each once, in order of first use."""
        return tuple(dict.fromkeys(_PARAMETER.findall(self.text)))


class Queries(Mapping[str, Query]):
    """The statements of one file: `sql.claim_due`, or as a mapping by name."""

    def __init__(self, file: str, queries: Mapping[str, Query]) -> None:
        self.file = file
        self._queries = dict(queries)

    def __getattr__(self, name: str) -> Query:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._queries[name]
        except KeyError:
            known = ", ".join(sorted(self._queries))
            raise AttributeError(f"{self.file}.sql has no statement named {name}; it has: {known}") from None

    def __getitem__(self, name: str) -> Query:
        return self._queries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


@cache
def load(name: str) -> Queries:
    """The statements of `sql/<name>.sql`. Raises LookupError for a missing file, ValueError for a faulty one."""
    path = files("policywatch.db.sql") / f"{name}.sql"
    if not path.is_file():
        raise LookupError(f"policywatch/db/sql/{name}.sql does not exist")
    return load_text(name, path.read_text(encoding="utf-8"))


def load_text(file: str, text: str) -> Queries:
    """The statements of a file's text. Raises ValueError that names the file and the line."""
    queries: dict[str, Query] = {}
    name, start, lines = "", 0, list[str]()
    for number, line in enumerate([*text.splitlines(), "-- name: end"], 1):
        match = _NAME.match(line)
        if match is None:
            if name:
                lines.append(line)
            elif line.strip() and not line.lstrip().startswith("--"):
                raise ValueError(f"{file}.sql, line {number}: SQL before the first `-- name:`")
            continue
        if name:
            if name in queries:
                raise ValueError(f"{file}.sql, line {start}: the name {name} stands twice")
            queries[name] = _query(file, name, start, lines)
        name, start, lines = match["name"], number, []
        if not _IDENTIFIER.match(name):
            raise ValueError(f"{file}.sql, line {number}: {name!r} is no name (small letters, digits, _)")
    return Queries(file, queries)


def sql_files() -> tuple[str, ...]:
    """Names of all files of statements, sorted, without their ending."""
    found = (path.name for path in files("policywatch.db.sql").iterdir())
    return tuple(sorted(name.removesuffix(".sql") for name in found if name.endswith(".sql")))


def _query(file: str, name: str, line: int, lines: list[str]) -> Query:
    reason = list[str]()
    while lines and (not lines[0].strip() or lines[0].startswith("--")):
        comment = lines.pop(0).strip().lstrip("-").strip()
        if comment:
            reason.append(comment)
    text = "\n".join(lines).strip().removesuffix(";").rstrip()
    if not text:
        raise ValueError(f"{file}.sql, line {line}: {name} has no statement")
    return Query(f"{file}.{name}", text, " ".join(reason))
