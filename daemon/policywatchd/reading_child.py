"""The side of `reader` that runs in the bounded child: foreign bytes and texts in, plain facts out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from policywatch.reading import analyse, compare, extract
from policywatch.reading.rules import Rule

__all__ = ["work"]


def work(task: str, *arguments: Any) -> Any:
    """Do one task of `reader.Reader`; the answer is plain (JSON)."""
    match task:
        case "extract":
            return _extract(*arguments)
        case "hashes":
            return _hashes(*arguments)
        case "judge":
            return _judge(*arguments)
        case _:
            raise ValueError(f"there is no task {task!r}")


def _extract(body: bytes, content_type: str, rule: Mapping[str, Any], base_url: str) -> str:
    return extract.extract(body, content_type, Rule.from_json(rule), base_url)


def _hashes(text: str) -> list[str]:
    return [compare.reader_hash(text).hex(), compare.link_hash(text).hex()]


def _judge(before: str, after: str, at: str, document: str, platform: str) -> dict[str, Any]:
    comparison = compare.compare(before, after)
    analysis = analyse.analyse(comparison, at=date.fromisoformat(at), document=document, platform=platform)
    return {"comparison": comparison.to_json(), "analysis": analysis.to_json()}
