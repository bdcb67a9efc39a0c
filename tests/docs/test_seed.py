"""docs/seed.tsv: each line of the infrastructure document has a file that implements it and a test that ran."""

from __future__ import annotations

import pytest

from tests.docs.seed import ROWS, TIMESCALE_ROWS, assert_kept, name_of


@pytest.mark.last
@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_promise_has_its_file_and_its_test_passed(
    row: dict[str, str], request: pytest.FixtureRequest
) -> None:
    assert_kept(row, request)


def test_every_promise_lies_where_a_suite_reaches_it() -> None:
    """Here, or in the suite of `make test-timescale`, which checks its own lines."""
    assert all(row["test"].startswith("tests/") for row in ROWS)
    assert len(ROWS) + len(TIMESCALE_ROWS) >= 40
    assert TIMESCALE_ROWS
