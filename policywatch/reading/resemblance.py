"""Whether a text is rather that of another page: most of its lines stand there, and far fewer in its own past.

An equal text is found by its hash (`quality`); this finds the other page in a newer wording than the one we know.
Pure; for the rare text that has little in common with its own past.
"""

from __future__ import annotations

from collections.abc import Sequence

from policywatch.reading.blocks import BlockKind, read_lines

__all__ = ["kept", "resembles", "titled_as"]

_LONG = 40  # characters: shorter lines stand on every page
_THEIRS, _OURS, _MORE = 0.6, 0.6, 0.3  # shares of the text's long lines: at least, below, and the difference


def kept(text: str, last: str) -> float:
    """The share of the text's long lines that its own past knows; 1 for a text without any."""
    return _share(_lines(text), _lines(last))


def resembles(text: str, last: str, others: Sequence[str]) -> bool:
    """Whether `text` has more of another page's last text than of its own."""
    lines = _lines(text)
    ours = _share(lines, _lines(last))
    if ours >= _OURS:
        return False
    return any(_share(lines, _lines(other)) >= max(_THEIRS, ours + _MORE) for other in others)


def titled_as(text: str, last: str, own: str, others: Sequence[str]) -> str:
    """The name (of `others`) that the text's first heading bears, where its own name stood before; "" for none."""
    title, before, mine = _title(text), _title(last), own.casefold()
    if mine in title or mine not in before:
        return ""
    return next((name for name in others if name and name.casefold() in title), "")


def _title(text: str) -> str:
    for line in read_lines(text):
        if line.kind is BlockKind.HEADING:
            return line.text.casefold()
    return ""


def _share(lines: frozenset[str], known: frozenset[str]) -> float:
    return len(lines & known) / len(lines) if lines else 1.0


def _lines(text: str) -> frozenset[str]:
    return frozenset(line.key for line in read_lines(text) if len(line.key) >= _LONG)
