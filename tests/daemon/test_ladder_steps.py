"""Where a look at a page begins on the ladder: a decision without any input or output."""

from __future__ import annotations

from typing import Any, cast

import pytest

from policywatch.db.collecting import Page
from policywatchd.collect.ladder import Ladder, first_step
from policywatchd.collect.seen import Seen, of_code


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


class _Shell:
    """Pages that come by plain HTTP as a few words around scripts, with nobody there to build them."""

    async def read(self, page: Page, browser: object = None) -> Seen:
        if browser is not None:
            return Seen(page, of_code("render-away", "nobody builds it"), fetched=False, step="browser")
        return Seen(page, text="Terms. You must be 18.", raw=b"<html></html>", status=200)

    async def shell(self, body: bytes, kind: str) -> str:
        return "scripts build it"


@pytest.mark.parametrize(("step", "reads"), [("http", True), ("browser", False)])
async def test_the_shell_of_a_page_that_was_built_before_is_not_its_text_when_nobody_builds_it(
    step: str, reads: bool
) -> None:
    nothing = dict.fromkeys(
        ("etag", "last_modified", "good_capture", "good_rule", "raw_sha256", "text_sha256", "engine")
    )
    page = Page(
        1, 1, "http://x.test/terms", "auto", {}, 1, {}, step=step, plain_due=True, **cast(Any, nothing)
    )
    stub = cast(Any, _Shell())

    seen = await Ladder(stub, stub, cast(Any, object())).read(page)

    assert (seen.is_read, seen.text is not None) == (reads, reads)
