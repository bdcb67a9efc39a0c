"""PDF files for tests, written by hand: text at places, page by page; also encrypted and empty ones."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Placed", "column", "pdf"]

#: x, y (points from the lower left corner), size, text.
Placed = tuple[float, float, float, str]


def column(lines: Sequence[str], *, top: float = 720, leading: float = 14, size: float = 11) -> list[Placed]:
    """Lines below each other; an empty one leaves half a line of room more."""
    placed: list[Placed] = []
    y = top
    for line in lines:
        if line:
            placed.append((72, y, size, line))
            y -= leading
        else:
            y -= leading * 0.7
    return placed


def pdf(pages: Sequence[Sequence[Placed]], *, encrypted: bool = False) -> bytes:
    """A whole file. `encrypted`: with a password that nobody knows."""
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for index, page in enumerate(pages):
        shown = b"".join(
            b"BT /F1 %g Tf 1 0 0 1 %g %g Tm (%s) Tj ET\n" % (size, x, y, _escaped(text))
            for x, y, size, text in page
        )
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * index} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(shown), shown))
    return _file(objects, encrypted)


def _escaped(text: str) -> bytes:
    content = text.encode("cp1252")
    return content.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _file(objects: list[bytes], encrypted: bool) -> bytes:
    trailer = b""
    if encrypted:
        word = b"<" + b"5a" * 32 + b">"
        objects.append(b"<< /Filter /Standard /V 1 /R 2 /O %s /U %s /P -4 >>" % (word, word))
        trailer = b" /Encrypt %d 0 R /ID [<00> <00>]" % len(objects)
    content = b"%PDF-1.4\n"
    offsets = []
    for number, one in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    start = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return content + b"trailer\n<< /Size %d /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        trailer,
        start,
    )
