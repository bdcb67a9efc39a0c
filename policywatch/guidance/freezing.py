"""Hashes that an approval binds: of a wording, of a segment's definition, and of the whole question.

They equal those that the database makes for itself (triggers of the first migration), so that desk and daemon
can check what they show and send without asking.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from policywatch.domain.guidance import Revision

__all__ = ["approval_digest", "content_hash", "definition_hash", "in_groups", "jsonb_text"]


def jsonb_text(value: Any) -> str:
    """A JSON value as PostgreSQL prints a jsonb: `, ` and `: `, keys by length and then by octets, no escapes
    beyond the necessary ones. Numbers must be whole."""
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{jsonb_text(key)}: {jsonb_text(value[key])}" for key in keys) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(jsonb_text, value)) + "]"
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a text must not hold the character NUL")
    if value is None or isinstance(value, str | bool | int):
        return json.dumps(value, ensure_ascii=False)
    raise TypeError(f"{type(value).__name__} has no place in a hash")


def _sha256(value: Any) -> bytes:
    return hashlib.sha256(jsonb_text(value).encode()).digest()


def content_hash(revision: Revision) -> bytes:
    """32 octets that change with any sign of subject, text or HTML."""
    return _sha256([revision.subject, revision.text, revision.html])


def definition_hash(criteria: Mapping[str, Any]) -> bytes:
    """32 octets that change with what a segment means, and not with its name or the order of its columns."""
    return _sha256(criteria)


def approval_digest(*, content: bytes, definition: bytes, count: int) -> bytes:
    """32 octets over all that a second person says yes to: wording, segment, and how many people it is."""
    if count < 0:
        raise ValueError("a count of recipients is 0 or more")
    return _sha256({"v": 1, "content": content.hex(), "segment": definition.hex(), "count": count})


def in_groups(digest: bytes, groups: int = 3) -> str:
    """The beginning of a digest as people read it aloud: `9f2c 41aa 7be0`."""
    text = digest.hex()
    return " ".join(text[start : start + 4] for start in range(0, 4 * groups, 4))
