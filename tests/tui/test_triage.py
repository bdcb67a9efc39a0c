"""Triage ends in the server's state whatever the order, and nothing from outside moves the cursor."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from policywatch_tui.desk.rows import QueueRow
from policywatch_tui.desk.triage import Act, Pending, StepPart, Triage, foretold
from tests.tui.world import NOW, queue_rows

IDS = [row.id for row in queue_rows(5)]
VERDICTS = ("accepted", "no_effect", "bad_capture")


class Server:
    """Versions and the rule that the first one wins."""

    def __init__(self) -> None:
        self.rows = {row.id: row for row in queue_rows(5)}
        self.history: list[QueueRow] = []

    def act(self, pending: Pending, by: str) -> int | None:
        row = self.rows[pending.change_id]
        if row.version != pending.version:
            return None
        self.put(foretold(row, pending.act, version=row.version + 1, by=by, at=NOW))
        return self.rows[row.id].version

    def put(self, row: QueueRow) -> None:
        self.rows[row.id] = row
        self.history.append(row)

    def other_person(self, row_id: int, verdict: str) -> None:
        row = self.rows[row_id]
        self.put(replace(row, version=row.version + 1, verdict=verdict, decided_by="carol", decided_at=NOW))


def fresh_triage() -> Triage:
    triage = Triage("ben")
    triage.fill(queue_rows(5))
    triage.list.window.resize(3)
    return triage


steps = st.lists(
    st.tuples(
        st.sampled_from(["begin", "arrive", "answer", "other", "hint", "stale", "newcomer"]),
        st.sampled_from(IDS),
        st.sampled_from(VERDICTS),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(steps=steps, cursor=st.integers(0, 4))
def test_any_order_of_acts_and_news_ends_in_the_servers_state(
    steps: list[tuple[str, int, str]], cursor: int
) -> None:
    server, triage = Server(), fresh_triage()
    triage.list.window.go(cursor)
    here, row_on_screen = triage.list.here, triage.list.window.row
    on_the_way: list[Pending] = []
    answers: list[tuple[Pending, int | None]] = []

    for number, (what, row_id, verdict) in enumerate(steps):
        if what == "begin":
            pending = triage.begin(row_id, Act("decide", verdict=verdict), UUID(int=number))
            on_the_way += [pending] if pending else []
        elif what == "arrive" and on_the_way:
            pending = on_the_way.pop(0)
            answers.append((pending, server.act(pending, "ben")))
        elif what == "answer" and answers:
            answer(triage, *answers.pop(), server)
        elif what == "other":
            server.other_person(row_id, verdict)
        elif what == "hint":
            triage.remote(server.rows[row_id])
        elif what == "stale" and server.history:
            triage.remote(server.history[number % len(server.history)])
        elif what == "newcomer":
            triage.list.came(9000 + number)
        # The id under the cursor and its row on the screen never move by themselves.
        assert here is not None and triage.list.here is not None
        assert triage.list.here.id == here.id
        assert triage.list.window.row == row_on_screen

    for pending in on_the_way:
        answers.append((pending, server.act(pending, "ben")))
    for pending, version in reversed(answers):
        answer(triage, pending, version, server)
    for row in reversed(server.history):
        triage.remote(row)

    assert triage.list.rows == server.rows
    assert not triage.pending


def answer(triage: Triage, pending: Pending, version: int | None, server: Server) -> None:
    if version is None:
        triage.refused(pending, "carol decided first", server.rows[pending.change_id])
    else:
        triage.confirmed(pending, version, NOW)


def test_a_second_act_waits_until_the_first_is_answered() -> None:
    triage = fresh_triage()
    assert triage.begin(IDS[0], Act("decide", verdict="accepted"), UUID(int=1)) is not None
    assert triage.begin(IDS[0], Act("decide", verdict="no_effect"), UUID(int=2)) is None


def test_undo_of_two_acts_on_one_change_uses_the_version_that_each_undo_made() -> None:
    # given: a severity and a verdict on the same change
    server, triage = Server(), fresh_triage()
    row_id = IDS[0]
    parts: list[StepPart] = []
    for number, act in enumerate(
        (Act("severity", severity=None, note="x"), Act("decide", verdict="accepted"))
    ):
        pending = triage.begin(row_id, act, UUID(int=number))
        assert pending is not None
        version = server.act(pending, "ben")
        assert version is not None
        parts.append(triage.confirmed(pending, version, NOW))
        triage.remember(parts[-1:])

    # when: both are undone, the last one first
    for number in (10, 11):
        step = triage.done.pop()
        (part,) = step.parts
        pending = triage.begin(row_id, triage.inverse(part), UUID(int=number), part)
        assert pending is not None
        version = server.act(pending, "ben")
        assert version is not None, "the server refused an undo of one's own act"
        back = triage.confirmed(pending, version, NOW)
        triage.undone_by(part, back.after)

    # then: nothing is decided and versions only ever grew
    assert server.rows[row_id].verdict == ""
    assert server.rows[row_id].version == 5
    assert triage.list.rows == server.rows


def test_undo_is_refused_once_another_person_acted() -> None:
    server, triage = Server(), fresh_triage()
    pending = triage.begin(IDS[0], Act("decide", verdict="accepted"), UUID(int=1))
    assert pending is not None
    version = server.act(pending, "ben")
    assert version is not None
    part = triage.confirmed(pending, version, NOW)
    server.other_person(IDS[0], "no_effect")

    undo = triage.begin(IDS[0], triage.inverse(part), UUID(int=2), part)

    assert undo is not None
    assert server.act(undo, "ben") is None


def test_a_verdict_on_a_decided_row_is_not_sent_and_says_who_was_first() -> None:
    server, triage = Server(), fresh_triage()
    server.other_person(IDS[0], "no_effect")
    triage.remote(server.rows[IDS[0]])
    accept = Act("decide", verdict="accepted")
    assert triage.why_not(IDS[0], accept) == f"carol decided C-{IDS[0]} first: no_effect"
    assert triage.why_not(IDS[0], Act("severity", note="x")) == ""
    assert triage.why_not(IDS[1], accept) == ""
    assert triage.why_not(4, accept)


def test_new_rows_are_counted_and_come_in_only_when_asked() -> None:
    triage = fresh_triage()
    triage.list.window.go(2)
    here = triage.list.here

    triage.list.came(7)
    assert triage.list.arrived == {7}
    assert len(triage.list) == 5

    newcomer = replace(queue_rows(1)[0], id=7)
    triage.fill([newcomer, *queue_rows(5)])
    assert triage.list.here == here
    assert not triage.list.arrived


def test_reading_again_puts_the_cursor_on_the_nearest_row_below_when_its_own_is_gone() -> None:
    triage = fresh_triage()
    triage.list.window.go(1)
    triage.fill([row for row in queue_rows(5) if row.id != IDS[1]])
    assert triage.list.here is not None
    assert triage.list.here.id == IDS[2]


def test_the_sign_says_how_a_row_stands() -> None:
    triage = fresh_triage()
    first = triage.list.rows[IDS[0]]
    assert triage.sign(first, NOW) == " "
    assert triage.sign(replace(first, taken_by="carol"), NOW) == "t"
    assert triage.sign(replace(first, snoozed_until=NOW + timedelta(hours=1)), NOW) == "z"
    assert triage.sign(replace(first, verdict="accepted", decided_by="carol"), NOW) == "o"
    assert triage.sign(replace(first, verdict="accepted", decided_by="ben"), NOW) == "+"
    pending = triage.begin(first.id, Act("decide", verdict="accepted"), UUID(int=1))
    assert pending is not None
    assert triage.sign(first, NOW) == "~"
    triage.unanswered(pending)
    assert triage.sign(first, NOW) == "?"


def test_marks_choose_in_the_order_of_the_list() -> None:
    triage = fresh_triage()
    assert triage.chosen() == (IDS[0],)
    triage.list.window.go(3)
    triage.toggle_mark()
    triage.list.window.go(1)
    triage.toggle_mark()
    assert triage.chosen() == (IDS[1], IDS[3])
