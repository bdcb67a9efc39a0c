"""Markdown-like text to blocks: what a reader reads, and where it stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policywatch.reading.blocks import BlockKind, parse, read_line
from policywatch.reading.links import canonical, strip_tracking, unwrap

DOCUMENT = """\
Terms of Service
================

Effective: 1 May 2026

## 1. Your account

You must be **at least 13** to use [the *service*](https://a.test/x?y=1 "title").

*   Keep your [password](#secret) safe.
    *   Do not share it.
2.  Tell us \\[at once\\] if it is lost.

| Period | Right |
| --- | --- |
| 30 days | appeal \\| complain |

* * *

![](https://a.test/picture.png)
Questions
---------
Write to us.
"""


def test_a_document_becomes_typed_blocks_under_their_headings() -> None:
    blocks = parse(DOCUMENT)

    assert [(block.kind, block.text) for block in blocks] == [
        (BlockKind.HEADING, "Terms of Service"),
        (BlockKind.PARAGRAPH, "Effective: 1 May 2026"),
        (BlockKind.HEADING, "1. Your account"),
        (BlockKind.PARAGRAPH, "You must be at least 13 to use the service."),
        (BlockKind.ITEM, "Keep your password safe."),
        (BlockKind.ITEM, "Do not share it."),
        (BlockKind.ITEM, "Tell us [at once] if it is lost."),
        (BlockKind.ROW, "Period | Right"),
        (BlockKind.ROW, "30 days | appeal | complain"),
        (BlockKind.HEADING, "Questions"),
        (BlockKind.PARAGRAPH, "Write to us."),
    ]
    assert blocks[3].section == ("Terms of Service", "1. Your account")
    assert blocks[10].section == ("Terms of Service", "Questions")


def test_links_stand_beside_the_words_not_in_them() -> None:
    line = read_line(
        'See [our (new) policy](https://a.test/p_(1)?utm_source=x&id=7 "Policy") and https://b.test/q.'
    )

    assert line is not None
    assert line.text == "See our (new) policy and https://b.test/q."
    assert line.links[0].text == "our (new) policy"
    assert line.targets[0] == "a.test/p_(1)?id=7"


def test_numbering_is_no_part_of_the_key_but_a_period_is() -> None:
    def key(text: str) -> str:
        line = read_line(text)
        assert line is not None
        return line.key

    assert key("## 4.2 Your content") == key("## 5.2 Your content")
    assert key("(b) Your content") == key("(c) Your content")
    assert key("30 days after that we delete it") != key("60 days after that we delete it")
    assert key("1.5 million followers are needed") != key("2.5 million followers are needed")


def test_typography_and_white_space_do_not_tell_two_lines_apart() -> None:
    one = read_line("Don’t post “private” data\u00a0–\u200b ever")
    other = read_line('Don\'t post "private" data - ever')

    assert one is not None and other is not None
    assert one.folded == other.folded
    assert one.text != other.text


def test_a_redirector_is_unwrapped_and_tokens_are_dropped() -> None:
    wrapped = (
        "https://l.facebook.com/l.php?u=https%3A%2F%2Fwww.example.com%2Fa%2F%3Ffbclid%3D1%26id%3D2&h=AT0&s=1"
    )

    assert unwrap(wrapped) == "https://www.example.com/a/?fbclid=1&id=2"
    assert canonical(wrapped) == "example.com/a/?id=2"
    assert strip_tracking("https://a.test/x&e=ABC&page=2#top") == "https://a.test/x?page=2#top"
    assert canonical("#chapter-2") == ""


@given(st.text(max_size=300))
def test_any_text_parses_without_error(text: str) -> None:
    for block in parse(text):
        assert block.line.folded


@given(st.text(alphabet="[]()!*_#|\\-> a1.\n", max_size=200))
def test_mark_up_without_end_parses_without_error(text: str) -> None:
    parse(text)
