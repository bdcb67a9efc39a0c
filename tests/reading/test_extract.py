"""From a page's bytes to the text of a policy."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policywatch.errors import UsageError
from policywatch.reading.blocks import parse
from policywatch.reading.extract import ExtractionError, Range, Rule, cut_out, extract

BASE = "https://platform.test/legal/terms"
PAGE = """<!doctype html><html><head><title>No</title><style>p {}</style></head><body>
<nav><ul><li>Menu</li></ul></nav>
<main class="x1">
  <h1>Terms of <em>Service</em></h1>
  <p>You must be at&nbsp;least <b>13</b> years old.<br>See <a href="/privacy?id=2&amp;utm_source=q">our policy</a>.</p>
  <ul><li>Do not spam.<ul><li>Not even once.</li></ul></li><li><p>Be kind.</p></li></ul>
  <ol start="3"><li>Third rule.</li></ol>
  <table><tr><th>Period</th><th>Right</th></tr><tr><td>30 days</td><td><p>appeal</p></td></tr></table>
  <p hidden>Never seen.</p><p style="display: none">Never seen.</p><script>never()</script>
  <div class="related">Related articles</div>
  <h2 id="end">Contact</h2>
  <p>Updated 3 days ago</p>
</main>
<footer>Imprint</footer></body></html>"""


def read(page: str, rule: Rule, content_type: str = "text/html; charset=utf-8") -> str:
    return extract(page.encode(), content_type, rule, BASE)


def test_the_declared_region_becomes_lines_of_markdown() -> None:
    text = read(PAGE, Rule(("main",), (".related",), ("strip_tracking_parameters", "drop_relative_times")))

    assert text == (
        "# Terms of Service\n\nYou must be at least 13 years old.\n\n"
        "See [our policy](https://platform.test/privacy?id=2).\n\n"
        "*   Do not spam.\n    *   Not even once.\n*   Be kind.\n3.  Third rule.\n"
        "| Period | Right |\n| 30 days | appeal |\n\n## Contact\n"
    )


def test_a_range_reads_from_one_element_to_another() -> None:
    rule = Rule((Range.from_json({"startBefore": "ol", "endBefore": "#end"}),), ("table", ".related"))

    assert read(PAGE, rule) == "3.  Third rule.\n"


def test_a_removed_range_is_left_out() -> None:
    rule = Rule(("main",), (Range(start_after="h1", end_after="#end"),))

    assert read(PAGE, rule) == "# Terms of Service\n\nUpdated 3 days ago\n"


def test_what_a_rule_cuts_out_can_be_looked_at() -> None:
    rule = Rule(("main",), (".related", "ol"), ("drop_relative_times",))

    assert cut_out(
        PAGE.replace(" hidden", "").replace("display: none", "").encode(), "text/html", rule, BASE
    ) == ("3.  Third rule.\n\nRelated articles")
    assert cut_out(b"Text", "text/plain", Rule(("body",)), BASE) == ""


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (Rule(("article",)), "no_match"),
        (Rule(("main[",)), "selector"),
        (Rule(("main",), ("main",)), "empty"),
        (Rule((Range(start_before="h1", end_before="aside"),)), "range"),
        (Rule((Range(start_before="#end", end_before="h1"),)), "range"),
    ],
)
def test_a_rule_that_does_not_fit_the_page_says_why(rule: Rule, code: str) -> None:
    with pytest.raises(ExtractionError) as caught:
        read(PAGE, rule)

    assert caught.value.code == code


def test_a_filter_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="strip_tracking_parameter"):
        read(PAGE, Rule(("main",), (), ("strip_tracking_parameter",)))


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"%PDF-1.7 ...", "text/html", "broken"),
        (b"Not found", "application/pdf", "broken"),
        (b"\x89PNG\r\n", "image/png", "binary"),
        (b"\x00\x01\x02", "application/octet-stream", "binary"),
        (b"{}", "application/json", "no_match"),
        (b"body {}", "application/x-font", "content_type"),
        (b"", "text/html", "empty"),
    ],
)
def test_what_is_no_text_is_refused(body: bytes, content_type: str, code: str) -> None:
    with pytest.raises(ExtractionError) as caught:
        extract(body, content_type, Rule(), BASE)

    assert caught.value.code == code


def test_plain_text_and_markdown_pass() -> None:
    assert extract(b"# Terms\r\n\r\nBe kind.\r\n", "text/markdown", Rule(), BASE) == "# Terms\n\nBe kind.\n"
    assert extract(b"Terms\n\n\n\n\x1b[31mBe kind.", "text/plain", Rule(), BASE) == "Terms\n\n[31mBe kind.\n"


def test_the_encoding_is_that_of_the_header_else_of_the_page_else_guessed() -> None:
    assert "Zoë" in extract("<body>Zoë</body>".encode("latin-1"), "text/html; charset=latin-1", Rule(), BASE)
    meta = '<html><head><meta charset="iso-8859-1"></head><body>Zoë</body>'.encode("latin-1")
    assert "Zoë" in extract(meta, "text/html", Rule(), BASE)
    assert "Zoë" in extract("<body>Zoë</body>".encode("cp1252"), "text/html; charset=nonsense", Rule(), BASE)


def test_a_protected_address_is_shown_when_the_rule_asks() -> None:
    hidden = bytes([0x42, *(ord(letter) ^ 0x42 for letter in "us@x.test")]).hex()
    page = f'<body><p>Write to <a class="c" data-cfemail="{hidden}" href="/cdn-cgi/x">[email&#160;protected]</a>.</p></body>'

    assert "us@x.test" in read(page, Rule((), (), ("decode_protected_addresses",)))


def test_links_that_lead_nowhere_on_the_web_are_words() -> None:
    page = '<body><p><a href="javascript:x()">one</a> <a href="#top">two</a> <a href="http://[">three</a></p></body>'

    assert read(page, Rule()) == "one two three\n"


words = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Zl", "Zp"]),
    min_size=1,
    max_size=40,
)


@given(st.lists(words, min_size=1, max_size=5), st.lists(st.sampled_from("abcxyz"), min_size=3, max_size=3))
def test_the_same_words_in_other_wrappers_give_the_same_text(lines: list[str], classes: list[str]) -> None:
    one, two, three = classes
    plain = "".join(f"<p>{escape(line)}</p>" for line in lines)
    wrapped = "".join(
        f'<!-- {one} --><div class="{two}">\n  <section><p id="{three}{number}" class="{one}">'
        f'<span class="{two}"><i>{escape(line)}</i></span></p></section>\n</div>'
        for number, line in enumerate(lines)
    )

    def text(inner: str) -> str | None:
        try:
            return read(f"<body><main>{inner}</main></body>", Rule(("main",)))
        except ExtractionError:
            return None

    assert text(plain) == text(wrapped)


@given(words)
def test_what_is_written_on_the_page_is_what_is_read_from_the_text(line: str) -> None:
    shown = " ".join(line.split())
    if not shown.strip("#\ufeff\u200b "):
        return
    try:
        text = read(f"<body><p>x {escape(line)} x</p></body>", Rule())
    except ExtractionError:
        return

    assert [block.text for block in parse(text)] == [f"x {shown} x"]


def test_deep_nesting_is_no_recursion() -> None:
    page = "<body>" + "<div>" * 3_000 + "deep" + "</div>" * 3_000 + "</body>"

    assert read(page, Rule()) == "deep\n"


def test_a_rule_comes_back_from_its_stored_form() -> None:
    rule = Rule(("main", Range(start_before="h1", end_after="footer")), (".ad",), ("unwrap_redirectors",))

    assert Rule.from_json(rule.to_json()) == rule
    assert Rule.from_json({"select": "main"}) == Rule(("main",))
    with pytest.raises(UsageError, match="startsBefore"):
        Range.from_json({"startsBefore": "h1"})


@pytest.mark.parametrize(
    ("body", "content_type", "select"),
    [
        (b'{"a": "Half a sign \\ud800 and a whole one \\ud83d\\ude00."}', "application/json", "$.a"),
        (
            b"Half a sign \\ud800 and a whole one \\ud83d\\ude00.",
            "text/plain; charset=unicode_escape",
            "body",
        ),
    ],
)
def test_half_a_sign_is_shown_as_unreadable_and_can_be_stored(
    body: bytes, content_type: str, select: str
) -> None:
    text = extract(body, content_type, Rule((select,)), "http://x.test/")

    assert text.encode().decode() == "Half a sign \ufffd and a whole one \U0001f600.\n"


def test_no_control_character_of_a_header_reaches_a_sentence() -> None:
    with pytest.raises(ExtractionError) as fault:
        extract(b"terms " * 30, "foo/\x1b[31mred", Rule(("body",)), "http://x.test/")

    assert fault.value.what.isprintable()
