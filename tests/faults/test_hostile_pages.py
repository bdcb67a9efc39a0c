"""R30: hostile pages end in time, in a text that holds their last word or in a named error, and the reader lives on."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from policywatch.reading.rules import ExtractionError
from policywatchd.reader import BoundedError, Reader
from tests.reading.pdf_writing import column, pdf

pytestmark = pytest.mark.fault

LAST = "the-last-word-of-the-page"
SECONDS = 16.0
MAIN = {"select": ["main"]}
BODY = {"select": ["body"]}
REASONS = {"wall", "cpu", "memory", "died"}


def nested(count: int) -> bytes:
    return b"<main>" + b"<div>" * count + LAST.encode() + b"</div>" * count + b"</main>"


def one_text(count: int) -> bytes:
    return b"<main><p>" + b"word " * (count // 5) + LAST.encode() + b"</p></main>"


def attributes(count: int) -> bytes:
    names = b" ".join(b"a%d=1" % number for number in range(count))
    return b"<main><p %s>text</p><p>%s</p></main>" % (names, LAST.encode())


def unclosed(count: int) -> bytes:
    return b"<main>" + b"<p>a<a>" * count + LAST.encode()


def misnested(count: int) -> bytes:
    return b"<main>" + b"<b><p></b>" * count + LAST.encode() + b"</main>"


def tables(count: int) -> bytes:
    return b"<main>" + b"<table><tr><td>a" * count + LAST.encode() + b"</main>"


@dataclass(frozen=True, slots=True)
class Case:
    """One hostile body; `mark`: what must be found where a text comes back."""

    name: str
    body: bytes
    content_type: str = "text/html"
    rule: Mapping[str, Any] | None = None
    mark: str = LAST


PAGES: tuple[tuple[Callable[[int], bytes], tuple[int, int, int]], ...] = (
    (nested, (10_000, 50_000, 200_000)),
    (one_text, (100_000, 1_000_000, 10_000_000)),
    (attributes, (2_000, 20_000, 200_000)),
    (unclosed, (2_000, 20_000, 200_000)),
    (misnested, (500, 5_000, 50_000)),
    (tables, (200, 2_000, 20_000)),
)


def endless_pages() -> bytes:
    """A page tree that contains itself."""
    return pdf([column([LAST])]).replace(b"/Kids [4 0 R]", b"/Kids [2 0 R]")


def many_pages_claimed() -> bytes:
    return pdf([column([LAST])]).replace(b"/Count 1 ", b"/Count 2000000000 ")


def bomb(size: int) -> bytes:
    """A page whose compressed content is spaces without end, and then the last word."""
    packer = zlib.compressobj(9)
    spaces = b" " * 2**20
    packed = b"".join(packer.compress(spaces) for _ in range(size // 2**20))
    packed += packer.compress(b"BT /F1 11 Tf 72 700 Td (%s) Tj ET" % LAST.encode()) + packer.flush()
    plain = pdf([[]])
    head, _, rest = plain.partition(b"<< /Length 0 >>\nstream\n")
    return head + b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s" % (len(packed), packed) + rest


def crowded(pages: int) -> bytes:
    """300,000 letters on each page."""
    lines = [(1.0, 2.0 * line, 1.0, "ab" * 500) for line in range(1, 301)]
    return pdf([lines] * pages)


JSON = "application/json"
PDF = "application/pdf"
OTHERS = (
    Case("pdf with an endless page tree", endless_pages(), PDF, BODY),
    Case("pdf that claims two thousand million pages", many_pages_claimed(), PDF, BODY),
    Case("pdf bomb of 64 MiB", bomb(64 * 2**20), PDF, BODY),
    Case("pdf bomb of 2 GiB", bomb(2**31), PDF, BODY),
    Case("pdf with 3,000,000 letters", crowded(10), PDF, BODY, "a" * 1_000),
    Case("json nested 500,000 deep", b"[" * 500_000 + b"1" + b"]" * 500_000, JSON, {"select": ["$"]}, "1"),
    Case("json of open brackets", b"[" * 16_000_000, JSON, {"select": ["$"]}),
    Case(
        "json with a number of 10,000,000 digits",
        b'{"a": %s, "z": "%s"}' % (b"9" * 10_000_000, LAST.encode()),
        JSON,
        {"select": ["$.*"]},
    ),
    Case(
        "json with 300,000 values",
        b'{"a": [%s"x"], "z": "%s"}' % (b'"y",' * 300_000, LAST.encode()),
        JSON,
        {"select": ["$.a", "$.z"]},
    ),
)


async def ending(reader: Reader, case: Case) -> tuple[str, str, float]:
    """Name, how it ended, and after how many seconds."""
    began = time.monotonic()
    try:
        text = await reader.extract(case.body, case.content_type, case.rule or MAIN, "https://x.test/")
    except ExtractionError as error:
        how = f"refused: {error.code}" if error.what and error.code else "refused without a reason"
    except BoundedError as error:
        how = f"unusable: {error.reason}" if error.reason in REASONS else f"fault: {error.what}"
    else:
        how = "whole" if case.mark in text else "LOST"
    return case.name, how, time.monotonic() - began


async def endings(cases: Sequence[Case]) -> list[tuple[str, str, float]]:
    """All of them, by two readers side by side, which must read an ordinary page after each."""
    waiting = list(reversed(cases))
    found: list[tuple[str, str, float]] = []

    async def work() -> None:
        reader = Reader()
        try:
            while waiting:
                found.append(await ending(reader, waiting.pop()))
                assert await reader.extract(b"<main>Be kind.</main>", "text/html", MAIN, "") == "Be kind.\n"
        finally:
            await reader.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(work())
    for name, how, seconds in found:
        print(f"{name:45} {how:25} {seconds:5.1f} s")
    return found


def held(found: Sequence[tuple[str, str, float]]) -> list[tuple[str, str, float]]:
    """Those that ended badly."""
    return [
        one
        for one in found
        if one[2] > SECONDS or not (one[1] == "whole" or one[1].startswith(("refused: ", "unusable: ")))
    ]


async def test_hostile_html_is_read_to_its_last_word_or_is_unusable_with_a_reason() -> None:
    cases = [Case(f"{make.__name__} {size:,}", make(size)) for make, sizes in PAGES for size in sizes]

    found = await endings(cases)

    assert held(found) == []
    assert len(found) == 18
    ends = {name: how for name, how, _ in found}
    for make, sizes in PAGES:  # what an ordinary page may hold is read
        assert ends[f"{make.__name__} {sizes[0]:,}"] == "whole"


async def test_hostile_pdf_and_json_are_read_whole_or_refused_with_a_reason() -> None:
    found = await endings(OTHERS)

    assert held(found) == []
    ends = {name: how for name, how, _ in found}
    assert ends["pdf with 3,000,000 letters"] == "refused: too_large"
    assert ends["json nested 500,000 deep"] == "refused: broken"
    assert ends["json with a number of 10,000,000 digits"] == "whole"
