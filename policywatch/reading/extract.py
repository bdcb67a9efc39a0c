"""From the bytes of a page to the text of a policy.

The declared region becomes lines of Markdown-like text, one block a line: headings with `#`, list items with
`*` or their number, table rows between bars, links as `[words](target)`. Emphasis, images, scripts are left
out. The same words under other classes and wrappers give the same text. There is no guessing of a "main
content": what is not declared is not read, and a page that came as another kind of document than the rule
declares is an error. The parsers are native code on foreign bytes, and slow on deep nesting: call this in a
bounded child.
"""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from policywatch.reading import filters, json_text
from policywatch.reading.formats import Format, decoded, format_of, whole_signs
from policywatch.reading.rules import ExtractionError, Range, Rule
from policywatch.reading.walk import Marks, Writer, walk

__all__ = [
    "ENGINE", "MIN_TEXT", "ExtractionError", "Range", "Rule", "checked", "cut_out", "extract",
]  # fmt: skip

#: Stored with each text: another engine's text is never compared as the platform's change. One name for all
#: formats and filters: raise it when the output of any of them changes, and every page is read again from its
#: stored bytes first. A name for each would have to follow every part of a document.
ENGINE = "extract-1"
MIN_TEXT = 100  # characters; a caller takes a shorter text for a failed capture

_CONTROLS = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0)])
_MANY_LINES = re.compile(r"\n{3,}")
_MARKDOWN_TARGET = re.compile(r"(?<=\]\()[^()\s<>]{1,4000}(?=[)\s])")
_HTML_IN_TEXT = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>")
_NAMES = {Format.PDF: "a PDF", Format.TEXT: "plain text", Format.MARKDOWN: "Markdown"}
_ALL = ("body", "html", ":root")  # selectors that mean a whole document, whatever its format


def extract(body: bytes, content_type: str, rule: Rule, base_url: str) -> str:
    """The text that `rule` declares of a page, relative links resolved against `base_url`.

    Of HTML the selected elements, of a JSON answer the values that its paths name (HTML inside of them is read
    as HTML); PDF, plain text and Markdown are read whole, so their rule selects `body` or nothing. Raises
    ExtractionError where a selector is wrong or matches nothing, a range has no end, the result is empty, or
    the body cannot be read completely; UsageError for a filter that does not exist.
    """
    chosen = filters.chosen(rule.filters)
    kind = format_of(body, content_type, paths=_has_paths(rule))
    if kind is Format.HTML:
        _refuse_paths(rule)
        text = _from_html(decoded(body, content_type), rule, base_url, chosen)
    elif kind is Format.JSON:
        text = _from_json(decoded(body, content_type), rule, base_url, chosen)
    else:
        text = _whole(kind, body, content_type, rule, chosen)
    text = text.translate(_CONTROLS)
    for one in chosen:
        if one.text is not None:
            text = one.text(text)
    text = _MANY_LINES.sub("\n\n", text).strip("\n ")
    if not text.strip():
        raise ExtractionError(
            "The declared part of the page holds no text.",
            remedy="Look at the page: it may need a browser to render, or its shape has changed.",
            code="empty",
        )
    return text + "\n"


def cut_out(body: bytes, content_type: str, rule: Rule, base_url: str) -> str:
    """What `remove` takes out of the selected elements of an HTML page, hidden elements included; '' otherwise.

    For a person who edits a rule. Raises as `extract` does.
    """
    if format_of(body, content_type, paths=_has_paths(rule)) is not Format.HTML:
        return ""
    text = _from_html(decoded(body, content_type), rule, base_url, (), removed=True)
    return _MANY_LINES.sub("\n\n", text.translate(_CONTROLS)).strip("\n ")


def checked(rule: Rule) -> Rule:
    """The rule, if each of its selectors and paths can be parsed. Raises ExtractionError (`selector`) else."""
    tree = LexborHTMLParser("<body></body>")
    for part in (*rule.select, *rule.remove):
        for selector in part.to_json().values() if isinstance(part, Range) else (part,):
            if json_text.is_path(selector):
                json_text.parsed_path(selector)
            else:
                _find(tree, selector)
    return rule


def _has_paths(rule: Rule) -> bool:
    return any(json_text.is_path(part) for part in rule.select)


def _refuse_paths(rule: Rule) -> None:
    named = tuple(part for part in rule.select if json_text.is_path(part))
    if named:
        raise ExtractionError(
            f"The page came as a web page; {_shown(named)} names a place in a JSON answer.",
            remedy="Look at the address: a wall may stand before it. Else correct `select` of the rule.",
            code="no_match",
        )


def _whole(
    kind: Format, body: bytes, content_type: str, rule: Rule, chosen: tuple[filters.Filter, ...]
) -> str:
    """A document without parts that a rule could name."""
    text = "" if kind is Format.PDF else decoded(body, content_type)
    if "\x00" in text:
        raise ExtractionError("The page is a binary file, not a text.", code="binary")
    named = [part for part in rule.select if part not in _ALL]
    if named:
        raise ExtractionError(
            f"The page came as {_NAMES[kind]}; {_shown(tuple(named))} names a part of another kind of page.",
            remedy="If the platform publishes it so by now, write `select: body` for this page.",
            code="no_match",
        )
    if kind is Format.PDF:
        from policywatch.reading import pdf  # its library is large, and most readers never meet a PDF

        return pdf.text_of(body)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    targets = [one.target for one in chosen if one.target is not None]
    if kind is Format.MARKDOWN and targets:
        text = _MARKDOWN_TARGET.sub(lambda found: _changed(found[0], targets), text)
    return text


def _changed(target: str, changes: list[filters.Change]) -> str:
    for change in changes:
        target = change(target)
    return target


def _from_json(source: str, rule: Rule, base_url: str, chosen: tuple[filters.Filter, ...]) -> str:
    """Paths name values of the answer; CSS parts of `remove` are cut out of the HTML inside of them."""
    named = [part for part in rule.select if not json_text.is_path(part)]
    if named or not rule.select:
        raise ExtractionError(
            f"The page came as a JSON answer; {_shown(tuple(named)) or 'the rule'} names no path into it.",
            remedy="Name what is policy in it, for example `select: $.data.sections[*].body`.",
            code="no_match",
        )
    select = [json_text.parsed_path(part) for part in rule.select if isinstance(part, str)]
    remove = [
        json_text.parsed_path(part) for part in rule.remove if isinstance(part, str) and part.startswith("$")
    ]
    inner = tuple(part for part in rule.remove if not json_text.is_path(part))
    writer = Writer(base_url, chosen)
    for value in map(whole_signs, json_text.values(source, select, remove)):
        if _HTML_IN_TEXT.search(value):
            _write_part(value, inner, writer)
            continue
        writer.selected += 1
        for line in unescape(value).splitlines():
            writer.words(line)
            writer.flush()
        writer.selected -= 1
    return writer.text()


def _write_part(source: str, remove: tuple[str | Range, ...], writer: Writer) -> None:
    """A piece of HTML that stands for itself: what is left open in it does not reach the next one."""
    tree = LexborHTMLParser(source)
    marks = Marks()
    if tree.body is None or tree.root is None:
        return
    marks.whole(tree.body.mem_id, removal=False)
    for part in remove:
        _mark(tree, part, marks, removal=True)
    walk(tree.root, marks, writer)
    writer.flush()


def _from_html(
    source: str, rule: Rule, base_url: str, chosen: tuple[filters.Filter, ...], *, removed: bool = False
) -> str:
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
    writer = Writer(_joined(base_url, base), chosen, removed=removed)
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
