"""docs/seed.tsv: each line of the infrastructure document has a file that implements it and a test that ran."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conftest import PASSED

ROOT = Path(__file__).resolve().parents[2]
ROWS = list(csv.DictReader((ROOT / "docs" / "seed.tsv").open(encoding="utf-8"), delimiter="\t"))


@pytest.mark.last
@pytest.mark.parametrize("row", ROWS, ids=[row["line"].split(":")[0][:50] for row in ROWS])
def test_a_promise_has_its_file_and_its_test_passed(
    row: dict[str, str], request: pytest.FixtureRequest
) -> None:
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


def test_a_run_of_the_whole_suite_reaches_every_promise(request: pytest.FixtureRequest) -> None:
    """Files named in the table lie where the suite collects."""
    assert all(row["test"].startswith("tests/") for row in ROWS)
    assert len(ROWS) >= 40
