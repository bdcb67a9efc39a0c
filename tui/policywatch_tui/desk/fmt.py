"""Numbers, ages and columns as the desk writes them; cut by cells of the terminal, never by characters."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from rich.cells import set_cell_size

from policywatch.domain.changes import Severity
from policywatch_tui.desk.line import cells

__all__ = [
    "age",
    "clock",
    "countdown",
    "cut",
    "long_age",
    "number",
    "pad",
    "pad_left",
    "severity_word",
    "words",
]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))
_SEVERITY = {
    Severity.CRITICAL: "CRIT",
    Severity.HIGH: "high",
    Severity.MEDIUM: "med",
    Severity.LOW: "low",
    Severity.NONE: "none",
}


def age(since: datetime | None, now: datetime) -> str:
    """One unit: `40s`, `5m`, `2h`, `3d`; `-` for never; what lies ahead is `now`."""
    if since is None:
        return "-"
    seconds = int((now - since).total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "now"


def long_age(since: datetime | None, now: datetime) -> str:
    """Two units: `3d 4h`, `2h 10m`, `5m`."""
    if since is None:
        return "-"
    return _two_units(int((now - since).total_seconds())) or "now"


def _two_units(seconds: int) -> str:
    parts: list[str] = []
    for size, unit in _UNITS:
        count, seconds = divmod(max(0, seconds), size)
        if count or parts:
            parts.append(f"{count}{unit}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0"))


def countdown(until: datetime, now: datetime) -> str:
    """What is left: `1h 5m`, `12m`, and by the second in the last minute only: `42s`."""
    left = until - now
    if left <= timedelta(0):
        return "due"
    seconds = int(left.total_seconds())
    return _two_units(seconds) if seconds >= 60 else f"{max(1, seconds)}s"


def clock(at: datetime | None, zone: tzinfo, now: datetime | None = None) -> str:
    """`12:33` today, `12 Nov 12:33` on another day of the same year, with the year otherwise."""
    if at is None:
        return "-"
    local = at.astimezone(zone)
    today = now.astimezone(zone).date() if now else None
    if today == local.date():
        return local.strftime("%H:%M")
    if today is None or today.year == local.year:
        return f"{local.day} {local.strftime('%b %H:%M')}"
    return f"{local.day} {local.strftime('%b %Y %H:%M')}"


def number(value: int) -> str:
    """With commas: `4,812`."""
    return f"{value:,}"


def words(added: int, removed: int) -> str:
    """The larger side of a change's words: `+412`, `-58`; `0` where none is counted."""
    if not added and not removed:
        return "0"
    return f"+{added}" if added >= removed else f"-{removed}"


def severity_word(severity: Severity) -> str:
    """At most four letters; the worst one in capitals, so that it stands out without colour."""
    return _SEVERITY[severity]


def cut(text: str, width: int) -> str:
    """The text in at most `width` cells; a cut is shown by `+` at the end."""
    if width <= 0:
        return ""
    if cells(text) <= width:
        return text
    head = text[: width - 1] if text.isascii() else set_cell_size(text, width - 1)
    return head + "+"


def pad(text: str, width: int) -> str:
    """The text in exactly `width` cells, at the left."""
    short = cut(text, width)
    return short + " " * (width - cells(short)) if width > 0 else ""


def pad_left(text: str, width: int) -> str:
    """The text in exactly `width` cells, at the right."""
    short = cut(text, width)
    return " " * (width - cells(short)) + short if width > 0 else ""
