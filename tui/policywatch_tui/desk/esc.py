"""Two fences before the keys: split escape sequences, and keys that repeat by themselves.

A slow line can tear `ESC [ A` apart; the rest then arrives as typed letters and would act. Directly after a
lone escape, `[` or `O` and what follows up to a final byte is swallowed. And a held verdict key repeats
every 33 ms: the same key again within a quarter of a second is not meant.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RepeatGuard", "SplitGuard"]

_GAP_SECONDS = 1.0
_LONGEST = 40
_PARAMETERS = frozenset("0123456789;:<=>?!\"#$%&'()*+,-./ ")


@dataclass(slots=True)
class SplitGuard:
    """Feed it every key; it says which ones are the tail of a torn sequence."""

    state: str = "ground"
    last: float = float("-inf")
    length: int = 0

    def swallows(self, key: str, mono: float) -> bool:
        """Whether this key (one character, or a name as `escape`) must not reach the bindings."""
        late = mono - self.last > _GAP_SECONDS
        self.last = mono
        if late:
            self.state = "ground"
        if key == "escape":
            self.state, self.length = "escape", 0
            return False
        if self.state == "escape":
            self.state = {"[": "csi", "O": "ss3"}.get(key, "ground")
            return self.state != "ground"
        if self.state == "ss3":
            self.state = "ground"
            return True
        if self.state == "csi":
            self.length += 1
            if len(key) != 1 or self.length > _LONGEST:
                self.state = "ground"
                return False
            if key not in _PARAMETERS:
                self.state = "ground"
            return True
        return False


@dataclass(slots=True)
class RepeatGuard:
    """The same writing key again within `seconds`, measured from its last arrival, is not meant."""

    seconds: float = 0.25
    key: str = ""
    last: float = float("-inf")

    def allows(self, key: str, mono: float) -> bool:
        """Whether this key may write now."""
        repeated = key == self.key and mono - self.last < self.seconds
        self.key, self.last = key, mono
        return not repeated
