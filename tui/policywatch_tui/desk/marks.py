"""What must be said of a change beside its passages: how sure it is, what it takes back, how much of it was judged.

Phrases for people, out of the columns of the views; shown by the desk and by `policywatch changes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["marks", "short_mark"]


def marks(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The phrases for a row of read.changes; columns that it lacks say nothing."""
    told: list[str] = []
    if row.get("status") == "unconfirmed":
        told.append("unconfirmed: another look has not seen it again yet")
    elif row.get("status") == "second_look":
        told.append("waits for a second look; nobody is asked about it yet")
    elif row.get("status") == "undone":
        told.append("undone: the next look saw the old text again, or another one")
    if row.get("reverts"):
        told.append(f"reverts C-{row['reverts']}")
    if row.get("alternates"):
        times = int(row["alternates"]) + 1
        told.append(f"two variants, {times} times: the page shows both texts by turns")
    if row.get("same_as"):
        told.append(f"the same two texts as C-{row['same_as']}")
    judged, total = row.get("pages_judged"), row.get("pages_total")
    if judged is not None and total is not None and judged < total:
        told.append(f"{judged} of {total} pages judged")
    return tuple(told)


def short_mark(row: Mapping[str, Any]) -> str:
    """The same in a word or two, for a line of the queue; "" for a change that is as usual."""
    told = ["unconfirmed"] if row.get("status") == "unconfirmed" else []
    if row.get("reverts"):
        told.append(f"reverts C-{row['reverts']}")
    if row.get("alternates"):
        told.append("two variants")
    judged, total = row.get("pages_judged"), row.get("pages_total")
    if judged is not None and total is not None and judged < total:
        told.append(f"{judged} of {total} pages")
    return ", ".join(told)
