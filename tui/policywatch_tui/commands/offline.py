"""Whether the causes of trouble say that this computer, and not a platform, is the reason."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["offline_words"]

_NO_NAME = " is not known"  # as the wall says it of a name that no resolver answers


def offline_words(causes: Iterable[str | None]) -> str:
    """A sentence with a remedy where nothing but names that nobody knows keeps pages from being read; else empty."""
    told = {cause for cause in causes if cause and cause != "not looked at yet"}
    # One name alone may be a platform's; names of several hosts are not gone at the same time.
    if len(told) < 2 or not all("the name " in cause and _NO_NAME in cause for cause in told):
        return ""
    return "No host's name can be looked up: is this computer on the network, and its resolver right?"
