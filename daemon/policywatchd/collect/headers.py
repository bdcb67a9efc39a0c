"""Headers as they come and go over the wire. Values and tables only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["encoded", "kept", "named", "retry_after"]

_LONGEST_WAIT = 24 * 3600.0
_KEPT_HEADERS = (
    "content-type", "content-length", "content-encoding", "content-language", "etag", "last-modified", "date",
    "cache-control", "expires", "vary", "retry-after", "location", "server",
)  # fmt: skip


def encoded(value: str) -> bytes:
    """A value of ours or of the settings; what the server said goes back as it came."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8")


def named(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """By name in lower case; what comes twice is one list, as HTTP has it."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """What is stored of an answer's headers."""
    return {name: _printable(headers[name][:500]) for name in _KEPT_HEADERS if name in headers}


def _printable(value: str) -> str:
    shown = value if value.isprintable() else "".join(sign for sign in value if sign.isprintable())
    return shown.strip()  # a validator goes back in a header, which has no blanks around its value


def retry_after(value: str, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks to wait (a number or a date), at most a day; None for neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_WAIT) if len(value) < 12 else _LONGEST_WAIT
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - (now or datetime.now(UTC))).total_seconds(), 0.0), _LONGEST_WAIT)
