"""R33: the keys of 2,000 credentials are rotated by a program that is killed five times, while a daemon reads them."""

from __future__ import annotations

import json
import os
import random

import pytest

from tests.unprivileged import unprivileged

pytestmark = [pytest.mark.needs_db, pytest.mark.fault]


def test_a_rotation_killed_anywhere_leaves_every_credential_readable_and_ends_with_none_old() -> None:
    seed = int(os.environ.get("POLICYWATCH_SEED", random.randrange(10_000)))
    print(f"seed {seed}")
    with unprivileged() as account:
        answer = account.run(
            "-m", "tests.faults.rotation_world", str(account.folder / "state"), str(seed), seconds=120
        )
    told = json.loads(answer)
    print({name: value for name, value in told.items() if name != "told"})

    assert told["uid"] != 0
    assert told["before"] == 2_000
    assert [kill["readable"] for kill in told["kills"]] == [2_000] * 5
    assert all(kill["alive"] for kill in told["kills"])
    left = [kill["old"] for kill in told["kills"]]
    assert left == sorted(left, reverse=True)
    assert left[-1] > 0, "the last kill came before the end"
    assert told["command"] == 0, told["told"]
    assert (told["old"], told["readable"], told["open"]) == (0, 2_000, 0)
    assert told["unreadable"] == 0
    assert told["reads"] > 100
