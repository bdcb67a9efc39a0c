"""PDF, JSON, Markdown and plain text: each is read whole and in order, or says why it cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policywatch.errors import UsageError
from policywatch.reading import pdf as pdf_reading
from policywatch.reading.extract import ExtractionError, Rule, extract
from policywatch.reading.json_text import parsed_path
from tests.reading.pdf_writing import Placed, column, pdf

BASE = "https://platform.test/legal/terms"


def read(
    body: bytes, content_type: str, *select: str, remove: tuple[str, ...] = (), filters: tuple[str, ...] = ()
) -> str:
    return extract(body, content_type, Rule(select, remove, filters), BASE)


def refused(body: bytes, content_type: str, *select: str) -> ExtractionError:
    with pytest.raises(ExtractionError) as caught:
        read(body, content_type, *select)
    return caught.value


def policy(pages: int) -> list[list[Placed]]:
    """A policy with a running header, page numbers, words broken at the ends of lines, and items."""
    return [
        [
            *column(["Example Network - Terms of Service"], top=765, size=8),
            *column(
                [
                    f"Section {'ABCDEFGH'[number]} tells what you must not do. You must not share infor-",
                    "mation about others with-",
                    "out their consent.",
                    "",
                    "(a) no spam;",
                    "(b) no threats.",
                ]
            ),
            (300.0, 25.0, 8.0, f"Page {number + 1} of {pages}"),
        ]
        for number in range(pages)
    ]


def test_a_pdf_is_read_as_paragraphs_without_what_its_pages_repeat() -> None:
    text = read(pdf(policy(3)), "application/pdf", "body")

    assert text.count("Example Network - Terms of Service") == 1
    assert "Page 1" not in text and "of 3" not in text
    assert "You must not share information about others without their consent." in text
    assert text.count("\n\n(a) no spam;\n\n(b) no threats.") == 3
    assert text.index("Section A") < text.index("Section B") < text.index("Section C")


def test_a_paragraph_of_a_pdf_goes_on_over_the_end_of_a_page() -> None:
    first = column(["The first sentence ends. The second one is longer than the page, and"], top=60)
    second = column(["goes on here.", "", "A new paragraph."])

    assert read(pdf([first, second]), "application/pdf", "body") == (
        "The first sentence ends. The second one is longer than the page, and goes on here.\n\nA new paragraph.\n"
    )


def test_a_compound_that_was_broken_at_its_hyphen_keeps_it() -> None:
    page = column(["A self-service tool. This is a self-", "service tool for infor-", "mation."])

    assert (
        read(pdf([page]), "application/pdf", "body")
        == "A self-service tool. This is a self-service tool for information.\n"
    )


def test_more_words_on_a_page_move_no_other_paragraph_of_a_pdf() -> None:
    short = column(
        [
            "Be kind to others.",
            "",
            "Do not spam. Spam is what many people",
            "did not ask for.",
            "",
            "Appeal within 30 days.",
        ]
    )
    longer = column(
        [
            "Be kind to others, and to yourself. This is",
            "a longer rule now.",
            "",
            "Do not spam. Spam is what",
            "many people did not ask for.",
            "",
            "Appeal within 30 days.",
        ]
    )
    before, after = (read(pdf([page]), "application/pdf", "body").split("\n\n") for page in (short, longer))

    assert before[1:] == after[1:]


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        (pdf(policy(2), encrypted=True), "encrypted", "password"),
        (pdf(policy(2))[:-60], "broken", "end is missing"),
        (b"%PDF-1.7\nnothing\n%%EOF\n", "broken", "damaged"),
        (pdf([]), "broken", ""),
        (pdf([[], []]), "empty", "pictures"),
        (b"<html><body>Log in</body></html>", "broken", "is none"),
    ],
)
def test_a_pdf_that_cannot_be_read_whole_says_why(body: bytes, code: str, word: str) -> None:
    error = refused(body, "application/pdf", "body")

    assert error.code == code
    assert word in error.what and error.remedy


def test_a_pdf_beyond_its_limits_is_refused_and_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_reading, "MAX_PAGES", 3)
    assert refused(pdf(policy(4)), "application/pdf", "body").code == "too_large"
    monkeypatch.setattr(pdf_reading, "MAX_CHARACTERS", 500)
    assert refused(pdf(policy(3)), "application/pdf", "body").code == "too_large"


@given(cut=st.integers(0, 1 << 20), flip=st.integers(0, 1 << 20), value=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_damaged_pdf_is_text_or_a_named_error(cut: int, flip: int, value: int) -> None:
    body = bytearray(pdf(policy(2)))
    body[flip % len(body)] = value
    whole = bytes(body)

    for one in (whole, whole[: cut % len(whole)] + b"\n%%EOF"):
        _text_or_error(one, "application/pdf", Rule(("body",)))


def _text_or_error(body: bytes, content_type: str, rule: Rule) -> None:
    try:
        assert extract(body, content_type, rule, BASE).strip()
    except (ExtractionError, UsageError) as error:
        assert error.what


ANSWER = {
    "meta": {"views": 12, "ok": True, "none": None},
    "data": {
        "title": "Terms <of Service",
        "sections": [
            {
                "id": "s1",
                "head": "<h2>Who may join</h2>",
                "body": "<p>You must be <b>13</b>.</p><div class=ad>Buy",
                "period": 1.50,
            },
            {
                "id": "s2",
                "head": "<h2>Rules</h2>",
                "body": "Be kind.\nDo not spam &amp; flood.",
                "period": 30,
            },
        ],
        "odd key": ["x", ["y"]],
    },
}


def answer(*select: str, **more: Any) -> str:
    return read(json.dumps(ANSWER).encode(), "application/json; charset=utf-8", *select, **more)


def test_paths_name_values_which_come_in_the_order_of_the_answer() -> None:
    text = answer("$.data.sections[*].body", "$.data.sections[*].head", "$.data.title", remove=(".ad",))

    assert (
        text
        == "Terms \\<of Service\n\n## Who may join\n\nYou must be 13.\n\n## Rules\n\nBe kind.\n\nDo not spam & flood.\n"
    )


def test_numbers_stand_as_the_answer_writes_them_and_lists_are_read_whole() -> None:
    body = b'{"a": [1.50, 30, true, null, "x", {"b": "y"}], "c": 1e400}'

    assert read(body, "application/problem+json", "$.a", "$.c") == "1.50\n\n30\n\ntrue\n\nx\n\ny\n\n1e400\n"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.data['odd key'][0]", "x"),
        ('$["data"]["odd key"][-1][0]', "y"),
        ("$.data.sections[-1].id", "s2"),
        ("$.data.sections[1].period", "30"),
        ("$.meta.*", "12\n\ntrue"),
    ],
)
def test_the_steps_of_a_path(path: str, found: str) -> None:
    assert answer(path) == f"{found}\n"


def test_a_removed_path_is_left_out() -> None:
    assert (
        answer("$.data.sections[*]", remove=("$.data.sections[*].body", "$.data.sections[*].head"))
        == "s1\n\n1.5\n\ns2\n\n30\n"
    )


@pytest.mark.parametrize(
    ("body", "select", "code"),
    [
        (b"{}", ("$.a",), "no_match"),
        (b'{"a": 1}', ("main",), "no_match"),
        (b'{"a": 1}', (), "no_match"),
        (b'{"a": ""}', ("$.a",), "empty"),
        (b'{"a": null}', ("$.a",), "no_match"),
        (b'{"a": 1', ("$.a",), "broken"),
        (b'{"a": 1, "a": 2}', ("$.a",), "broken"),
        (b'{"a": NaN}', ("$.a",), "broken"),
        (b'{"a": 1}', ("$..a",), "selector"),
        (b'{"a": 1}', ("$.a[?(@.b)]",), "selector"),
        (b"[" * 100_000 + b"]" * 100_000, ("$",), "broken"),
        (b"<html>", ("$.a",), "broken"),
    ],
)
def test_an_answer_that_does_not_fit_its_rule_says_why(
    body: bytes, select: tuple[str, ...], code: str
) -> None:
    assert refused(body, "application/json", *select).code == code


def test_a_huge_number_is_only_digits() -> None:
    digits = b"9" * 100_000

    assert read(b'{"a": ' + digits + b"}", "application/json", "$.a") == digits.decode() + "\n"


def test_paths_make_json_of_an_unlabelled_answer() -> None:
    for kind in ("text/plain", "application/octet-stream", "", "text/html"):
        assert read(b' {"a": "Be kind."}', kind, "$.a") == "Be kind.\n"
    assert read(b' {"a": "Be kind."}', "text/plain", "body") == '{"a": "Be kind."}\n'


def test_a_web_page_where_an_answer_was_expected_says_so() -> None:
    error = refused(b"<html><body>Log in", "text/html", "$.a")

    assert error.code == "no_match" and "came as a web page" in error.what


def test_what_came_as_another_kind_than_the_rule_declares_is_an_error() -> None:
    """A web page that is a PDF by now, or a wall in plain text, is never read whole by a rule for its old shape."""
    for body, kind in (
        (pdf(policy(2)), "application/pdf"),
        (b"Slow down.", "text/plain"),
        (b"# T", "text/markdown"),
    ):
        error = refused(body, kind, "main")
        assert error.code == "no_match" and "main" in error.what and "select: body" in error.remedy


def test_filters_of_links_reach_markdown_as_well() -> None:
    body = b"See [it](https://a.test/x?utm_source=q&id=2)."

    assert (
        read(body, "text/markdown", filters=("strip_tracking_parameters",))
        == "See [it](https://a.test/x?id=2).\n"
    )


PATHS = st.text(alphabet="$.[]*'\"ab-019 ", max_size=30)
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=20,
)


@given(PATHS)
def test_a_path_is_parsed_or_refused(written: str) -> None:
    try:
        assert parsed_path(written).written == written
    except ExtractionError as error:
        assert error.code == "selector"


@given(NESTED, st.lists(PATHS.map(lambda path: "$" + path), min_size=1, max_size=3))
@settings(deadline=None)
def test_any_answer_with_any_paths_is_text_or_a_named_error(value: Any, paths: list[str]) -> None:
    _text_or_error(json.dumps(value).encode(), "application/json", Rule(tuple(paths)))


MAKERS: tuple[Callable[[bytes], bytes], ...] = (
    lambda body: body,
    lambda body: b"%PDF-1.4\n" + body + b"%%EOF",
    lambda body: b"{" + body,
    lambda body: b"<html><body>" + body,
)


@given(
    st.binary(max_size=200),
    st.sampled_from(
        [
            "",
            "text/html",
            "text/plain",
            "text/markdown",
            "application/json",
            "application/pdf",
            "a/b; charset=x\r\ny",
        ]
    ),
    st.sampled_from(MAKERS),
    st.sampled_from(
        [
            Rule(),
            Rule(("main",)),
            Rule(("$.a",)),
            Rule(("body",), ("p",), ("drop_buttons",)),
            Rule((), (), ("no",)),
        ]
    ),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_under_any_name_are_text_or_a_named_error(
    body: bytes, content_type: str, make: Callable[[bytes], bytes], rule: Rule
) -> None:
    _text_or_error(make(body), content_type, rule)
