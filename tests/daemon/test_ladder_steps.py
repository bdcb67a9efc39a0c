"""Where a look at a page begins on the ladder: a decision without any input or output."""

from __future__ import annotations

import pytest

from policywatchd.collect.ladder import first_step
from policywatchd.collect.seen import of_code


@pytest.mark.parametrize(
    ("render", "step", "plain_due", "first"),
    [
        ("auto", "none", False, "http"),
        ("auto", "http", False, "http"),
        ("auto", "browser", False, "browser"),
        ("auto", "browser", True, "http"),
        ("never", "browser", False, "http"),
        ("always", "none", False, "browser"),
        ("always", "http", True, "browser"),
    ],
)
def test_the_step_that_worked_is_tried_first_and_the_lower_one_once_a_week(
    render: str, step: str, plain_due: bool, first: str
) -> None:
    assert first_step(render, step, plain_due=plain_due) == first


def test_a_cause_is_one_printable_line_whatever_a_server_put_into_it() -> None:
    cause = of_code("kind", "the address gives text/\x1b[2J\nlevel=ERROR \u202e\x00forged").cause

    assert cause.isprintable() and "the address gives text/ [2J level=ERROR" in cause
