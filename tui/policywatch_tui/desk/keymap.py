"""Every key of the desk in one table: bindings, hint line, help screen and documentation are made from it.

Action ids are stable; `desk.keys` of the settings may rebind them. Keys are written as they arrive: one
character, or a name (`enter`, `ctrl+d`, `pagedown`). No act that writes lies on a character that can be the
tail of a torn escape sequence (`TORN`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from policywatch.errors import SettingsError
from policywatch_tui.desk.line import Line, Look, cells, justified

__all__ = ["ACTIONS", "PLACES", "ROLES", "TORN", "Action", "Keymap", "may"]

PLACES: tuple[str, ...] = ("queue", "change", "approvals", "drafts", "publications", "help")
ROLES: tuple[str, ...] = ("viewer", "reviewer", "editor", "approver", "admin")
TORN = frozenset("ABCDFHMPQRS~[O;0123456789")
_LISTS = ("queue", "approvals", "drafts", "publications")
_TRIAGE = ("queue", "change")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a key does at some places; `short` stands in the hint line, `role` is the least that may."""

    id: str
    keys: tuple[str, ...]
    places: tuple[str, ...]
    label: str
    short: str = ""
    role: str = "viewer"
    writes: bool = False

    @property
    def method(self) -> str:
        """The name of the screen's method for it."""
        return "do_" + self.id.replace(".", "_")


def _act(
    name: str, keys: str, places: Sequence[str], label: str, short: str = "", role: str = "reviewer"
) -> Action:
    return Action(name, tuple(keys.split()), tuple(places), label, short, role, writes=True)


def _go(name: str, keys: str, places: Sequence[str], label: str, short: str = "") -> Action:
    return Action(name, tuple(keys.split()), tuple(places), label, short)


ACTIONS: tuple[Action, ...] = (
    _act("verdict.accepted", "a", _TRIAGE, "verdict accepted: members should know", "accept"),
    _act("verdict.no_effect", "x", _TRIAGE, "verdict no_effect: nothing changes for members", "no effect"),
    _act(
        "verdict.bad_capture", "b", _TRIAGE, "verdict bad_capture: the page was read wrongly", "bad capture"
    ),
    _go("passage.next", "]", ("change",), "next passage", "passage"),
    _go("change.next", "J", ("change",), "next change of the queue", "next"),
    _act("undo", "u", _TRIAGE, "undo the last act, as long as nobody else acted since", "undo"),
    _act(
        "draft", "d", _TRIAGE, "draft guidance from the marked changes, or from this one", "draft", "editor"
    ),
    _act("snooze", "s", _TRIAGE, "snooze: 4h, 1d, 1w or a date; 0 wakes it", "snooze"),
    _act("severity", "!", _TRIAGE, "severity: c h m l n, then a reason; i = the machine's again", "severity"),
    _act("take", "t", _TRIAGE, "take it, or release it: others see who looks", "take"),
    _act("redo", "U", _TRIAGE, "redo what was undone"),
    _go("open", "enter", ("queue",), "open the change", ""),
    _go("mark", "space", ("queue",), "mark and go down; a verdict then asks for all marked"),
    _go("undecided", "tab", ("queue",), "next undecided row"),
    _go("passage.previous", "[", ("change",), "previous passage"),
    _go("change.previous", "K", ("change",), "previous change of the queue"),
    _go("page.space", "space", ("change", "help"), "page down"),
    _act("approve", "a", ("approvals",), "approve: type the number of recipients", "approve", "approver"),
    _act("return", "r", ("approvals",), "return it to its author, with a reason", "return", "approver"),
    _act("edit", "e", ("drafts",), "edit the draft in $EDITOR", "edit", "editor"),
    _act("submit", "w", ("drafts",), "submit the draft: a second person is asked", "submit", "editor"),
    _act("withdraw", "x", ("publications",), "take back within the grace, then y", "take back", "editor"),
    _go(
        "sheet", "enter tab", ("approvals", "drafts", "publications"), "into the lower half and back", "read"
    ),
    _go("sheet.page", "space", ("approvals", "drafts", "publications"), "page down in the lower half"),
    _go("go.queue", "1", PLACES, "Queue"),
    _go("go.approvals", "2", PLACES, "Approvals"),
    _go("go.drafts", "3", PLACES, "Drafts"),
    _go("go.publications", "4", PLACES, "Publications"),
    _go("go.last", "-", PLACES, "the screen before"),
    _go("move.down", "j down", PLACES, "down"),
    _go("move.up", "k up", PLACES, "up"),
    _go("move.first", "g home", PLACES, "first"),
    _go("move.last", "G end", PLACES, "last"),
    _go("move.half_down", "ctrl+d", PLACES, "half a page down"),
    _go("move.half_up", "ctrl+u", PLACES, "half a page up"),
    _go("move.page_down", "ctrl+f pagedown", PLACES, "page down"),
    _go("move.page_up", "ctrl+b pageup", PLACES, "page up"),
    _go("arrived", "i", _LISTS, "show the rows that arrived"),
    _go("reload", "R", PLACES[:-1], "read everything again"),
    _go("back", "q", PLACES, "back; at the root quit"),
    _go("cancel", "escape ctrl+c", PLACES, "cancel a question, then the marks; never leaves"),
    _go("help", "?", PLACES, "all keys of this screen"),
    _go("redraw", "ctrl+l", PLACES, "draw the screen again"),
    _go("suspend", "ctrl+z", PLACES, "suspend; fg brings it back"),
    _go("quit", "Q", PLACES, "quit"),
)

