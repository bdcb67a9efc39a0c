"""docs/seed.tsv: each line of the infrastructure document, the file that implements it, the test that shows it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conftest import PASSED

__all__ = ["ROWS", "TIMESCALE_ROWS", "assert_kept", "name_of"]

ROOT = Path(__file__).resolve().parents[2]
_ALL = list(csv.DictReader((ROOT / "docs" / "seed.tsv").open(encoding="utf-8"), delimiter="\t"))
#: What `make test-timescale` runs, a suite of its own; and all the rest.
TIMESCALE_ROWS = [row for row in _ALL if row["test"].startswith("tests/timescale/")]
ROWS = [row for row in _ALL if row not in TIMESCALE_ROWS]


def name_of(row: dict[str, str]) -> str:
    """How a line is called in a report."""
    return row["line"].split(":")[0][:50]


def assert_kept(row: dict[str, str], request: pytest.FixtureRequest) -> None:
    """The file is there, the test is there, and it passed where its file was part of this run."""
    assert (ROOT / row["file"]).is_file()
    file, _, name = row["test"].partition("::")
    assert f"def {name.split('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")

    ran = {item.nodeid for item in request.session.items}
    if row["test"] in ran:  # a run of a part of the suite has no more to say
        assert row["test"] in request.config.stash[PASSED]
    elif any(item.nodeid.startswith(file + "::") for item in request.session.items):
        assert any(nodeid.startswith(row["test"] + "[") for nodeid in request.config.stash[PASSED]), row[
            "test"
        ]
