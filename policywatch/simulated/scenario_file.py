"""A scenario out of its JSON file: every key taken once, impossible values and unknown keys refused by name.

The schema is documented in `docs/scenario.md`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar, cast

from policywatch.errors import UsageError
from policywatch.settings.quantities import parse_duration
from policywatch.simulated.scenario import (
    Bad,
    BadKind,
    ChangeKind,
    Changes,
    Documents,
    Noise,
    NoiseKind,
    Outside,
    Real,
    Scenario,
    Server,
    Validators,
)

__all__ = ["load", "parse"]

T = TypeVar("T", bound=StrEnum)


def load(path: Path) -> Scenario:
    """The scenario of a file. Raises UsageError that names the file and the key."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"{path} cannot be read: {fault}.", remedy="Name a scenario file.") from None
    try:
        written = json.loads(text)
    except ValueError as fault:
        raise UsageError(
            f"{path} is no JSON: {fault}.", remedy="docs/scenario.md describes the file."
        ) from None
    try:
        return parse(written)
    except UsageError as fault:
        raise UsageError(f"{path}: {fault.what}", remedy=fault.remedy) from None


def parse(written: object) -> Scenario:
    """The scenario out of plain types. Raises UsageError that names the key."""
    root = _Keys("", written)
    server, documents = root.take("server", None), root.take("documents", {})
    outside = () if server is None else _outside(documents)
    parts: dict[str, Any] = {
        "name": root.words("name", "scenario"),
        "seed": root.whole("seed", 1, low=0, high=2**31),
        "rounds": root.whole("rounds", 30, low=1, high=1000),
        "cadence": root.duration("cadence", "12 h"),
        "documents": Documents() if outside else _documents(documents),
        "noise": _noise(root.take("noise", {})),
        "bad": _bad(root.take("bad", {})),
        "changes": _changes(root.take("changes", {})),
        "flapping": root.share("flapping", 0.0),
        "moved": root.share("moved", 0.0),
        "refused": root.share("refused", 0.0),
        "ports": root.whole("ports", 1, low=1, high=16),
        "delay": root.seconds("delay", 0.0),
        "fetch": root.table("fetch"),
        "rule": root.table("rule"),
        "server": _server(server),
        "outside": outside,
        "truth": _truth(root.take("truth", None), {one.name for one in outside}),
    }
    root.end()
    if parts["truth"] is not None and server is None:
        raise _fault("truth", "is written for an outside server only; without one it follows from the seed")
    return Scenario(**parts)


