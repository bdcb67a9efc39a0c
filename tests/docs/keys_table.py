"""The table of keys in docs/reviewer.md, from the desk's own: `python -m tests.docs.keys_table`."""

from __future__ import annotations

import re
from pathlib import Path

from policywatch_tui.desk.keymap import ACTIONS, PLACES, shown

__all__ = ["PAGE", "keys_table", "with_table"]

PAGE = Path(__file__).parents[2] / "docs" / "reviewer.md"
_PLACE = re.compile(r"(<!-- keys: [^\n]* -->\n).*?(<!-- /keys -->)", re.DOTALL)


def keys_table() -> str:
    """One row for each action, in the order of the help screen."""
    lines = ["| keys | on | what it does | role | id |", "|---|---|---|---|---|"]
    for action in ACTIONS:
        keys = " ".join(f"`{shown(key)}`" for key in action.keys)
        where = "every screen" if set(action.places) == set(PLACES) else ", ".join(action.places)
        role = action.role if action.writes else ""
        lines.append(f"| {keys} | {where} | {action.label} | {role} | `{action.id}` |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """The page with the table of today between its two marks."""
    return _PLACE.sub(lambda match: match[1] + "\n" + keys_table() + "\n" + match[2], page)


def main() -> None:
    """Bring docs/reviewer.md up to date."""
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
