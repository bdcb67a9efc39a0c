"""Forty genuine captures of policies: edited, shortened, redesigned, about walls, beside walls; all of them our own."""

from __future__ import annotations

from tests.reading.bad_pages import FOOT, LONG_SCRIPT, NAV, Capture
from tests.reading.own_policies import (
    COOKIES,
    DATENSCHUTZ,
    REGLES,
    RULES,
    SHORT,
    TERMS,
    Policy,
    html,
    markdown,
)

__all__ = ["GOOD"]

TERMS_TEXT = markdown(TERMS)
BANNER = "<div><p>We use cookies. Choose what you allow.</p><button>Accept all</button><button>Reject all</button></div>"
LOGIN_BOX = (
    "<header><form><input name='u'><input type='password' name='p'><button>Log in</button></form></header>"
)


def only(policy: Policy, *numbers: int) -> Policy:
    """The policy with some of its sections."""
    title, sections = policy
    return title, tuple(sections[number] for number in numbers)


def renamed(policy: Policy) -> Policy:
    """The policy under new headings."""
    title, sections = policy
    names = (
        "Joining",
        "Staying safe",
        "Your posts",
        "Robots",
        "Money",
        "Leaving",
        "What we owe",
        "News",
        "Courts",
        "Us",
    )
    return title, tuple((name, words) for name, (_, words) in zip(names, sections, strict=False))


REWRITTEN: Policy = (
    "Terms in short",
    (
        (
            "The deal",
            (
                "By using Harbour you agree to these terms. If you do not agree, you may not use the services.",
            ),
        ),
        (
            "Your side",
            (
                "You must be 16 or older, you are responsible for your account, and you must not violate the law or the rights of others. What you post remains your property; you give us a licence to show it.",
            ),
        ),
        (
            "Our side",
            (
                "We run the services with care but without warranty. Our liability is limited as far as the law permits. We may suspend accounts that break these terms, and you may object.",
            ),
        ),
    ),
)
ACCESS: Policy = (
    "Account access rules",
    (
        (
            "When you must log in",
            (
                "You must log in to continue where content is limited to adults. Please log in only on our own pages; we may suspend an account whose password was shared.",
            ),
        ),
        (
            "Forgot your password?",
            (
                "You may set a new one with the address you registered. We must verify who you are before we disclose any account.",
            ),
        ),
    ),
)
ROBOTS: Policy = (
    "Automation rules",
    (
        (
            "Captchas and unusual traffic",
            (
                "We may show a captcha where we see unusual traffic or automated requests. You must not solve it by a program or pay others to solve it, and tools that do so are prohibited.",
            ),
        ),
        (
            "Rate limits",
            (
                "An application that is told that it made too many requests (429) must slow down and may try again in a few minutes. Repeated violations of this rule lead to termination of the access.",
            ),
        ),
    ),
)
LINKS_RULES: Policy = (
    "Rules for broken links",
    (
        (
            "Page not found",
            (
                "If a page you are looking for could not be found, its owner may have removed it, or we removed it because it violated our rules. We do not disclose which of the two applies.",
            ),
        ),
    ),
)
PAID: Policy = (
    "Subscription terms",
    (
        (
            "Subscribe to continue after the trial",
            (
                "After your free trial you must subscribe to continue. The fee is due monthly, and you may terminate the subscription at any time to the end of the month.",
            ),
        ),
        (
            "Refunds",
            (
                "You have the right to withdraw within 14 days. The applicable law may give you further rights.",
            ),
        ),
    ),
)
UPTIME: Policy = (
    "Service levels",
    (
        (
            "Scheduled maintenance",
            (
                "The service may be temporarily unavailable for scheduled maintenance, which we announce 48 hours before. We are not liable for damages caused by it, unless the agreement says otherwise.",
            ),
        ),
    ),
)
HELP_JA = (
    "# 亡くなった会員について\n\nご家族の方は、亡くなった会員のアカウントの削除を当社に申請することができます。申請には死亡証明書と本人確認書類の写しが必要です。"
    "当社はパスワードをお知らせすることはありません。提出された書類は、法律に従って取り扱い、確認が終わった後に削除します。権利を侵害する申請は禁止されています。\n"
)

