"""Forty answers that stand in a policy's place: walls, errors, torn and foreign pages, all of them our own.

Each names the document it pretends to be; it is extracted with the widest rule (`body`), so that only the signs of the
capture itself can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.reading.own_policies import COOKIES, DATENSCHUTZ, REGLES, RULES, TERMS, Policy, markdown

__all__ = ["BAD", "WALLS", "Capture"]

URL = "https://www.harbour.test/legal/terms"


@dataclass(frozen=True, slots=True)
class Capture:
    """One answer to a request for `policy`; `text` replaces what extraction would find in `body`."""

    name: str
    policy: Policy
    body: str = ""
    language: str = "en"
    status: int | None = 200
    content_type: str = "text/html; charset=utf-8"
    url: str = URL
    final_url: str = URL
    redirects: Sequence[Mapping[str, Any]] = ()
    text: str | None = None
    fault: str | None = None


def page(title: str, body: str, head: str = "") -> str:
    return f"<!doctype html><html><head><title>{title}</title>{head}</head><body>{body}</body></html>"


LONG_SCRIPT = "<script>" + "window.__state={a:1,b:[2,3]};function q(n){return n*2};" * 60 + "</script>"
LINKS = "".join(
    f"<li><a href='/help/{n}'>{words}</a></li>"
    for n, words in enumerate(
        (
            *(
                "About",
                "Careers",
                "Press",
                "Blog",
                "Developers",
                "Advertise",
                "Business",
                "Help Center",
                "Terms",
            ),
            *("Privacy", "Cookies", "Accessibility", "Imprint", "Deutsch", "Español", "Français", "Italiano"),
            *("Polski", "Português", "Svenska", "Türkçe", "Getting started", "Managing your profile"),
            *(
                "Finding friends",
                "Posting photos",
                "Posting videos",
                "Going live",
                "Groups",
                "Events",
                "Payments",
            ),
            *("Shopping", "Reporting a problem", "Lost phone", "Hacked accounts", "Two-step verification"),
            *("Notifications", "Muting and blocking", "Sensitive media", "Adding a link", "Trends", "Lists"),
        )
    )
)
NAV = f"<nav><ul>{LINKS}</ul></nav>"
FOOT = f"<footer><ul>{LINKS}</ul><p>© 2026 Harbour from Quay</p></footer>"

_WALLS = (
    Capture(
        "a browser check",
        TERMS,
        page(
            "Just a moment...",
            "<h1>www.harbour.test</h1><p>Checking your browser before accessing the site.</p><p>This process is automatic. Your browser will redirect to your requested content shortly.</p><p>Ray ID: 8a1b2c3d4e5f</p>",
            "<script>window._cf_chl_opt={cvId:'3'};</script>",
        ),
    ),
    Capture(
        "a block by the network",
        TERMS,
        page(
            "Attention Required!",
            "<h1>Sorry, you have been blocked</h1><h2>You are unable to access harbour.test</h2><h3>Why have I been blocked?</h3><p>This website is using a security service to protect itself from online attacks. The action you just performed triggered the security solution.</p>",
        ),
    ),
    Capture(
        "an edge refusal",
        TERMS,
        page(
            "Access Denied",
            '<h1>Access Denied</h1>You don\'t have permission to access "http://www.harbour.test/legal/terms" on this server.<p>Reference #18.2d4f1702.1764273600.1a2b3c4d</p>',
        ),
    ),
    Capture(
        "a captcha drawn by a script",
        TERMS,
        page(
            "harbour.test",
            "<p id='cmsg'>Please enable JS and disable any ad blocker</p><script>var dd={'rt':'c','cid':'AHrlqAAAAAMA'}</script><script src='https://ct.captcha-delivery.com/c.js'></script>",
        ),
    ),
    Capture(
        "press and hold",
        TERMS,
        page(
            "Access to this page has been denied",
            "<div id='px-captcha'></div><p>Press &amp; Hold to confirm you are a human (and not a bot).</p><p>Reference ID 2f6c0b1e-0c4b-11f0</p>",
        ),
    ),
    Capture(
        "unusual traffic",
        TERMS,
        page(
            "Sorry...",
            "<p>Our systems have detected unusual traffic from your computer network. This page checks to see if it's really you sending the requests, and not a robot.</p><p>IP address: 192.0.2.7</p><form><input type='submit' value='Submit'></form>",
        ),
        final_url="https://www.harbour.test/sorry/index?continue=/legal/terms",
    ),
    Capture(
        "a puzzle",
        RULES,
        page(
            "Human Verification",
            "<h1>Let's confirm you are human</h1><p>Complete the security check before continuing. This step verifies that you are not a bot, which helps to protect your account and prevent spam.</p><button>Begin</button>",
        ),
    ),
    Capture(
        "an incident page",
        TERMS,
        page(
            "",
            "<p>Request unsuccessful. Incapsula incident ID: 1224000110078253490-98115343281623049</p><iframe src='/_Incapsula_Resource?SWUDNSAI=31'></iframe>",
        ),
    ),
    Capture(
        "a captcha in German",
        DATENSCHUTZ,
        page(
            "Sicherheitsabfrage",
            "<h1>Bitte bestätigen Sie, dass Sie kein Roboter sind</h1><p>Um fortzufahren, geben Sie bitte die Zeichen aus dem Bild ein. Diese Abfrage schützt unsere Seiten vor automatischen Zugriffen.</p><button>Weiter</button>",
        ),
        "de",
    ),
    Capture(
        "a consent page before the site",
        TERMS,
        page(
            "Before you continue to Harbour",
            "<h1>Before you continue to Harbour</h1><p>We use cookies and data to deliver and maintain our services, track outages and protect against spam, fraud and abuse, measure audience engagement and site statistics.</p><p>If you choose to Accept all, we will also use cookies and data to develop and improve new services, deliver and measure the effectiveness of ads and show personalised content, depending on your settings.</p><button>Reject all</button><button>Accept all</button><a href='/opts'>More options</a>",
        ),
        final_url="https://consent.harbour.test/m?continue=/legal/terms",
    ),
    Capture(
        "a consent page in German",
        DATENSCHUTZ,
        page(
            "Bevor Sie zu Harbour weitergehen",
            "<h1>Bevor Sie zu Harbour weitergehen</h1><p>Wir verwenden Cookies und Daten, um unsere Dienste bereitzustellen, Ausfälle zu prüfen und Maßnahmen gegen Spam, Betrug und Missbrauch zu ergreifen.</p><p>Wenn Sie „Alle akzeptieren“ auswählen, verwenden wir Cookies und Daten auch, um neue Dienste zu entwickeln und Werbung auszuliefern.</p><button>Alle ablehnen</button><button>Alle akzeptieren</button><a href='/o'>Weitere Optionen</a>",
        ),
        "de",
    ),
    Capture(
        "842 partners",
        COOKIES,
        page(
            "Harbour",
            "<h2>We value your privacy</h2><p>We and our 842 partners store and/or access information on a device, such as unique IDs in cookies to process personal data. You may accept or manage your choices by clicking below, including your right to object where legitimate interest is used, or at any time in the privacy policy page. These choices will be signaled to our partners and will not affect browsing data.</p><button>Manage options</button><button>Accept</button>",
        ),
    ),
    Capture(
        "a consent page in French",
        REGLES,
        page(
            "Harbour",
            "<h2>Votre vie privée</h2><p>Avec votre accord, nos 310 partenaires et nous utilisons des cookies ou technologies similaires pour stocker et accéder à des informations personnelles comme votre visite sur ce site. Vous pouvez retirer votre consentement à tout moment.</p><button>Continuer sans accepter</button><button>Paramétrer</button><button>Tout accepter</button>",
        ),
        "fr",
    ),
    Capture(
        "a log-in notice",
        TERMS,
        page(
            "Log into Harbour",
            "<p>Notice</p><p>You must log in to continue.</p><h2>Log into Harbour</h2><form><input type='text' name='mail'><input type='password' name='pass'><button>Log In</button></form><a href='/r'>Forgot account?</a> · <a href='/s'>Sign up for Harbour</a>",
        ),
    ),
    Capture(
        "a redirect to the log-in",
        TERMS,
        page(
            "Login • Harbour",
            '<h1>Harbour</h1><form><label>Phone number, username, or email</label><input><label>Password</label><input type="password"></form><p>Don\'t have an account? Sign up</p><p>Get the app.</p>'
            + FOOT,
        ),
        final_url="https://www.harbour.test/accounts/login/?next=/legal/terms",
        redirects=({"status": 302, "to": "/accounts/login/"},),
    ),
    Capture(
        "join to see",
        RULES,
        page(
            "Sign Up | Harbour",
            "<h1>Join Harbour to see the full page</h1><p>Make the most of your professional life</p><form><label>Email</label><input><label>Password (6+ characters)</label><input type='password'></form><p>By clicking Agree &amp; Join, you agree to the Harbour User Agreement, Privacy Policy, and Cookie Policy.</p><p>Already on Harbour? Sign in</p>",
        ),
        url="https://www.harbour.test/legal/rules",
        final_url="https://www.harbour.test/authwall?trk=gf",
    ),
    Capture(
        "no script",
        TERMS,
        page(
            "Harbour",
            "<h1>JavaScript is not available.</h1><p>We've detected that JavaScript is disabled in this browser. Please enable JavaScript or switch to a supported browser to continue using harbour.test.</p><p>You can see a list of supported browsers in our Help Center.</p><p>Help Center Terms of Service Privacy Policy Cookie Policy Imprint Ads info © 2026 Harbour Corp.</p>"
            + LONG_SCRIPT,
        ),
    ),
    Capture(
        "a shell for scripts", TERMS, page("Harbour Terms of Service", "<div id='root'></div>" + LONG_SCRIPT)
    ),
    Capture(
        "an old browser",
        RULES,
        page(
            "Update your browser",
            "<h1>Your browser isn't supported anymore</h1><p>Harbour works best with the newest version of these browsers. Choose one of them to go on, or use the Harbour app on your phone.</p><ul><li>Chrome</li><li>Firefox</li><li>Safari</li><li>Edge</li></ul>",
        ),
    ),
)

_ERRORS = (
    Capture(
        "something went wrong",
        RULES,
        page(
            "Harbour",
            "<p>Something went wrong, but don't fret — it's not your fault.</p><p>Let's give it another shot.</p><button>Refresh</button><p>Some privacy related extensions may cause issues on harbour.test.</p>"
            + LONG_SCRIPT,
        ),
    ),
    Capture(
        "not found",
        TERMS,
        page(
            "Page not found | Harbour",
            NAV
            + "<h1>Sorry, this page isn't here</h1><p>The link you followed may be broken, or the page may have been removed. Go back to Harbour.</p>"
            + FOOT,
        ),
    ),
    Capture(
        "not found in German",
        DATENSCHUTZ,
        page(
            "Harbour",
            NAV
            + "<h1>Diese Seite ist leider nicht verfügbar</h1><p>Der von dir angeklickte Link funktioniert nicht mehr oder die Seite wurde entfernt. Zurück zur Startseite.</p>"
            + FOOT,
        ),
        "de",
    ),
    Capture(
        "not found in French",
        REGLES,
        page(
            "Erreur 404",
            "<h1>Oups !</h1><p>La page que vous avez demandée n'existe plus ou a été déplacée. Vérifiez l'adresse ou revenez à l'accueil pour continuer votre visite.</p>"
            + FOOT,
        ),
        "fr",
    ),
    Capture(
        "not found in Spanish",
        TERMS,
        page(
            "Harbour",
            "<h1>Esta página no está disponible</h1><p>Es posible que el enlace que seguiste esté roto o que se haya eliminado la página. Volver a Harbour para ver lo que hay de nuevo para ti.</p>",
        ),
    ),
    Capture(
        "not found in Japanese",
        TERMS,
        page(
            "ページが見つかりません",
            "<h1>お探しのページは見つかりませんでした</h1><p>リンクが切れているか、ページが削除された可能性があります。アドレスをもう一度ご確認ください。トップページに戻る。お困りの場合はヘルプセンターをご覧ください。よくあるご質問とその回答が掲載されています。それでも解決しない場合は、お問い合わせフォームからご連絡ください。</p>",
        ),
    ),
    Capture(
        "a help centre that lost the article",
        RULES,
        page(
            "Help Center",
            NAV * 3
            + "<h1>Hmm, we can't find that article</h1><p>It may have moved. Try searching, or browse the topics below.</p>"
            + NAV * 4
            + FOOT,
        ),
    ),
    Capture(
        "maintenance",
        TERMS,
        page(
            "Back soon",
            "<h1>We're making Harbour better</h1><p>Harbour is down for scheduled maintenance and will return at 06:00 UTC. Thank you for your patience. Follow our status page to hear when everything runs again.</p>",
        ),
    ),
    Capture(
        "too many requests",
        TERMS,
        page(
            "429",
            "<h1>Whoa there!</h1><p>You have made too many requests in a short time. Please wait a few minutes before you try again, or contact our support team with the reference below.</p><p>Reference: 7f3a-2210</p>",
        ),
    ),
    Capture(
        "a paywall behind the first lines",
        RULES,
        page(
            "Harbour Community Guidelines",
            "<h1>Harbour Community Guidelines</h1><p>You must not pretend to be another person, and you must not spread invented news ...</p><h2>Keep reading with Harbour Plus</h2><p>Subscribe to continue reading. Start with one month for €1, cancel any time.</p><p>Already a subscriber? Sign in</p>",
        ),
    ),
    Capture(
        "the front page",
        TERMS,
        page(
            "Harbour: share what moves you",
            NAV
            + "<h1>Share what moves you</h1><p>Meet people who love what you love. Watch, listen and talk, wherever you are, on every screen you own.</p><p>Download Harbour for your phone and join 90 million people today.</p>"
            + FOOT,
        ),
        final_url="https://www.harbour.test/",
    ),
    Capture(
        "a parked name",
        TERMS,
        page(
            "harbour.test is for sale",
            "<h1>harbour.test</h1><p>This domain is for sale. Make an offer or buy it now for a fixed price. Secure payment, fast transfer, friendly support.</p><ul><li>Boat insurance</li><li>Harbour cruises</li><li>Cheap flights</li></ul>",
        ),
        final_url="https://parking.example/lander?d=harbour.test",
    ),
    Capture(
        "an answer of the API",
        TERMS,
        '{"error": {"code": 190, "type": "OAuthException", "message": "Invalid access token signature. The session has been invalidated because the token expired.", "trace": "AbCdEf123"}}',
        content_type="text/plain",
    ),
)

_DAMAGE = (
    Capture("nothing", TERMS, fault="The declared part of the page holds no text."),
    Capture("the title alone", TERMS, page("Harbour Terms of Service", "<h1>Harbour Terms of Service</h1>")),
    Capture("cut after a third", TERMS, text=markdown(TERMS)[: int(len(markdown(TERMS)) * 0.35)]),
    Capture(
        "cut in a word after a half",
        TERMS,
        text=markdown(TERMS)[: int(len(markdown(TERMS)) * 0.55)].rsplit(" ", 1)[0],
    ),
    Capture(
        "letters in the wrong encoding",
        DATENSCHUTZ,
        language="de",
        text=markdown(DATENSCHUTZ).encode().decode("cp1252"),
    ),
    Capture(
        "letters that could not be read",
        DATENSCHUTZ,
        language="de",
        text=markdown(DATENSCHUTZ).encode("latin-1").decode("utf-8", "replace"),
    ),
    Capture("the policy in another language", COOKIES, text=markdown(DATENSCHUTZ)),
    Capture("another page of the platform", TERMS, text=markdown(COOKIES)),
)

# What stands in the place of a policy.
WALLS: tuple[Capture, ...] = (*_WALLS, *_ERRORS)
BAD: tuple[Capture, ...] = (*_WALLS, *_ERRORS, *_DAMAGE)
