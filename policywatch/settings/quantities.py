"""Durations, sizes, shares and times of day as people write them ("5 min", "8 MiB", "2 %", "08:00 UTC").

Not here: which setting has which quantity (`model`).
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

__all__ = [
    "DayTimeOrOff",
    "Duration",
    "DurationOrOff",
    "Share",
    "Size",
    "day_time",
    "format_duration",
    "format_size",
    "parse_duration",
]

_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "w": 604800.0,
    "week": 604800.0,
}
_SIZES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^\s*[0-9.]+\s*[a-z]*(\s+[0-9.]+\s*[a-z]+)*\s*$"},
    ],
    "examples": ["30 s", "5 min", "12 h", "7 d"],
}
LONGEST = timedelta(days=36500)


def parse_duration(written: object) -> timedelta:
    """The duration of "30 s", "5 min", "1 h 30 min", "12 h", "7 d", or of a number of seconds.

    Raises ValueError with the expectation in words. "m" alone is refused: minutes and months look alike.
    """
    expected = 'must be a duration such as "30 s", "5 min", "12 h" or "7 d"'
    if isinstance(written, timedelta):
        return written
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        raise ValueError(expected)
    if isinstance(written, int | float):
        seconds = float(written)
    else:
        text = written.strip().lower()
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            seconds = float(text)
        else:
            parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)\s*", text)
            rest = re.sub(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)\s*", "", text)
            if not parts or rest:
                raise ValueError(expected)
            seconds = 0.0
            for number, unit in parts:
                size = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
                if size is None:
                    raise ValueError(expected)
                seconds += float(number) * size
    if not 0 <= seconds <= LONGEST.total_seconds():
        raise ValueError("must be a duration from 0 to 100 years")
    return timedelta(seconds=seconds)


def format_duration(length: timedelta) -> str:
    """The duration in its largest whole unit: "5 min", "24 h", "7 d"."""
    seconds = length.total_seconds()
    for unit, size, least in (("d", 86400, 2), ("h", 3600, 1), ("min", 60, 1)):
        if seconds >= size * least and seconds % size == 0:
            return f"{int(seconds // size)} {unit}"
    if seconds == int(seconds):
        return f"{int(seconds)} s"
    return f"{round(seconds * 1000)} ms" if seconds < 1 else f"{seconds:g} s"


def _duration_or_off(written: object) -> timedelta | None:
    if written is None or written is False or (isinstance(written, str) and written.strip().lower() == "off"):
        return None
    try:
        return parse_duration(written)
    except ValueError as fault:
        raise ValueError(f"{fault}, or off") from None


def _size(written: object) -> int:
    expected = 'must be a size such as "512 KiB" or "8 MiB"'
    if isinstance(written, int) and not isinstance(written, bool):
        number, unit = float(written), "b"
    elif isinstance(written, str):
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", written)
        if found is None:
            raise ValueError(expected)
        number, unit = float(found[1]), (found[2] or "b").lower()
    else:
        raise ValueError(expected)
    if unit not in _SIZES or number < 0:
        raise ValueError(expected)
    return int(number * _SIZES[unit])


def format_size(size: int) -> str:
    """The size in its largest whole binary unit: "8 MiB"."""
    for unit, bytes_each in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size >= bytes_each and size % bytes_each == 0:
            return f"{size // bytes_each} {unit}"
    return f"{size} B"


def _share(written: object) -> float:
    expected = 'must be a share such as "2 %" or 0.02'
    if isinstance(written, str):
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)\s*", written)
        if found is None:
            raise ValueError(expected)
        share = float(found[1]) / (100 if found[2] else 1)
    elif isinstance(written, int | float) and not isinstance(written, bool):
        share = float(written)
    else:
        raise ValueError(expected)
    if not 0 <= share <= 1:
        raise ValueError("must be a share from 0 % to 100 %")
    return share


def day_time(written: str) -> tuple[time, ZoneInfo]:
    """Time of day and zone of "08:00" (UTC) or "08:00 Europe/Berlin". ValueError with the expectation in words."""
    found = re.fullmatch(r"\s*([0-9]{1,2}):([0-9]{2})(?:\s+([A-Za-z][A-Za-z0-9_+/-]*))?\s*", written)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError('must be a time of day such as "08:00 UTC" or "08:00 Europe/Berlin"')
    try:
        zone = ZoneInfo(found[3] or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"must name a time zone that this machine knows, and {found[3]} is none") from None
    return time(int(found[1]), int(found[2])), zone


def _day_time_or_off(written: object) -> str | None:
    if written is None or written is False or (isinstance(written, str) and written.strip().lower() == "off"):
        return None
    if not isinstance(written, str):
        raise ValueError('must be a time of day such as "08:00 UTC", or off')
    at, zone = day_time(written)
    return f"{at:%H:%M} {zone.key}"


def _off_or(length: timedelta | None) -> Any:
    return "off" if length is None else format_duration(length)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(_DURATION_SCHEMA),
]
DurationOrOff = Annotated[
    timedelta | None,
    BeforeValidator(_duration_or_off),
    PlainSerializer(_off_or, return_type=str, when_used="json"),
    WithJsonSchema({"anyOf": [*_DURATION_SCHEMA["anyOf"], {"const": "off"}, {"type": "null"}]}),
]
DayTimeOrOff = Annotated[
    str | None,
    BeforeValidator(_day_time_or_off),
    PlainSerializer(lambda at: "off" if at is None else at, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*[0-9]{1,2}:[0-9]{2}(\s+[A-Za-z][A-Za-z0-9_+/-]*)?\s*$"},
                {"const": "off"},
                {"type": "null"},
            ],
            "examples": ["08:00 UTC", "08:00 Europe/Berlin"],
        }
    ),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(ge=0),
    PlainSerializer(format_size, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*[0-9.]+\s*([kKmMgG]i?)?[bB]?\s*$"},
            ],
            "examples": ["512 KiB", "8 MiB"],
        }
    ),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    PlainSerializer(lambda share: f"{share * 100:g} %", return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\s*[0-9.]+\s*%?\s*$"},
            ],
            "examples": ["2 %"],
        }
    ),
]
