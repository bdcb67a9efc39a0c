"""What names, indexes and a render service say is foreign: it steers no path and reaches no table as it came."""

from __future__ import annotations

import csv
import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from policywatch.errors import UsageError
from policywatch_tui.commands.evidence import folder_name
from policywatchd.collect.archives import webarchive
from policywatchd.collect.archives.pieces import BadPiece, indexed
from policywatchd.render.wire import Answer, Ask, BadLine


@pytest.mark.parametrize(
    "name", ["..", ".", "", "../../etc", "/etc", "..\\x", ".hidden", "a\x1b[2J\nb", "a\x00b"]
)
def test_no_name_is_a_way_out_of_the_folder_of_an_export(name: str, tmp_path: Path) -> None:
    place = (tmp_path / folder_name(name)).resolve()

    assert place.parent == tmp_path.resolve() and not place.name.startswith(".")
    assert place.name.isprintable()


def test_an_ordinary_name_stays_as_it_is() -> None:
    assert folder_name("Terms of Service – EU/EEA") == "Terms of Service – EU-EEA"


def _answer(**changed: object) -> bytes:
    return json.dumps(json.loads(Answer(200, "http://x.test/").line()) | changed).encode()


@pytest.mark.parametrize(
    "changed",
    [
        {"status": 99999},
        {"status": -1},
        {"status": float("inf")},
        {"elapsed": float("nan")},
        {"final_url": "http://x.test/" + "a" * 100_000},
        {"redirects": [{"status": 301, "from": "a", "to": "b"}] * 1000},
    ],
)
def test_an_answer_beyond_what_pages_are_is_no_answer(changed: dict[str, object]) -> None:
    with pytest.raises(BadLine):
        Answer.parse(_answer(**changed))


def test_what_an_answer_says_is_printable() -> None:
    found = Answer.parse(
        _answer(
            cause="the address gives \x1b[31m\x00\ud800",
            code="ki\nnd",
            final_url="http://x.test/\x00\ud800",
            location="http://x.test/\x1b",
            redirects=[{"status": 301, "from": "http://x.test/\x00", "to": "\ud800"}],
        )
    )

    (hop,) = found.redirects
    said = (found.cause, found.code, found.final_url, found.location, hop["from"], hop["to"])
    assert all(one is not None and str(one).isprintable() for one in said)


def test_an_address_that_is_none_is_a_bad_request() -> None:
    with pytest.raises(BadLine):
        Ask.parse(json.dumps({"url": "http://[x/", "user_agent": "a"}).encode())


@pytest.mark.parametrize("head", [b"X: " + b"a" * 64_000_000, b"X: a\r\n" * 3_000_000])
def test_the_head_of_a_record_that_does_not_end_is_not_taken_into_memory(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gzip.compress(b"WARC/1.0\r\nWARC-Type: response\r\n" + head, 1))
    del head

    tracemalloc.start()
    try:
        (found,) = webarchive.records(path, {}, 1000)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(found, BadPiece) and "cannot be read any further" in found.why
    assert most < 64 * 1024 * 1024


def test_an_index_whose_first_line_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    index.write_text("time," + "x" * (csv.field_size_limit() + 1) + "\n", encoding="utf-8")

    with pytest.raises(UsageError):
        list(indexed(index, 1000))