_EDITED = (
    Capture("as it was", TERMS, html(TERMS)),
    Capture("one word", TERMS, html(TERMS).replace("16 years", "18 years")),
    Capture("the date alone", TERMS, html(TERMS, before="<p>Effective 1 March 2027</p>")),
    Capture("a number alone", TERMS, html(TERMS).replace("30 days", "14 days")),
    Capture("a new section", TERMS, html((TERMS[0], (*TERMS[1], *RULES[1][:1])))),
    Capture("twice as long", TERMS, html((TERMS[0], (*TERMS[1], *RULES[1], *COOKIES[1])))),
    Capture("half the sections", TERMS, html(only(TERMS, 0, 2, 5, 6, 8))),
    Capture("the second half gone", TERMS, html(only(TERMS, 0, 1, 2, 3, 4))),
    Capture("four sections left", TERMS, html(only(TERMS, 0, 2, 6, 9))),
    Capture("new headings over the old words", TERMS, html(renamed(TERMS))),
    Capture("new headings and half the words", TERMS, html(renamed(only(TERMS, 0, 2, 4, 5, 6)))),
    Capture("written anew and much shorter", TERMS, html(REWRITTEN)),
    Capture("one section of the rules gone", RULES, html(only(RULES, 0, 1, 3, 4))),
    Capture(
        "no headings any more",
        TERMS,
        text="\n\n".join(words for _, all_ in TERMS[1] for words in all_) + "\n",
    ),
    Capture("an end without a full stop", TERMS, html(TERMS, after="<p>Harbour Limited, Dublin</p>")),
    Capture("a menu around it for the first time", TERMS, html(TERMS, before=NAV, after=FOOT)),
    Capture(
        "every link of another length",
        TERMS,
        text=TERMS_TEXT.replace("Harbour", "[Harbour](https://l.harbour.test/?u=" + "x" * 90 + ")"),
    ),
    Capture("an edit in German", DATENSCHUTZ, html(DATENSCHUTZ).replace("30 Tagen", "90 Tagen"), "de"),
    Capture("an edit in French", REGLES, html(REGLES).replace("14 jours", "30 jours"), "fr"),
    Capture(
        "an English document that has always been German",
        DATENSCHUTZ,
        html(DATENSCHUTZ).replace("sechs", "vier"),
        "en",
    ),
)
_SUBJECT = (
    Capture("about log-in", ACCESS, html(ACCESS).replace("adults", "grown-ups")),
    Capture("about captchas", ROBOTS, html(ROBOTS).replace("429", "code 429")),
    Capture("about missing pages", LINKS_RULES, html(LINKS_RULES).replace("owner", "author")),
    Capture("about subscriptions", PAID, html(PAID).replace("14 days", "30 days")),
    Capture("about maintenance", UPTIME, html(UPTIME).replace("48 hours", "two days")),
    Capture("about cookies", COOKIES, html(COOKIES).replace("12 months", "13 months")),
    Capture("about the dead, short", SHORT, html(SHORT).replace("certificate", "deed")),
    Capture(
        "about the dead, in Japanese", (HELP_JA, ()), text=HELP_JA.replace("写し", "コピー"), language="ja"
    ),
    Capture(
        "about names with signs",
        TERMS,
        html(TERMS).replace("4 Quay Street, Dublin", "Praça da Sé, SÃO PAULO — “Não” é só um nome"),
    ),
    Capture("one letter that could not be read", TERMS, html(TERMS).replace("Quay", "Qu\ufffdy")),
)
_AROUND = (
    Capture("a cookie banner above it", TERMS, html(TERMS, before=BANNER)),
    Capture("a cookie banner above the cookie policy", COOKIES, html(COOKIES, before=BANNER)),
    Capture("a log-in box above it", TERMS, html(TERMS, before=LOGIN_BOX)),
    Capture("a title that invites to log in", TERMS, html(TERMS, title="Harbour – log in or sign up")),
    Capture(
        "a note for browsers without scripts",
        TERMS,
        html(TERMS, before="<noscript>Please enable JavaScript.</noscript>", script=LONG_SCRIPT),
    ),
    Capture(
        "a captcha's script in the head",
        TERMS,
        html(
            TERMS,
            script="<script src='https://www.google.com/recaptcha/api.js'></script><script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script>",
        ),
    ),
    Capture(
        "a redirect to the language",
        TERMS,
        html(TERMS),
        final_url="https://www.harbour.test/en/legal/terms",
        redirects=({"status": 301, "to": "/en/legal/terms"},),
    ),
    Capture(
        "a platform that changed its name",
        TERMS,
        html(TERMS).replace("Harbour", "Haven"),
        final_url="https://haven.example/legal/terms",
    ),
    Capture(
        "a version of an archive",
        TERMS,
        status=None,
        content_type="",
        url="",
        final_url="",
        text=TERMS_TEXT.replace("Ireland", "Malta"),
    ),
    Capture("plain text", TERMS, TERMS_TEXT.replace("Dublin", "Cork"), content_type="text/plain"),
)

GOOD: tuple[Capture, ...] = (*_EDITED, *_SUBJECT, *_AROUND)
