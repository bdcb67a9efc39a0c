"""The lines of docs/seed.tsv that only TimescaleDB can show: their tests passed in this suite."""

from __future__ import annotations

import pytest

from tests.docs.seed import TIMESCALE_ROWS, assert_kept, name_of


@pytest.mark.last
@pytest.mark.parametrize("row", TIMESCALE_ROWS, ids=name_of)
def test_a_promise_about_timescaledb_has_its_file_and_its_test_passed(
    row: dict[str, str], request: pytest.FixtureRequest
) -> None:
    assert_kept(row, request)
