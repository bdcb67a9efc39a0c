"""What kind of document some bytes are, and their text where they are text.

By the bytes first, then by the server's word: servers mislabel. Not here: what is read of a document (`extract`).
"""

from __future__ import annotations

import re
from email.message import Message
from enum import StrEnum

from policywatch.reading.rules import ExtractionError

__all__ = ["Format", "decoded", "format_of", "whole_signs"]


class Format(StrEnum):
    """What can be read; everything else is refused by name."""

    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"
    JSON = "json"
    PDF = "pdf"


_KINDS = {
    "text/html": Format.HTML,
    "application/xhtml+xml": Format.HTML,
    "text/plain": Format.TEXT,
    "text/markdown": Format.MARKDOWN,
    "text/x-markdown": Format.MARKDOWN,
    "application/json": Format.JSON,
    "text/json": Format.JSON,
    "application/pdf": Format.PDF,
    "application/x-pdf": Format.PDF,
}
_UNSAID = ("", "application/octet-stream", "binary/octet-stream")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_BINARY = (b"PK\x03\x04", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"\x1f\x8b", b"RIFF", b"wOF")
_PDF = b"%PDF-"
_PDF_WITHIN = 1024  # bytes before the mark that readers of PDF allow


def format_of(body: bytes, content_type: str, *, paths: bool = False) -> Format:
    """The format of a body. `paths`: the rule names JSON paths, so a body of another label may be JSON.

    Raises ExtractionError for binary files (`binary`) and types that cannot be read (`content_type`).
    """
    kind, _ = _content_type(content_type)
    if body.startswith(_PDF) or (_KINDS.get(kind) is Format.PDF and _PDF in body[:_PDF_WITHIN]):
        return Format.PDF
    if body.startswith(_BINARY):
        raise ExtractionError(
            f"The page is a binary file ({_shown(kind) or 'of unknown type'}), not a text.",
            remedy="Name the address of the policy as a web page, a PDF, a text or a JSON answer.",
            code="binary",
        )
    known = Format.JSON if kind.endswith("+json") else _KINDS.get(kind)
    if known is Format.PDF:
        raise ExtractionError(
            "The page says that it is a PDF and is none.",
            remedy="Look at the address: the file may have moved, or a wall may stand before it.",
            code="broken",
        )
    if known is None and kind not in _UNSAID and not kind.startswith("text/"):
        raise ExtractionError(
            f"The page is of type {_shown(kind)}; HTML, PDF, JSON, Markdown and plain text can be read.",
            remedy="Name the address of the policy as a web page.",
            code="content_type",
        )
    if (
        known in (None, Format.TEXT, Format.HTML)
        and paths
        and body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    ):
        return Format.JSON
    return known or (Format.HTML if _looks_like_html(body) else Format.TEXT)


def decoded(body: bytes, content_type: str) -> str:
    """By byte order mark, header, the page's own word, UTF-8, else Windows-1252, in this order."""
    return whole_signs(_decoded(body, content_type))


def whole_signs(text: str) -> str:
    """`text` with halves of a sign (surrogates, which no file can hold) put together, else unreadable."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _decoded(body: bytes, content_type: str) -> str:
    if body.startswith(b"\xef\xbb\xbf"):
        return body[3:].decode("utf-8", "replace")
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", "replace")
    _, charset = _content_type(content_type)
    declared = _META_CHARSET.search(body[:4096])
    for name in (charset, declared.group(1).decode("ascii") if declared else ""):
        try:
            if name and isinstance(text := body.decode(name, "replace"), str):
                return text
        except (LookupError, ValueError, AssertionError):
            continue  # a name that is no text encoding: the next one may be
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("windows-1252", "replace")


def _content_type(value: str) -> tuple[str, str]:
    message = Message()
    message["content-type"] = value.replace("\r", " ").replace("\n", " ") or "application/octet-stream"
    kind = message.get_content_type() if "/" in value else ""
    charset = message.get_param("charset", "")
    return kind, charset if isinstance(charset, str) else ""


def _shown(kind: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in kind[:80])


def _looks_like_html(body: bytes) -> bool:
    head = body[:2048].lstrip(b"\xef\xbb\xbf \t\r\n").replace(b"\x00", b"").lower()
    return (
        head.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
        or b"<html" in head
        or b"<body" in head
    )
