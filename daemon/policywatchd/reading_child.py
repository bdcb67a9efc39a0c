"""The side of `reader` that runs in the bounded child: foreign bytes and texts in, plain facts out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from policywatch.reading import (
    analyse,
    compare,
    extract,
    needs_js,
    preview,
    quality,
    resemblance,
    selectors,
    volatile,
)
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
        case "quality":
            return _quality(*arguments)
        case "resembles":
            return _resembles(*arguments)
        case "volatile":
            return _volatile(*arguments)
        case "preview":
            return _preview(*arguments)
        case "warnings":
            return _warnings(*arguments)
        case "shell":
            return _shell(*arguments)
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


def _quality(
    look: Mapping[str, Any],
    head: bytes,
    lengths: list[int],
    last: str | None,
    neighbours: list[str],
    language: str,
) -> dict[str, Any]:
    text = str(look["text"])
    past = quality.since(lengths, last, [bytes.fromhex(one) for one in neighbours])
    seen = quality.Look(**look, head=head.decode("utf-8", "replace")[:20_000])
    kept = 1.0 if last is None else resemblance.kept(text, last)
    return {**quality.judge(seen, past, language).to_json(), "hashes": _hashes(text), "kept": kept}


def _resembles(text: str, last: str, others: list[str], own: str, names: list[str]) -> str:
    """What the text is rather, in words; "" where it is nothing else."""
    if name := resemblance.titled_as(text, last, own, names):
        return f'it bears the name of another document, "{name}"'
    return (
        "most of it stands on another page of the platform"
        if resemblance.resembles(text, last, others)
        else ""
    )


def _shell(body: bytes, content_type: str) -> str | None:
    shell = needs_js.shell_of(body, content_type)
    return shell.words if shell is not None and shell.is_built_by_script else None


def _volatile(first: str, second: str) -> list[dict[str, Any]]:
    return [passage.to_json() for passage in volatile.volatile([first, second])]


def _warnings(rule: Mapping[str, Any]) -> list[str]:
    return [f"{one.why} {one.remedy}" for one in selectors.fragile(Rule.from_json(rule))]


def _preview(
    before: bytes,
    before_type: str,
    after: bytes,
    after_type: str,
    url: str,
    current: Mapping[str, Any],
    proposed: Mapping[str, Any],
) -> dict[str, Any]:
    past = preview.PastChange(
        1, before, after, accepted=False, url=url, before_type=before_type, after_type=after_type
    )
    return preview.preview([past], Rule.from_json(current), Rule.from_json(proposed)).to_json()