def _documents(written: object) -> Documents:
    keys = _Keys("documents", written)
    count = keys.whole("count", 200, low=1, high=50_000)
    found = Documents(
        count=count,
        platforms=keys.whole("platforms", max(1, count // 4), low=1, high=count),
        hosts=keys.whole("hosts", max(1, count // 5), low=1, high=count),
        pages=tuple(keys.numbers("pages", (1,), low=1, high=60)),
        validators=keys.kinds("validators", Validators),
    )
    keys.end()
    if found.hosts > found.platforms:
        raise _fault("documents.hosts", "cannot be more than documents.platforms: a platform has one host")
    return found


def _noise(written: object) -> Noise:
    keys = _Keys("noise", written)
    found = Noise(keys.share("share", 0.3), keys.kinds("kinds", NoiseKind))
    keys.end()
    return found


def _bad(written: object) -> Bad:
    keys = _Keys("bad", written)
    found = Bad(
        share=keys.share("share", 0.0),
        rounds=keys.span("rounds", (5, 25)),
        lasting=keys.span("lasting", (1, 3)),
        brief=keys.share("brief", 0.2),
        kinds=keys.kinds("kinds", BadKind),
    )
    keys.end()
    return found


def _changes(written: object) -> Changes:
    keys = _Keys("changes", written)
    found = Changes(
        count=keys.whole("count", 0, low=0, high=1_000_000),
        rounds=keys.span("rounds", (1, 30)),
        old_last_modified=keys.share("old_last_modified", 0.2),
        no_validators=keys.share("no_validators", 0.1),
        lying=keys.share("lying", 0.0),
        kinds=keys.kinds("kinds", ChangeKind),
    )
    keys.end()
    if found.old_last_modified + found.no_validators + found.lying > 1:
        raise _fault("changes", "its shares of validators come to more than 1")
    return found


def _server(written: object) -> Server | None:
    if written is None:
        return None
    keys = _Keys("server", written)
    host = keys.words("host", "127.0.0.1")
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise _fault("server.host", "must be an address of this machine's loopback, such as 127.0.0.1")
    advance = keys.take("advance", None)
    if advance is not None and not (isinstance(advance, str) and advance.startswith("/")):
        raise _fault("server.advance", 'must be a path such as "/round/{round}"')
    found = Server(host, keys.whole("port", 0, low=1, high=65535), advance)
    keys.end()
    return found


def _outside(written: object) -> tuple[Outside, ...]:
    if not isinstance(written, Sequence) or isinstance(written, str) or not written:
        raise _fault("documents", "must be a list of documents where there is a server")
    found = list[Outside]()
    for number, one in enumerate(written):
        keys = _Keys(f"documents[{number}]", one)
        platform, key = keys.words("platform", "outside"), keys.words("key", f"document-{number}")
        settings = {"name": keys.words("name", key.replace("-", " ").capitalize())}
        pages = keys.take("pages", None)
        if not isinstance(pages, Sequence) or not pages:
            raise _fault(f"documents[{number}].pages", "must be a list of {url, select, remove, filters}")
        language = keys.words("language", "en")
        keys.end()
        found.append(Outside(platform, key, {**settings, "language": language, "pages": list(pages)}))
    if len({one.name for one in found}) != len(found):
        raise _fault("documents", "names a document twice")
    return tuple(found)


def _truth(written: object, known: set[str]) -> tuple[Real, ...] | None:
    if written is None:
        return None
    if not isinstance(written, Sequence) or isinstance(written, str):
        raise _fault("truth", "must be a list of {round, document}")
    found = list[Real]()
    for number, one in enumerate(written):
        keys = _Keys(f"truth[{number}]", one)
        found.append(Real(keys.whole("round", 0, low=1, high=1000), keys.words("document", "")))
        keys.end()
        if found[-1].document not in known:
            raise _fault(f"truth[{number}].document", "names no document of the scenario")
    return tuple(found)


# Values ----------------------------------------------------------------------------------------------


def _fault(key: str, what: str) -> UsageError:
    return UsageError(f"{key} {what}.", remedy="docs/scenario.md describes the file.")


class _Keys:
    """The keys of one object of the file: each is taken once, and what is left at the end is unknown."""

    def __init__(self, place: str, written: object) -> None:
        if not isinstance(written, Mapping):
            raise _fault(place or "the file", "must be an object")
        self._place, self._left = place, dict(written)

    def _key(self, name: str) -> str:
        return f"{self._place}.{name}" if self._place else name

    def take(self, name: str, default: object) -> object:
        return self._left.pop(name, default)

    def end(self) -> None:
        if self._left:
            raise _fault(self._key(sorted(map(str, self._left))[0]), "is no key of a scenario")

    def words(self, name: str, default: str) -> str:
        value = self.take(name, default)
        if not isinstance(value, str) or not value or len(value) > 200:
            raise _fault(self._key(name), "must be words")
        return value

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        value = self.take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _fault(self._key(name), f"must be a whole number from {low} to {high}")
        return value

    def _number(self, name: str, default: float, high: float) -> float:
        value = self.take(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= high:
            raise _fault(self._key(name), f"must be a number from 0 to {high:g}")
        return float(value)

    def share(self, name: str, default: float) -> float:
        return self._number(name, default, 1.0)

    def seconds(self, name: str, default: float) -> float:
        return self._number(name, default, 60.0)

    def duration(self, name: str, default: str) -> timedelta:
        try:
            return parse_duration(cast("Any", self.take(name, default)))
        except (TypeError, ValueError):
            raise _fault(self._key(name), 'must be a duration such as "12 h"') from None

    def numbers(self, name: str, default: Sequence[int], *, low: int, high: int) -> list[int]:
        value = self.take(name, list(default))
        numbers = value if isinstance(value, list) else [value]
        found = [one for one in numbers if isinstance(one, int) and not isinstance(one, bool)]
        if not found or len(found) < len(numbers) or not all(low <= one <= high for one in found):
            raise _fault(self._key(name), f"must be whole numbers from {low} to {high}")
        return found

    def span(self, name: str, default: tuple[int, int]) -> tuple[int, int]:
        value = self.numbers(name, default, low=1, high=1000)
        if len(value) != 2 or value[0] > value[1]:
            raise _fault(self._key(name), "must be the first and the last of it")
        return value[0], value[1]

    def kinds(self, name: str, known: type[T]) -> tuple[T, ...]:
        value = self.take(name, [kind.value for kind in known])
        words = {kind.value for kind in known}
        if not isinstance(value, list) or not value or not words.issuperset(map(str, value)):
            raise _fault(self._key(name), f"must be of: {', '.join(sorted(words))}")
        return tuple(known(one) for one in dict.fromkeys(value))

    def table(self, name: str) -> dict[str, Any]:
        value = self.take(name, {})
        if not isinstance(value, Mapping):
            raise _fault(self._key(name), "must be an object")
        return dict(value)
