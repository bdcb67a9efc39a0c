"""One table of keys: no key twice, nothing without help, no write on what a slow line can make by itself."""

from __future__ import annotations

import pytest

from policywatch.errors import SettingsError
from policywatch_tui.desk.keymap import ACTIONS, PLACES, TORN, Keymap, default, may
from policywatch_tui.desk.line import cells, text_of
from policywatch_tui.screens.approvals import ApprovalsScreen
from policywatch_tui.screens.base import DeskScreen
from policywatch_tui.screens.change import ChangeScreen
from policywatch_tui.screens.drafts import DraftsScreen
from policywatch_tui.screens.help import HelpScreen
from policywatch_tui.screens.publications import PublicationsScreen
from policywatch_tui.screens.queue import QueueScreen

SCREENS: tuple[type[DeskScreen], ...] = (
    QueueScreen,
    ChangeScreen,
    ApprovalsScreen,
    DraftsScreen,
    PublicationsScreen,
    HelpScreen,
)


@pytest.mark.parametrize("place", PLACES)
def test_no_key_means_two_things_on_one_screen(place: str) -> None:
    keys = [key for action in default().of(place) for key in action.keys]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("place", PLACES)
def test_every_action_of_a_screen_is_in_its_help(place: str) -> None:
    shown = "\n".join(text_of(line) for line in default().help(place, "admin"))
    for action in default().of(place):
        assert action.label in shown


def test_every_action_has_an_id_of_its_own_and_a_key() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert all(action.keys for action in ACTIONS)


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.PLACE)
def test_every_action_of_a_screen_has_its_method(screen: type[DeskScreen]) -> None:
    for action in default().of(screen.PLACE):
        assert callable(getattr(screen, action.method, None)), f"{screen.__name__}.{action.method}"


def test_nothing_that_writes_lies_on_the_tail_of_an_escape_sequence_or_on_enter() -> None:
    for action in ACTIONS:
        if action.writes:
            assert not TORN.intersection(action.keys)
            assert "enter" not in action.keys


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("width", [1, 20, 80, 120])
def test_the_hint_line_fits_its_row(place: str, width: int) -> None:
    assert cells(text_of(default().hint(place, "admin", width))) <= width


def test_an_operator_may_give_an_action_another_key() -> None:
    keymap = Keymap({"undo": ["z"]})
    found = keymap.find("queue", "z")
    assert found is not None
    assert found.id == "undo"
    assert keymap.find("queue", "u") is None


@pytest.mark.parametrize(
    ("rebound", "said"),
    [
        ({"undoo": ["z"]}, "no action"),
        ({"undo": ["a"]}, "means"),
        ({"undo": ["A"]}, "slow line"),
    ],
)
def test_a_wrong_rebinding_is_a_sentence_with_its_key(rebound: dict[str, list[str]], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        Keymap(rebound)
    assert raised.value.key.startswith("desk.keys.")


def test_a_key_that_the_role_may_not_use_stays_in_help_with_the_reason() -> None:
    shown = "\n".join(text_of(line) for line in default().help("approvals", "reviewer"))
    assert "needs the role approver, yours is reviewer" in shown
    assert may("admin", "approver")
    assert not may("auditor", "reviewer")
