"""Pretend members: a CSV file of people who do not exist, at addresses that cannot be reached."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policywatch.simulated.texts import PLATFORMS

__all__ = ["COLUMNS", "PretendMember", "csv_text", "expected_count", "pretend_members"]

COLUMNS = ("email", "name", "kind", "country", "platforms")
_KINDS = ("journalist", "journalist", "creator", "newsroom")
_COUNTRIES = ("DE", "FR", "PL", "IE", "GB", "US", "BR", "KE")
_FIRST = ("Ada", "Ben", "Chima", "Dana", "Emeka", "Fleur", "Goran", "Hana", "Ines", "Jonas", "Kofi", "Lena")
_LAST = (
    "Albrecht",
    "Brandt",
    "Costa",
    "Duarte",
    "Eze",
    "Fournier",
    "Gray",
    "Haddad",
    "Ito",
    "Jansen",
    "Kowalska",
)


@dataclass(frozen=True, slots=True)
class PretendMember:
    """One row of the file; `platforms` stand in it parted by semicolons."""

    address: str
    name: str
    kind: str
    country: str
    platforms: tuple[str, ...]


def pretend_members(count: int = 60, seed: int = 1) -> tuple[PretendMember, ...]:
    """So many members with addresses of their own at members.test; the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - a reproducible story, no secret
    keys = [platform.key for platform in PLATFORMS]
    made = []
    for number in range(1, count + 1):
        first, last = draw.choice(_FIRST), draw.choice(_LAST)
        used = draw.sample(keys, draw.randint(1, 4))
        made.append(
            PretendMember(
                address=f"{first}.{last}.{number}@members.test".lower(),
                name=f"{first} {last}",
                kind=draw.choice(_KINDS),
                country=draw.choice(_COUNTRIES),
                platforms=tuple(key for key in keys if key in used),
            )
        )
    return tuple(made)


def csv_text(members: Sequence[PretendMember]) -> str:
    """The members file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for member in members:
        writer.writerow(
            [member.address, member.name, member.kind, member.country, ";".join(member.platforms)]
        )
    return out.getvalue()


def expected_count(members: Sequence[PretendMember], criteria: Mapping[str, Sequence[str]]) -> int:
    """How many members the criteria mean, counted without the product's own code: every column, any value."""
    return sum(
        all(
            set(values) & set(member.platforms if column == "platforms" else (getattr(member, column),))
            for column, values in criteria.items()
        )
        for member in members
    )
