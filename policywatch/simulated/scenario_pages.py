"""The pages of a scenario as HTML: a policy with its menu, boxes and noise, and all that comes in its place.

Equal arguments give equal bytes. When which of them is served is the business of `scenario_web`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape

from policywatch.simulated.scenario import BadKind, NoiseKind
from policywatch.simulated.scenario_texts import NAMES

__all__ = ["BODIES", "policy_page", "stub"]

_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
_GERMAN = (
    "Diese Bedingungen sind eine Vereinbarung zwischen dir und uns. Sie gelten für alle Dienste, die wir unter "
    "diesem Namen anbieten. Bitte lies sie zusammen mit unserer Datenschutzerklärung. Wenn du nicht einverstanden "
    "bist, darfst du den Dienst nicht benutzen.",
    "Wir verarbeiten Angaben über dich, um den Dienst zu erbringen, Werbung anzuzeigen und Betrug zu erkennen. Du "
    "kannst der Verarbeitung jederzeit widersprechen; wir antworten innerhalb von dreißig Tagen.",
    "Für Schäden haften wir nur bei Vorsatz und grober Fahrlässigkeit. Es gilt das Recht des Landes, in dem du "
    "deinen gewöhnlichen Aufenthalt hast.",
    "Wir können diese Bedingungen ändern und sagen dir das mindestens dreißig Tage vorher.",
)


def _mark(*parts: object) -> int:
    """A number that depends on the parts and on nothing else."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:6], "big")


def _page(title: str, body: str, *, head: str = "", classes: str = "light") -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'{head}</head>\n<body class="{classes}">\n{body}\n</body>\n</html>\n'
    )


def policy_page(
    company: str, name: str, key: str, blocks: Sequence[str], times: Mapping[NoiseKind, int]
) -> bytes:
    """The whole page of a policy. `times` counts how often each noise has struck this page; `key` names it."""
    ads, turns, people = (
        times.get(kind, 0) for kind in (NoiseKind.AD_BOX, NoiseKind.NAV_ORDER, NoiseKind.COUNTER)
    )
    menu = [f'<li><a href="/{entry.lower().replace(" ", "-")}">{entry}</a></li>' for entry in NAMES]
    menu = menu[turns % len(menu) :] + menu[: turns % len(menu)]
    ad = f'<p>Try {company} Plus for {3 + _mark(key, "price", ads) % 9} euros</p><img src="/ad/{_mark(key, ads):x}.png">'
    online = 1000 + _mark(key, "online", people) % 9000
    body = f"""<header><a href="/">{escape(company)}</a><nav><ul>{"".join(menu)}</ul></nav>
<div role="dialog" class="bar"><p>We use cookies on this pretend page.</p><button>Accept</button></div></header>
{_region(key, blocks, times)}
<aside class="ad-{ads}">{ad}</aside>
<footer><p>{escape(company)} Pretend Limited. {online} people are here now.</p>
<ul><li><a href="/legal/imprint">Imprint</a></li><li><a href="/help/contact">Contact</a></li></ul></footer>
<script>document.querySelector(".bar").hidden = false;</script>"""
    head = f'<style>main {{ max-width: 60rem }}</style>\n<script>window.page = "{key}";</script>\n'
    return _page(
        f"{name} | {company}", body, head=head, classes=_classes("policy light wide", key, times)
    ).encode()


def _classes(names: str, key: str, times: Mapping[NoiseKind, int]) -> str:
    turns = times.get(NoiseKind.CLASS_NAMES, 0)
    words = names.split()
    words = words[turns % len(words) :] + words[: turns % len(words)]
    return " ".join([*words, f"css-{_mark(key, turns):x}"] if turns else words)


def _region(key: str, blocks: Sequence[str], times: Mapping[NoiseKind, int]) -> str:
    """The `main` element: the policy, a line of relative time, and two boxes that the rule takes out."""
    marked = times.get(NoiseKind.MARKUP, 0)
    inner = [_block(block, key, times, marked) for block in blocks]
    inner.insert(1, f"<p>Last reviewed {3 + times.get(NoiseKind.RELATIVE_TIME, 0)} days ago</p>")
    helped = 100 + 7 * times.get(NoiseKind.COUNTER, 0)
    see = _mark(key, "related", times.get(NoiseKind.AD_BOX, 0))
    inner.append(
        f'<div class="feedback"><p>Was this of use? {helped} people said yes.</p><button>Yes</button></div>'
    )
    inner.append(
        f'<div class="related"><h2>Read on</h2><a href="/news/{see:x}">Story number {see % 10_000}</a></div>'
    )
    joint = (
        "\n" + " " * (2 * times.get(NoiseKind.WHITESPACE, 0) % 7) + ("<!-- block -->\n" if marked % 2 else "")
    )
    return f'<main class="{_classes("text policy-body", key, times)}">{joint}{joint.join(inner)}\n</main>'


def _block(block: str, key: str, times: Mapping[NoiseKind, int], marked: int) -> str:
    """One heading, list or paragraph as HTML."""
    mark = f' data-n="{marked}"' if marked else ""
    spaced = times.get(NoiseKind.WHITESPACE, 0) % 2

    def inline(words: str) -> str:
        html = _links(words, key, times)
        html = html.replace(" ", "\n   ", 1) if spaced else html
        return f"<span>{html}</span>" if marked % 2 else html

    if block.startswith("#"):
        marks, _, words = block.partition(" ")
        return f"<h{len(marks)}{mark}>{inline(words)}</h{len(marks)}>"
    if block.startswith("* "):
        items = "".join(f"<li>{inline(line.removeprefix('* '))}</li>" for line in block.splitlines())
        return f"<ul{mark}>{items}</ul>"
    return f"<p{mark}>{inline(block)}</p>"