_SHOWN = {"escape": "esc", "pagedown": "PgDn", "pageup": "PgUp", "home": "Home", "end": "End"}


def may(role: str, needed: str) -> bool:
    """Whether a role reaches the needed one; an unknown role (auditor) may only look."""
    have = ROLES.index(role) if role in ROLES else 0
    return have >= ROLES.index(needed)


def shown(key: str) -> str:
    """How a key is written for people."""
    return _SHOWN.get(key, key)


class Keymap:
    """The table with the operator's own keys; ids and keys are checked once, here."""

    def __init__(self, rebound: Mapping[str, Sequence[str]] | None = None) -> None:
        own = dict(rebound or {})
        unknown = sorted(own.keys() - {action.id for action in ACTIONS})
        if unknown:
            raise SettingsError(
                f"desk.keys: {unknown[0]} is no action of the desk",
                remedy="The help screen (?) and docs list the ids.",
                key=f"desk.keys.{unknown[0]}",
            )
        self.actions: tuple[Action, ...] = tuple(
            replace(action, keys=tuple(own[action.id])) if action.id in own else action for action in ACTIONS
        )
        self._by_place: dict[str, dict[str, Action]] = {place: {} for place in PLACES}
        for action in self.actions:
            for place in action.places:
                for key in action.keys:
                    self._bind(place, key, action)

    def _bind(self, place: str, key: str, action: Action) -> None:
        other = self._by_place[place].get(key)
        if other is not None:
            raise SettingsError(
                f"desk.keys: {key} means {other.id} and {action.id} on the {place} screen",
                remedy="Give one of them another key.",
                key=f"desk.keys.{action.id}",
            )
        if action.writes and key in TORN:
            raise SettingsError(
                f"desk.keys: {action.id} writes and may not lie on {key}: a slow line can make it by itself",
                remedy="Choose another key.",
                key=f"desk.keys.{action.id}",
            )
        self._by_place[place][key] = action

    def find(self, place: str, key: str) -> Action | None:
        """What the key does there."""
        return self._by_place[place].get(key)

    def of(self, place: str) -> tuple[Action, ...]:
        """All actions of a place: its own first, then those of everywhere."""
        return tuple(action for action in self.actions if place in action.places)

    def hint(self, place: str, role: str, width: int) -> Line:
        """The last row: the place's own keys as far as there is room, and where the rest stands."""
        left: list[tuple[str, Look]] = []
        room = width - cells("  ? help")
        for action in self.of(place):
            if not action.short or not action.keys:
                continue
            look = Look.PLAIN if may(role, action.role) else Look.DIM
            text = f"{shown(action.keys[0])} {action.short}"
            if room < cells(text) + 2:
                break
            room -= cells(text) + 2
            left += [(shown(action.keys[0]), Look.BOLD if look is Look.PLAIN else look)]
            left += [(f" {action.short}  ", look)]
        return justified(left, [("? help", Look.DIM)], width)

    def help(self, place: str, role: str) -> tuple[Line, ...]:
        """The help screen: one line for each action of the place, dimmed with the reason where it may not."""
        own = [action for action in self.of(place) if set(action.places) != set(PLACES)]
        rest = [action for action in self.of(place) if set(action.places) == set(PLACES)]
        lines: list[Line] = []
        for title, actions in ((f"Keys of {place.capitalize()}", own), ("Keys of every screen", rest)):
            lines.append(((title, Look.HEAD),))
            lines += [_help_line(action, role) for action in actions]
            lines.append(())
        return tuple(lines[:-1])


def _help_line(action: Action, role: str) -> Line:
    keys = " ".join(shown(key) for key in action.keys)
    if may(role, action.role):
        return ((f"  {keys:<14}", Look.BOLD), (action.label, Look.PLAIN))
    return ((f"  {keys:<14}{action.label} (needs the role {action.role}, yours is {role})", Look.DIM),)


@cache
def default() -> Keymap:
    """The keymap as shipped."""
    return Keymap()
