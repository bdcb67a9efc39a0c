"""The members file: CSV text in, members out, with a sentence for each row that is no member.

A row is one line. Cells may be quoted but hold no line break, so that one forgotten quote spoils one row and
not the rest of the file. Reading the file is the caller's business.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policywatch.domain.guidance import Member
from policywatch.errors import UsageError
from policywatch.guidance.addresses import AddressFault, normalise_address, require_sendable

__all__ = ["MAX_CHARACTERS", "MAX_ROWS", "MembersFile", "RowFault", "parse_members"]

MAX_CHARACTERS = 128 * 1024 * 1024
MAX_ROWS = 1_000_000
_MAX_LINE = 20_000
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_ADDRESS = "email"
_ADDRESS_NAMES = ("address", "e-mail", "mail", "e_mail")


class _BadRow(Exception):
    """Why a line cannot be read as cells."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that was skipped: its line (from 1), and why. Holds nothing of the row itself."""

    line: int
    sentence: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class MembersFile:
    """What a members file says: the members in order, the skipped rows, and how many rows named one again."""

    members: tuple[Member, ...]
    faults: tuple[RowFault, ...]
    merged: int
    columns: tuple[str, ...]


def parse_members(
    text: str, columns: Mapping[str, str] | None = None, *, max_rows: int = MAX_ROWS
) -> MembersFile:
    """Read the text of a members file.

    `columns` maps our names to the file's headings, as the setting members.columns does (`email` to the one that
    holds the address; without it the usual names are tried); other columns keep their heading. Several values in a cell are
    parted by `;`. Rows of the same address are one member with the values of all. UsageError if the file as a
    whole cannot be members: no heading, no address column, a heading twice, too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            f"The members file is longer than {MAX_CHARACTERS:,} characters.",
            remedy="Check that members.file names the right file.",
        )
    lines = text.removeprefix("\ufeff").split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise UsageError("The members file is empty.", remedy="Its first line must name the columns.")
    delimiter = ";" if ";" in lines[first] and "," not in lines[first] else ","
    names, address_at = _heading(lines[first], delimiter, columns or {})

    found: dict[str, dict[str, dict[str, None]]] = {}
    faults: list[RowFault] = []
    rows = 0
    for number, line in enumerate(lines[first + 1 :], start=first + 2):
        if not line.strip():
            continue
        rows += 1
        if rows > max_rows:
            raise UsageError(
                f"The members file has more than {max_rows:,} rows.",
                remedy="Check that members.file names the right file.",
            )
        try:
            cells = _cells(line, delimiter, len(names))
            address = require_sendable(normalise_address(cells[address_at]))
        except (AddressFault, _BadRow) as fault:
            faults.append(RowFault(number, fault.args[0]))
            continue
        member = found.setdefault(address, {name: {} for name in names if name != _ADDRESS})
        for name, cell in zip(names, cells, strict=True):
            if name != _ADDRESS:
                member[name].update(dict.fromkeys(_values(cell, delimiter)))
    members = tuple(
        Member(address, tuple((name, tuple(values)) for name, values in sorted(held.items())))
        for address, held in found.items()
    )
    return MembersFile(
        members=members,
        faults=tuple(faults),
        merged=rows - len(faults) - len(members),
        columns=tuple(name for name in names if name != _ADDRESS),
    )


def _values(cell: str, delimiter: str) -> list[str]:
    """The values of a cell. Where `;` parts the cells, `|` parts the values."""
    parts = cell.split("|" if delimiter == ";" else ";")
    return [part.strip() for part in parts if part.strip()]


def _heading(line: str, delimiter: str, columns: Mapping[str, str]) -> tuple[list[str], int]:
    """Our names of the columns, in the order of the file, and where the address stands."""
    try:
        headings = [_plain(cell) for cell in _split(line, delimiter)]
    except _BadRow as fault:
        raise UsageError(
            f"The heading of the members file: {fault.args[0]}.", remedy="Mend its first line."
        ) from fault
    ours: dict[str, str] = {}
    for name, theirs in columns.items():
        if _plain(theirs) in headings:
            ours[_plain(theirs)] = name
        elif theirs != name:  # a column that keeps our name may be missing, one that was named may not
            raise UsageError(
                f"The members file has no column {theirs!r}, which members.columns names for {name}.",
                remedy=f"Its columns are: {', '.join(headings)}.",
            )
    names = [ours.get(heading, heading) for heading in headings]
    if _ADDRESS not in names:
        usual = [heading for heading in headings if heading in _ADDRESS_NAMES]
        if not usual:
            raise UsageError(
                "The members file has no column with addresses.",
                remedy=f"Name it {_ADDRESS}, or set members.columns.{_ADDRESS} to one of: {', '.join(headings)}.",
            )
        names[headings.index(usual[0])] = _ADDRESS
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"The members file has the column {', '.join(twice)} twice.",
            remedy="Give each column a name of its own.",
        )
    return names, names.index(_ADDRESS)


def _plain(heading: str) -> str:
    return unicodedata.normalize("NFC", heading).strip().casefold()


def _split(line: str, delimiter: str) -> Sequence[str]:
    if len(line) > _MAX_LINE:
        raise _BadRow(f"the row is longer than {_MAX_LINE:,} characters")
    line = line.removesuffix("\r")
    if _CONTROL.search(line):
        raise _BadRow("the row holds a control character")
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True, skipinitialspace=True))
    except (csv.Error, StopIteration):
        raise _BadRow("the quotes of the row do not match; a cell may not hold a line break") from None


def _cells(line: str, delimiter: str, wanted: int) -> Sequence[str]:
    cells = _split(line, delimiter)
    if len(cells) != wanted:
        raise _BadRow(f"the row has {len(cells)} cells, the heading has {wanted}")
    return cells
