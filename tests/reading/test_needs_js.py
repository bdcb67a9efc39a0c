"""The shell that scripts fill is told from a page that has its text."""

from __future__ import annotations

import pytest

from policywatch.reading.needs_js import shell_of

RULES = "".join(
    f"<p>Rule {n}. You must not sell what others wrote, or we may end your account.</p>" for n in range(40)
)
SHELLS = {
    "the root of an app": '<div id="root"></div><script src="/app.js"></script>',
    "a noscript that asks": "<noscript>JavaScript is not available. We\u2019ve detected that JavaScript is disabled in this"
    " browser.</noscript><p>"
    + "Cookie words of the footer. " * 30
    + "</p><script src=/a.js></script>",
    "state in scripts": "<p>Log in or sign up to continue, or look at our help pages instead of this one.</p>"
    + "<script>window.__data = [" + "12345," * 5000 + "]</script>",
    "words that ask, outside of noscript": "<p>You need to enable JavaScript to run this app.</p><script src=/a.js></script>",
    "a frame of menus around nothing": '<nav>' + "<a href=/x>Menu entry</a> " * 90 + '</nav><div id="__next"></div>'
    "<script src=/a.js></script><script src=/b.js></script>",
}  # fmt: skip
PAGES = {
    "a text with a counter": f"<main>{RULES}</main><script src=/count.js></script>",
    "a text within the root of an app": f'<div id="root"><main>{RULES}</main></div><script src=/app.js></script>',
    "a short page without scripts": "<p>Gone fishing.</p>",
    "a text that speaks of JavaScript": f"<main>{RULES}<p>The editor requires JavaScript.</p></main><script src=/a.js></script>",
}


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_is_known(name: str) -> None:
    shell = shell_of(f"<html><body>{SHELLS[name]}</body></html>".encode(), "text/html; charset=utf-8")

    assert shell is not None and shell.is_built_by_script, shell
    assert "script" in shell.words


@pytest.mark.parametrize("name", PAGES)
def test_a_page_with_its_text_is_none(name: str) -> None:
    shell = shell_of(f"<html><body>{PAGES[name]}</body></html>".encode(), "text/html; charset=utf-8")

    assert shell is not None and not shell.is_built_by_script, shell


def test_what_is_no_html_is_no_shell() -> None:
    assert shell_of(b"%PDF-1.4\n%...", "application/pdf") is None
    assert shell_of(b'{"text": ""}', "application/json") is None
