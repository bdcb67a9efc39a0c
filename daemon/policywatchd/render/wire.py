"""What daemon and render service say to each other: one JSON line each way, then the connection ends.

Both sides read foreign lines: what is not exactly of this shape, or too long, is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from policywatch.errors import PolicyWatchError

__all__ = ["LINE", "PING", "Answer", "Ask", "BadLine", "host_of"]

#: Longest line that a request may have, in bytes.
LINE = 128 * 1024
#: The line that only asks whether somebody is there; answered with facts of the service.
PING = b'{"ping": true}\n'
_LONGEST, _LARGEST = 600.0, 64 * 1024 * 1024
_SENTENCE, _ADDRESS, _HOPS = 500, 64 * 1024, 50  # characters, characters, redirects


class BadLine(PolicyWatchError):
    """A line that is no request, or no answer."""


def host_of(url: str) -> str:
    """The host of an address in lower case; empty where it has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A page to render. `timeout` in seconds over all; `max_bytes` of HTML; `watch`: selectors whose text must settle."""

    url: str
    user_agent: str
    accept_language: str = "en"
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 60.0
    max_bytes: int = 16 * 1024 * 1024
    watch: tuple[str, ...] = ()

    def line(self) -> bytes:
        """As it goes over the socket."""
        return json.dumps({**asdict(self), "headers": dict(self.headers)}).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Ask:
        """Read a request. Raises BadLine."""
        found = _object(line)
        headers, watch = found.get("headers", {}), found.get("watch", [])
        if not isinstance(headers, dict) or not isinstance(watch, list):
            raise BadLine("headers must be an object and watch a list.")
        try:
            ask = cls(
                url=str(found["url"]),
                user_agent=str(found["user_agent"]),
                accept_language=str(found.get("accept_language", "en")),
                headers={str(name): str(value) for name, value in headers.items()},
                timeout=float(found.get("timeout", 60.0)),
                max_bytes=int(found.get("max_bytes", 16 * 1024 * 1024)),
                watch=tuple(str(selector) for selector in watch),
            )
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise BadLine(f"The request is not complete: {error}.") from None
        if not host_of(ask.url) or urlsplit(ask.url).scheme not in ("http", "https"):
            raise BadLine("Only pages of the web are rendered: http or https.")
        if not 0 < ask.timeout <= _LONGEST or not 0 < ask.max_bytes <= _LARGEST:
            raise BadLine("timeout or max_bytes are out of bounds.")
        return ask


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it. `cause` says in a sentence why there is no `html`, `code` names the kind of cause.

    `location`: the page leads to another host (or scheme), to which nothing was sent: whoever asked decides.
    """

    status: int | None = None
    final_url: str = ""
    redirects: tuple[dict[str, str | int], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    html: str = ""
    cause: str | None = None
    code: str | None = None
    location: str | None = None
    elapsed: float = 0.0

    def line(self) -> bytes:
        """As it goes over the socket."""
        plain = asdict(self) | {"headers": dict(self.headers), "redirects": list(self.redirects)}
        return json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Answer:
        """Read an answer. Raises BadLine."""
        found = _object(line)
        try:
            location, cause, code = found["location"], found["cause"], found["code"]
            if len(found["redirects"]) > _HOPS:
                raise BadLine("The answer has too many redirects.")
            return cls(
                status=None if found["status"] is None else _status(found["status"]),
                final_url=_address(found["final_url"]),
                redirects=tuple(_hop(hop) for hop in found["redirects"]),
                headers={str(name): str(value) for name, value in found["headers"].items()},
                html=str(found["html"]),
                cause=None if cause is None else _printable(cause, _SENTENCE),
                code=None if code is None else _printable(code, 40),
                location=None if location is None else _address(location),
                elapsed=_seconds(found["elapsed"]),
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise BadLine(f"The answer is not complete: {error}.") from None


def _hop(found: Mapping[str, Any]) -> dict[str, str | int]:
    return {
        "status": _status(found["status"]),
        "from": _address(found["from"]),
        "to": _address(found["to"]),
    }


def _status(said: Any) -> int:
    if not 100 <= (status := int(said)) <= 999:
        raise ValueError("no status")
    return status


def _seconds(said: Any) -> float:
    if not 0 <= (seconds := float(said)) < float("inf"):
        raise ValueError("no time")
    return seconds


def _address(said: Any) -> str:
    if len(address := str(said)) > _ADDRESS:
        raise ValueError("too long an address")
    return _printable(address, _ADDRESS)


def _printable(said: Any, most: int) -> str:
    """Text of the other side as it may stand in tables and logs."""
    return "".join(sign if sign.isprintable() else " " for sign in str(said)[:most])


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise BadLine("The line is no JSON.") from None
    if not isinstance(found, dict):
        raise BadLine("The line is no JSON object.")
    return found
