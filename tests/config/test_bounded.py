"""The child that may die, and what the parent learns of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from policywatch import bounded
from policywatch.errors import PolicyWatchError, UsageError

MEMORY = 1 << 30


def test_the_answer_of_the_function_comes_back() -> None:
    assert bounded.run("operator:concat", [1, "ä"], [None, 2.5], wall=20, memory=MEMORY) == [
        1,
        "ä",
        None,
        2.5,
    ]


def test_a_child_that_is_too_slow_is_ended() -> None:
    began = time.monotonic()

    with pytest.raises(bounded.BoundedError, match=r"did not answer within 0\.5 s") as caught:
        bounded.run("time:sleep", 60, wall=0.5, memory=MEMORY)

    assert caught.value.reason == "wall"
    assert time.monotonic() - began < 10


def test_a_child_that_calculates_for_too_long_is_ended() -> None:
    with pytest.raises(bounded.BoundedError) as caught:
        bounded.run("builtins:exec", "while True: pass", wall=30, memory=MEMORY, cpu=0.5)

    assert caught.value.reason == "cpu"


def test_a_child_that_wants_too_much_memory_gets_none() -> None:
    with pytest.raises(bounded.BoundedError) as caught:
        bounded.run("builtins:bytearray", 2 << 30, wall=20, memory=MEMORY)

    assert caught.value.reason == "memory"


def test_a_child_that_crashes_is_an_error_and_not_ours() -> None:
    with pytest.raises(bounded.BoundedError, match="signal 11") as crashed:
        bounded.run("builtins:exec", "import os; os.kill(os.getpid(), 11)", wall=20, memory=MEMORY)
    with pytest.raises(bounded.BoundedError, match="status 3") as left:
        bounded.run("os:_exit", 3, wall=20, memory=MEMORY)

    assert crashed.value.reason == left.value.reason == "died"


def test_an_answer_that_is_no_plain_value_is_a_fault() -> None:
    with pytest.raises(bounded.BoundedError, match="not JSON serializable") as caught:
        bounded.run("builtins:complex", 1, wall=20, memory=MEMORY)

    assert caught.value.reason == "fault"


def test_what_the_function_prints_does_not_disturb_its_answer() -> None:
    assert bounded.run("builtins:print", "noise " * 1000, wall=20, memory=MEMORY) is None


def test_our_own_errors_arrive_as_what_they_are() -> None:
    with pytest.raises(UsageError, match="A range has no") as caught:
        bounded.run("policywatch.reading.rules:Range.from_json", {"start": "h1"}, wall=20, memory=MEMORY)

    assert "start_before" in caught.value.remedy


def test_the_child_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLICYWATCH_SECRET_SMTP_PASSWORD", "hunter2")

    seen = bounded.run(
        "builtins:eval", "dict(__import__('os').environ)", wall=20, memory=MEMORY, env={"A": "b"}
    )

    assert seen["A"] == "b"
    assert not [name for name in seen if name.startswith("POLICYWATCH")]


def test_one_child_answers_many_times_and_a_new_one_follows_its_death() -> None:
    with bounded.Child("builtins:eval", memory=MEMORY, cpu=5, recycle=3) as child:
        asked = "__import__('os').getpid()"
        first, second, third = (child.call(asked, wall=20) for _ in range(3))
        fourth = child.call(asked, wall=20)
        with pytest.raises(bounded.BoundedError):
            child.call("__import__('os')._exit(1)", wall=20)
        fifth = child.call(asked, wall=20)

    assert first == second == third
    assert len({third, fourth, fifth, os.getpid()}) == 4
    with pytest.raises(ProcessLookupError):
        os.kill(fifth, 0)


def test_a_large_payload_and_a_large_answer_pass() -> None:
    content = b"x" * (20 << 20)

    assert bounded.run("builtins:len", content, wall=30, memory=MEMORY) == len(content)
    assert len(bounded.run("builtins:eval", "'ä' * (8 << 20)", wall=30, memory=MEMORY)) == 8 << 20


def test_a_child_outlives_the_thread_that_started_it() -> None:
    child = bounded.Child("builtins:eval", memory=MEMORY, cpu=5)
    found: list[int] = []
    for _ in range(2):
        thread = threading.Thread(
            target=lambda: found.append(child.call("__import__('os').getpid()", wall=20))
        )
        thread.start()
        thread.join(30)
    child.close()

    assert len(found) == 2
    assert len(set(found)) == 1


def test_a_child_at_rest_ends_with_its_parent() -> None:
    script = (
        "from policywatch import bounded\n"
        "child = bounded.Child('builtins:eval', memory=1 << 30, cpu=5)\n"
        "print(child.call(\"__import__('os').getpid()\", wall=20), flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())

    parent.send_signal(signal.SIGKILL)
    parent.communicate()

    deadline = time.monotonic() + 10
    while _lives(pid):
        assert time.monotonic() < deadline, "the child is still there"
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_refusal_of_an_unknown_kind_is_still_one_of_ours() -> None:
    told = {"module": "os", "name": "system", "what": "no", "remedy": "", "code": ""}

    assert type(bounded._refusal(told)) is PolicyWatchError
