"""From the bytes of a page to the text of a policy.

The declared region becomes lines of Markdown-like text, one block a line: headings with `#`, list items with
`*` or their number, table rows between bars, links as `[words](target)`. Emphasis, images, scripts are left
out. The same words under other classes and wrappers give the same text. There is no guessing of a "main
content": what is not declared is not read. The parser is native code on foreign bytes, and slow on deep
nesting: call it in a bounded child.
"""

from __future__ import annotations

import re
from email.message import Message
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from policywatch.reading import filters
from policywatch.reading.rules import ExtractionError, Range, Rule
from policywatch.reading.walk import Marks, Writer, walk

__all__ = ["ENGINE", "MIN_TEXT", "ExtractionError", "Range", "Rule", "extract"]

ENGINE = (
    "extract-1"  # stored with each text: another engine's text is never compared as the platform's change
)
MIN_TEXT = 100  # characters; a caller takes a shorter text for a failed capture

_MARKUP = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = frozenset({"text/plain", "text/markdown", "text/x-markdown"})
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x1f\x8b", b"RIFF", b"wOF")
_CONTROLS = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0)])
_MANY_LINES = re.compile(r"\n{3,}")


def extract(body: bytes, content_type: str, rule: Rule, base_url: str) -> str:
    """The text that `rule` declares of a page, relative links resolved against `base_url`.

    Plain text and Markdown pass, with line ends unified. Raises ExtractionError where a selector is wrong or
    matches nothing, a range has no end, the result is empty, or the body is no text; UsageError for a filter
    that does not exist.
    """
    chosen = filters.chosen(rule.filters)
    kind, charset = _content_type(content_type)
    if body.startswith(_MAGIC):
        raise ExtractionError(
            f"The page is a binary file ({kind or 'of unknown type'}), not a text.",
            remedy="Name the address of the policy as a web page.",
            code="binary",
        )
    source = _decoded(body, charset)
    if kind not in _MARKUP and kind not in _TEXT:
        if kind and not kind.startswith("text/") and kind not in ("application/octet-stream",):
            raise ExtractionError(
                f"The page is of type {kind[:80]}; HTML, Markdown and plain text can be read.",
                remedy="Name the address of the policy as a web page.",
                code="content_type",
            )
        kind = "text/html" if _looks_like_html(source) else "text/plain"
    if kind in _MARKUP:
        text = _from_html(source, rule, base_url, chosen)
    elif "\x00" in source:
        raise ExtractionError("The page is a binary file, not a text.", code="binary")
    else:
        text = source.replace("\r\n", "\n").replace("\r", "\n")
    text = text.translate(_CONTROLS)
    for one in chosen:
        if one.text is not None:
            text = one.text(text)
    text = _MANY_LINES.sub("\n\n", text).strip("\n ")
    if not text:
        raise ExtractionError(
            "The declared part of the page holds no text.",
            remedy="Look at the page: it may need a browser to render, or its shape has changed.",
            code="empty",
        )
    return text + "\n"


def _content_type(value: str) -> tuple[str, str]:
    message = Message()
    message["content-type"] = value.replace("\r", " ").replace("\n", " ") or "application/octet-stream"
    kind = message.get_content_type() if "/" in value else ""
    charset = message.get_param("charset", "")
    return kind, charset if isinstance(charset, str) else ""


def _decoded(body: bytes, charset: str) -> str:
    """By byte order mark, header, the page's own word, UTF-8, else Windows-1252, in this order."""
    if body.startswith(b"\xef\xbb\xbf"):
        return body[3:].decode("utf-8", "replace")
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", "replace")
    declared = _META_CHARSET.search(body[:4096])
    for name in (charset, declared.group(1).decode("ascii") if declared else ""):
        try:
            if name and isinstance(decoded := body.decode(name, "replace"), str):
                return decoded
        except (LookupError, ValueError, AssertionError):
            continue  # a name that is no text encoding: the next one may be
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("windows-1252", "replace")


def _looks_like_html(source: str) -> bool:
    head = source[:2048].lstrip().lower()
    return (
        head.startswith(("<!doctype html", "<html", "<head", "<body")) or "<html" in head or "<body" in head
    )


def _from_html(source: str, rule: Rule, base_url: str, chosen: tuple[filters.Filter, ...]) -> str:
    tree = LexborHTMLParser(source)
    marks = Marks()
    matched = False
    for part in rule.select or ("body",):
        matched = _mark(tree, part, marks, removal=False) or matched
    if not matched:
        raise ExtractionError(
            f"Nothing on the page matches {_shown(rule.select)}.",
            remedy="Look at the page and correct `select` of the rule.",
            code="no_match",
        )
    for part in rule.remove:
        _mark(tree, part, marks, removal=True)
    base = tree.css_first("base[href]")
    writer = Writer(_joined(base_url, base), chosen)
    if tree.root is not None:
        walk(tree.root, marks, writer)
    return writer.text()


def _joined(base_url: str, base: LexborNode | None) -> str:
    try:
        return (
            urljoin(base_url, (base.attributes.get("href") or "").strip()) if base is not None else base_url
        )
    except ValueError:
        return base_url


def _shown(parts: tuple[str | Range, ...]) -> str:
    return ", ".join(
        f'"{part}"' if isinstance(part, str) else f"the range {part.to_json()}" for part in parts
    )


def _find(tree: LexborHTMLParser, selector: str) -> list[LexborNode]:
    try:
        return tree.css(selector)
    except SelectolaxError:
        raise ExtractionError(
            f'"{selector}" is no CSS selector.', remedy="Correct the rule of this page.", code="selector"
        ) from None


def _mark(tree: LexborHTMLParser, part: str | Range, marks: Marks, *, removal: bool) -> bool:
    """Note where `part` begins and ends; False where it is not on the page."""
    if isinstance(part, str):
        found = _find(tree, part)
        for node in found:
            marks.whole(node.mem_id, removal=removal)
        return bool(found)
    starts = _find(tree, part.start_before or part.start_after)
    ends = _find(tree, part.end_before or part.end_after)
    if not starts:
        return False
    if not ends:
        raise ExtractionError(
            f'The end of a range, "{part.end_before or part.end_after}", is not on the page.',
            remedy="Look at the page and correct the range.",
            code="range",
        )
    marks.begin(starts[0].mem_id, after=bool(part.start_after), removal=removal)
    marks.end(ends[0].mem_id, after=bool(part.end_after), removal=removal)
    return True
