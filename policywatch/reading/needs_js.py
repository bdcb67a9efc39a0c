"""Whether a plain page is only the shell that a script fills: little text, many scripts, a root for an app.

Asked where a page's declared part was missing or empty. Pure; its parser meets foreign bytes, so it runs in the
bounded child. Which step reads a page is decided in `policywatchd.collect.ladder`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from policywatch.reading.formats import Format, decoded, format_of

__all__ = ["Shell", "shell_of"]

_LITTLE = 400  # characters of text: less than a policy has
_SOME = 2000
_SHARE = 20  # characters of script for each of text, from which the script is the page
_ROOTS = (
    "#root, #app, #__next, #__nuxt, #react-root, #svelte, #main-app, [id^=mount_], [ng-app], [ng-version], "
    "[data-reactroot], [data-v-app], app-root, shreddit-app"
)
_ASKS = re.compile(
    r"(?:enable|activate|turn on|requires?|needs?)\s+(?:your\s+)?java\s?script"
    r"|java\s?script\s+(?:is\s+)?(?:required|disabled|not\s+(?:available|enabled|supported)|must\s+be)",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Shell:
    """What a plain page holds: characters of text and of scripts, scripts, an app's root, a request for JavaScript."""

    text: int
    scripts: int
    script_text: int
    root: bool
    asks: bool

    @property
    def is_built_by_script(self) -> bool:
        """Whether the page's text is most likely written by its scripts."""
        if not self.scripts:
            return False
        if self.text < _LITTLE or (self.asks and self.text < _SOME):
            return True
        return self.text < _SOME and (self.root or self.script_text > _SHARE * self.text)

    @property
    def words(self) -> str:
        """Why it is taken for a shell, for people."""
        said = [f"{self.text} characters of text", f"{self.scripts} script{'' if self.scripts == 1 else 's'}"]
        if self.root:
            said.append("the root of an app")
        if self.asks:
            said.append("a request to enable JavaScript")
        return ", ".join(said)


def shell_of(body: bytes, content_type: str) -> Shell | None:
    """What a plain page holds; None where it is no HTML, or cannot be read as such."""
    if format_of(body, content_type) is not Format.HTML:
        return None
    try:
        tree = LexborHTMLParser(decoded(body, content_type))
    except SelectolaxError:
        return None
    asks = any(_ASKS.search(node.text()[:2000]) for node in tree.css("noscript")[:20])
    scripts = tree.css("script")
    weight = sum(len(node.text()) for node in scripts)
    root = tree.css_first(_ROOTS) is not None
    count = len(scripts)
    tree.strip_tags(["script", "style", "noscript", "template", "svg"])
    text = _SPACE.sub(" ", tree.body.text(separator=" ") if tree.body is not None else "").strip()
    return Shell(
        len(text), count, weight, root, asks or (len(text) < _SOME and _ASKS.search(text) is not None)
    )
