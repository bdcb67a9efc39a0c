"""A person's decision to read a page against robots.txt is about the host that they named, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest

from policywatch.db.lanes import Taken
from policywatchd.collect.fetch import FetchFault
from policywatchd.collect.hosts import Lanes, Turn
from policywatchd.collect.robots import Passage, Robots, Rules, read_rules


class _Refusing:
    """Lanes that are free, and rules that refuse everything everywhere."""

    @asynccontextmanager
    async def lane(self, host: str) -> AsyncIterator[Turn]:
        yield Turn(Taken(host, None, None, None), 0.0)

    async def known(self, host: str, taken: Any) -> Rules:
        return await read_rules(host, 200, "User-agent: *\nDisallow: /")


async def test_an_override_does_not_follow_a_redirect_to_another_host() -> None:
    world = _Refusing()
    passage = Passage(cast("Robots", world), cast("Lanes", world), overridden=True)

    async with passage.lane(httpx.URL("https://X.test/terms")) as turn:
        await turn.again(httpx.URL("https://x.test/terms-2"))
    assert passage.verdict == "overridden"

    with pytest.raises(FetchFault) as fault:
        async with passage.lane(httpx.URL("https://other.test/terms")):
            pass
    assert (fault.value.code, passage.verdict) == ("robots", "refused")
