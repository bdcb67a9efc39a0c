"""A pretend policy as a full web page: menu, cookie bar, scripts, footer, and the declared region `main`.

Also the noise: everything that makes a page differ from yesterday's though the policy says the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from html import escape

from policywatch.simulated.texts import DOCUMENTS, Document, platform

__all__ = ["Noise", "noise_of", "page"]


class Noise(StrEnum):
    """A kind of difference that no reader of the policy reads."""

    MARKUP = "markup"
    LINK_TOKENS = "link_tokens"
    RELATIVE_TIME = "relative_time"
    CLASS_ORDER = "class_order"
    FOOTER = "footer"
    FEEDBACK = "feedback"


_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


def _draw(*parts: object) -> int:
    """A number that depends on the parts and on nothing else."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big")


def noise_of(seed: int, document: Document, round_: int) -> frozenset[Noise]:
    """The noise that appears on that page in that round; none in round 0, and a third of pages stay still."""
    if round_ == 0 or _draw(seed, document.page, round_, "still") % 3 == 0:
        return frozenset()
    kinds = [kind for kind in Noise if _draw(seed, document.page, round_, kind) % 3 == 0]
    return frozenset(kinds or [Noise.FOOTER])


def page(document: Document, text: str, seed: int, times: Mapping[Noise, int]) -> bytes:
    """The whole page, UTF-8. `times` counts how often each noise has struck; equal arguments, equal bytes."""
    known = platform(document.platform)
    title = f"{DOCUMENTS[document.key]} | {known.name}"
    region = _region(document, text, seed, times)
    year = 2020 + times.get(Noise.FOOTER, 0)
    online = 1000 + _draw(seed, document.page, "online", times.get(Noise.FOOTER, 0)) % 9000
    menu = "".join(f'<li><a href="/{key}">{escape(name)}</a></li>' for key, name in DOCUMENTS.items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{escape(title)}</title>
<meta name="robots" content="noindex">
<style>main {{ max-width: 60rem }} .bar {{ position: fixed; bottom: 0 }}</style>
<script>window.state = {{"page": "{document.page}", "build": "{_draw(seed, "build", year):x}"}};</script>
</head>
<body class="{_classes("policy light wide", document, times)}">
<div class="bar" role="dialog"><p>We use cookies on this pretend page.</p>
<button>Accept</button><button>Refuse</button></div>
<header><a href="/">{escape(known.name)}</a>
<nav><ul>{menu}<li><a href="/help/search">Search</a></li></ul></nav></header>
{region}
<aside><h2>People also read</h2>
<ul><li><a href="/help/start">How to start on {escape(known.name)}</a></li></ul></aside>
<footer><p>{escape(known.company)}, {year}. {online} people are here now.
A pretend page of a simulated web.</p>
<ul><li><a href="/legal/imprint">Imprint</a></li><li><a href="/help/contact">Contact</a></li></ul></footer>
<script>document.querySelector(".bar").hidden = false;</script>
</body>
</html>
""".encode()


def _classes(names: str, document: Document, times: Mapping[Noise, int]) -> str:
    """The same class names; where that noise has struck, in another order and with a generated one more."""
    turns = times.get(Noise.CLASS_ORDER, 0)
    words = names.split()
    words = words[turns % len(words) :] + words[: turns % len(words)]
    return " ".join([*words, f"css-{_draw(document.page, turns):x}"] if turns else words)


def _region(document: Document, text: str, seed: int, times: Mapping[Noise, int]) -> str:
    """The `main` element: the policy, a line of relative time, and a box that the rule takes out."""
    blocks = [block for block in text.strip().split("\n\n") if block]
    inner = [_block(block, document, seed, times, number) for number, block in enumerate(blocks)]
    days = 3 + times.get(Noise.RELATIVE_TIME, 0)
    inner.insert(1, f"<p>Last reviewed {days} days ago</p>")
    helped = 100 + 7 * times.get(Noise.FEEDBACK, 0)
    box = f'<div class="feedback"><p>Was this of use? {helped} people said yes.</p><button>Yes</button></div>'
    joint = "\n" if times.get(Noise.MARKUP, 0) % 2 == 0 else "\n\n    <!-- block -->\n    "
    return (
        f'<main class="{_classes("text policy-body", document, times)}">\n{joint.join(inner)}\n{box}\n</main>'
    )


def _block(block: str, document: Document, seed: int, times: Mapping[Noise, int], number: int) -> str:
    """One heading, list or paragraph as HTML."""
    wrapped = times.get(Noise.MARKUP, 0) % 2 == 1
    mark = f' data-n="{number + times[Noise.MARKUP]}"' if times.get(Noise.MARKUP) else ""

    def inline(words: str) -> str:
        html = _links(words, document, seed, times)
        return f"<span>{html}</span>" if wrapped else html

    if block.startswith("#"):
        marks, _, words = block.partition(" ")
        level = len(marks)
        return f"<h{level}{mark}>{inline(words)}</h{level}>"
    if block.startswith("* "):
        items = "".join(f"<li>{inline(line.removeprefix('* '))}</li>" for line in block.split("\n"))
        return f"<ul{mark}>{items}</ul>"
    return f"<p{mark}>{inline(block)}</p>"


def _links(words: str, document: Document, seed: int, times: Mapping[Noise, int]) -> str:
    """Text with its links; each carries a session token that changes with the link noise."""
    token = f"{_draw(seed, document.page, 'token', times.get(Noise.LINK_TOKENS, 0)):012x}"

    def link(found: re.Match[str]) -> str:
        return f'<a href="{found[2]}?session={token}">{found[1]}</a>'

    return _LINK.sub(link, escape(words, quote=False))