def _links(words: str, key: str, times: Mapping[NoiseKind, int]) -> str:
    """Text with its links; each carries a session token that changes with the link noise."""
    token = f"{_mark(key, 'token', times.get(NoiseKind.LINK_TOKENS, 0)):012x}"
    return _LINK.sub(
        lambda found: f'<a href="{found[2]}?session={token}">{found[1]}</a>', escape(words, quote=False)
    )


# In place of the policy ------------------------------------------------------------------------------


def stub(title: str, *paragraphs: str) -> bytes:
    """A small page of plain words, as servers send with errors."""
    return _page(title, f"<h1>{title}</h1>\n" + "\n".join(f"<p>{one}</p>" for one in paragraphs)).encode()


def _captcha(company: str, policy: bytes, other: bytes) -> bytes:
    head = '<script src="https://challenges.pretend.test/turnstile/v0/api.js"></script>\n'
    body = (
        '<main><h1>Just a moment...</h1><p>Checking that you are human. This may take a few seconds.</p><div class="cf-challenge" '
        f'id="challenge-form"></div><p>{company} needs to review the security of your connection before '
        "proceeding. Enable JavaScript and cookies to continue.</p></main>"
    )
    return _page("Just a moment...", body, head=head).encode()


def _login(company: str, policy: bytes, other: bytes) -> bytes:
    body = (
        f'<main><h1>Log in to {company}</h1><form action="/session" method="post"><label>Name <input name="name"></label>'
        '<label>Password <input type="password" name="password"></label><button>Log in</button></form>'
        f'<p>New to {company}? <a href="/join">Sign up</a> and join millions of people. <a href="/forgot">Forgot your '
        "password?</a></p><p>You must log in to continue.</p></main>"
    )
    return _page(f"Log in to {company}", body).encode()


def _consent(company: str, policy: bytes, other: bytes) -> bytes:
    body = (
        f"<main><h1>Before you continue to {company}</h1><p>We use cookies and other data to deliver and maintain "
        "our services, to measure audience engagement and to show personalised advertising. Choose what you "
        "agree to. You can change your choice at any time.</p><button>Accept all</button><button>Reject all</button>"
        "<p>More options: manage how 214 partners store information on your device.</p></main>"
    )
    return _page("Before you continue", body).encode()


def _soft_404(company: str, policy: bytes, other: bytes) -> bytes:
    body = (
        "<main><h1>Page not found</h1><p>Sorry, this page isn't available. The link you followed may be broken, or "
        f'the page may have been removed.</p><p>Go back to <a href="/">{company}</a> or visit the help centre. Error 404.</p></main>'
    )
    return _page(f"Page not found | {company}", body).encode()


def _half(company: str, policy: bytes, other: bytes) -> bytes:
    """The policy up to its middle, and the answer says that this is all."""
    return policy[: len(policy) // 2]


def _wrong_language(company: str, policy: bytes, other: bytes) -> bytes:
    body = "".join(
        f"<h2>Abschnitt {turn}</h2>" + "".join(f"<p>{one}</p>" for one in _GERMAN) for turn in range(1, 6)
    )
    page = _page(
        f"Nutzungsbedingungen | {company}", f"<main><h1>Nutzungsbedingungen von {company}</h1>{body}</main>"
    )
    return page.replace('lang="en"', 'lang="de"').encode()


def _script_shell(company: str, policy: bytes, other: bytes) -> bytes:
    scripts = "".join(
        f'<script src="/static/js/{_mark(company, turn):x}.js"></script>\n' for turn in range(12)
    )
    body = '<div id="root"></div><main id="app"></main><noscript>You need to enable JavaScript to run this app.</noscript>'
    return _page(company, body, head=scripts).encode()


def _mojibake(company: str, policy: bytes, other: bytes) -> bytes:
    """The policy through the wrong decoder: quotes, dashes and blanks come out as pairs of strange letters."""
    text = policy.decode().replace(" and ", " – and ").replace(" the ", " “the” ").replace("e ", "é ")
    return text.encode().decode("cp1252", errors="replace").encode()


def _other_text(company: str, policy: bytes, other: bytes) -> bytes:
    return other


def _maintenance(company: str, policy: bytes, other: bytes) -> bytes:
    body = (
        f"<main><h1>We'll be right back</h1><p>{company} is down for scheduled maintenance. We expect to be back "
        "shortly and apologise for the inconvenience.</p><p>Please try again in a few minutes. Follow our status "
        "page for news about this interruption.</p></main>"
    )
    return _page("Scheduled maintenance", body).encode()


#: For kinds that come with a body of their own: (company, policy page, page of another document) -> bytes.
BODIES: dict[BadKind, Callable[[str, bytes, bytes], bytes]] = {
    BadKind.CAPTCHA: _captcha,
    BadKind.LOGIN: _login,
    BadKind.CONSENT: _consent,
    BadKind.SOFT_404: _soft_404,
    BadKind.EMPTY: lambda company, policy, other: b"",
    BadKind.HALF: _half,
    BadKind.WRONG_LANGUAGE: _wrong_language,
    BadKind.SCRIPT_SHELL: _script_shell,
    BadKind.MOJIBAKE: _mojibake,
    BadKind.OTHER_TEXT: _other_text,
    BadKind.MAINTENANCE: _maintenance,
}
