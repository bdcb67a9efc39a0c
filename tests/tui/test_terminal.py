"""The desk in a real terminal (a pty): bytes a key, silence at rest, and a terminal left as it was.

Bytes repeat within a few, so they are held to the budgets of docs/design.md; times are not tested here.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import pytest

from tests.tui.pty_desk import PtyDesk

STARTED = b"500 undecided"


@pytest.fixture
def desk() -> Iterator[PtyDesk]:
    """A desk over 500 changes, quiet after its start."""
    with PtyDesk(500) as desk:
        assert STARTED in desk.read(until=STARTED)
        desk.read(0.5)
        yield desk


def test_a_key_sends_few_bytes_and_rest_sends_none(desk: PtyDesk) -> None:
    inside = [len(desk.key(b"j")) for _ in range(12)]
    assert max(inside) <= 300, inside

    many = [len(desk.key(b"j")) for _ in range(60)]
    assert sum(many) / len(many) <= 450, many

    verdict = desk.key(b"a")
    assert b"accepted" in verdict
    assert len(verdict) <= 600

    assert len(desk.read(4.0, most=5.0)) <= 200


def test_a_screen_that_was_seen_before_comes_back_in_one_frame(desk: PtyDesk) -> None:
    for key in (b"2", b"1"):
        desk.key(key)
    assert len(desk.key(b"2")) <= 6_000
    assert len(desk.key(b"1")) <= 6_000


def test_only_known_sequences_are_sent(desk: PtyDesk) -> None:
    seen = b"".join(desk.key(key) for key in (b"j", b"\r", b"]", b"q", b"2", b"4", b"?", b"q", b"1"))
    pointer = rb"\x1b\]22;default\x07"  # Textual names the shape of a mouse that is off
    rest = re.sub(rb"\x1b\[\??[0-9;]*[a-zA-Z]|" + pointer, b"", seen)
    assert b"\x1b" not in rest
    assert not [sign for sign in rest if sign < 32 and sign not in b"\r\n"]


def test_focus_reports_and_the_mouse_stay_off() -> None:
    with PtyDesk(20) as desk:
        start = desk.read(until=b"20 undecided") + desk.read(0.5)
    assert start.rfind(b"\x1b[?1004l") > start.rfind(b"\x1b[?1004h")
    assert b"\x1b[?1000h" not in start
    assert b"\x1b[?1003h" not in start


def test_a_torn_arrow_key_moves_and_decides_nothing(desk: PtyDesk) -> None:
    import os
    import time

    os.write(desk.master, b"\x1b")
    time.sleep(0.3)  # longer than ESCDELAY: Textual takes the escape for a key of its own
    painted = desk.key(b"[A")
    assert b"accepted" not in painted
    assert b"row 499" not in painted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_desk_and_restores_the_terminal(desk: PtyDesk, number: signal.Signals) -> None:
    code = desk.signal(number)
    last = desk.read()
    assert code == 128 + number
    assert desk.restored
    assert b"\x1b[?1049l" in last
    assert b"\x1b[?25h" in last


def test_a_signal_ends_the_desk_even_when_nobody_reads_its_terminal(desk: PtyDesk) -> None:
    import os

    for _ in range(400):  # paint until the pty's buffer is full and the writer stands
        os.write(desk.master, b"2143")
    assert desk.signal(signal.SIGTERM) == 128 + signal.SIGTERM
    assert desk.restored


def test_q_at_the_root_ends_with_zero(desk: PtyDesk) -> None:
    import os

    os.write(desk.master, b"q")
    desk.read(1.0)
    assert desk.child.wait(10) == 0
    assert desk.restored
