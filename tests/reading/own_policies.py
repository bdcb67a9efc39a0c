"""Policies of platforms that do not exist, written for tests: enough text to be captured, cut, redesigned and walled."""

from __future__ import annotations

from html import escape

__all__ = ["COOKIES", "DATENSCHUTZ", "REGLES", "RULES", "SHORT", "TERMS", "Policy", "html", "markdown"]

#: Title, then sections of a heading and paragraphs.
Policy = tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]

TERMS: Policy = (
    "Harbour Terms of Service",
    (
        (
            "1. Who may use Harbour",
            (
                "You may use Harbour if you are at least 16 years old and no law that applies to you forbids it. If you open an account for a company or another body, you confirm that you may bind it to this agreement.",
                "We may refuse an account to anyone whose earlier account we closed for breaking these terms.",
            ),
        ),
        (
            "2. Your account and your password",
            (
                "You must keep your password secret and tell us without delay if somebody else has learned it. You are responsible for what happens through your account until you have told us.",
                "You must log in to continue a paid subscription, to change your address or to close the account. We never ask for your password by mail.",
            ),
        ),
        (
            "3. What you post",
            (
                "You keep all rights in what you post. You grant us a licence, without fee and for the whole world, to store, show, copy and translate it for as long as it stands on Harbour.",
                "You must not post what violates the rights of others, what is unlawful, or what you have no permission to publish. We may remove such content and we tell you why.",
            ),
        ),
        (
            "4. Automated access",
            (
                "You may not collect content by automated means unless our robots file allows it or we agreed in writing. We may ask visitors to complete a captcha to show that they are human.",
            ),
        ),
        (
            "5. Fees and payment",
            (
                "Some services cost a fee that we show before you buy. Fees are due in advance and are not returned except where the law demands it. We announce a higher fee at least 30 days before it applies.",
            ),
        ),
        (
            "6. Suspension and termination",
            (
                "You may end this agreement at any time. We may suspend or terminate your account if you break these terms in a serious way or repeatedly; we give notice and a reason, and you may object within 14 days.",
            ),
        ),
        (
            "7. Warranty and liability",
            (
                "The services are provided as they are. They may be temporarily unavailable for maintenance. We are liable without limit for intent and gross negligence, and otherwise only for the breach of essential duties, up to the damage that could be foreseen.",
            ),
        ),
        (
            "8. Changes of these terms",
            (
                "We may change these terms for good cause. We tell you at least 30 days before the change takes effect, and you may object until then. If you do not object, the new terms apply.",
            ),
        ),
        (
            "9. Governing law and disputes",
            (
                "The law of Ireland applies. The courts of Dublin have jurisdiction, unless the law of the place where you live gives you another court. Consumers may also turn to an arbitration board.",
            ),
        ),
        (
            "10. Contact",
            (
                "Harbour Limited, 4 Quay Street, Dublin. Legal notices are to be sent to legal@harbour.test in writing.",
            ),
        ),
    ),
)

COOKIES: Policy = (
    "Harbour Cookie Policy",
    (
        (
            "What cookies are",
            (
                "A cookie is a small file that our server stores in your browser. We use cookies and similar technologies to keep you logged in, to remember your language and to measure how the pages are used.",
            ),
        ),
        (
            "Which cookies we use",
            (
                "Necessary cookies are set without your consent, since the service cannot work without them. They are deleted after at most 12 months.",
                "Measuring and advertising cookies are set only if you consent. Our partners may set them, too, and process the data for purposes of their own.",
            ),
        ),
        (
            "How you can choose",
            (
                "In the banner you can accept all cookies, reject all cookies or manage your preferences for each purpose. You may withdraw your consent at any time in the cookie settings.",
                "Your browser can block cookies as well. You may then have to log in again at every visit.",
            ),
        ),
        (
            "Your rights",
            (
                "You have the right of access, erasure and objection under the applicable law, and you may complain to the supervisory authority.",
            ),
        ),
    ),
)

RULES: Policy = (
    "Harbour Community Guidelines",
    (
        (
            "Be truthful",
            (
                "You must not pretend to be another person, and you must not spread invented news about elections, health or disasters. We label or remove such posts.",
            ),
        ),
        (
            "Be kind",
            (
                "Harassment, threats and hatred against people for what they are have no place on Harbour. We remove them, and repeated violations lead to suspension of the account.",
            ),
        ),
        (
            "No spam",
            (
                "Do not send the same message to many people who did not ask for it, and do not trade in likes, followers or accounts.",
            ),
        ),
        (
            "Protect the young",
            (
                "Content that sexualises or endangers minors is prohibited without exception. We report it to the authorities and close the account at once.",
            ),
        ),
        (
            "How we enforce the rules",
            (
                "Moderators read reports within 24 hours. You may appeal a decision within 14 days, and another moderator decides on the appeal.",
            ),
        ),
    ),
)

DATENSCHUTZ: Policy = (
    "Datenschutzerklärung von Harbour",
    (
        (
            "1. Verantwortlicher",
            (
                "Verantwortlich für die Verarbeitung deiner personenbezogenen Daten ist die Harbour GmbH, Kaistraße 4, Hamburg. Unseren Datenschutzbeauftragten erreichst du unter der gleichen Anschrift.",
            ),
        ),
        (
            "2. Welche Daten wir verarbeiten",
            (
                "Wir verarbeiten die Angaben, die du bei der Anmeldung machst, die Inhalte, die du veröffentlichst, und die Protokolle der Zugriffe. Ohne diese Daten können wir den Vertrag nicht erfüllen.",
                "Für Werbung verarbeiten wir Daten nur mit deiner Einwilligung, die du jederzeit für die Zukunft widerrufen kannst.",
            ),
        ),
        (
            "3. Wie lange wir speichern",
            (
                "Wir löschen die Daten, sobald sie für die Zwecke nicht mehr erforderlich sind und kein Gesetz uns zur Aufbewahrung verpflichtet. Protokolle löschen wir nach 30 Tagen.",
            ),
        ),
        (
            "4. Empfänger",
            (
                "Dritte erhalten Daten nur, wenn ein Gesetz es verlangt, wenn du eingewilligt hast oder wenn sie in unserem Auftrag tätig sind. Mit ihnen bestehen Verträge nach den gesetzlichen Regeln.",
            ),
        ),
        (
            "5. Deine Rechte",
            (
                "Du hast das Recht auf Auskunft, Berichtigung, Löschung, Einschränkung, Übertragbarkeit und Widerspruch. Außerdem kannst du dich bei einer Aufsichtsbehörde beschweren.",
            ),
        ),
        (
            "6. Änderungen",
            (
                "Wir können diese Erklärung ändern, wenn sich die Rechtslage oder der Dienst ändert. Über wesentliche Änderungen unterrichten wir dich mindestens sechs Wochen vorher.",
            ),
        ),
    ),
)

REGLES: Policy = (
    "Règles de la communauté Harbour",
    (
        (
            "Respecter les autres",
            (
                "Vous devez respecter les droits des autres membres. Le harcèlement, les menaces et la haine sont interdits, et nous supprimons les publications qui enfreignent ces règles.",
            ),
        ),
        (
            "Respecter la loi",
            (
                "Vous ne devez pas publier de contenus contraires à la loi ou à la propriété intellectuelle de tiers. En cas de violation, nous pouvons suspendre le compte.",
            ),
        ),
        (
            "Faire appel",
            (
                "Vous pouvez contester une décision dans un délai de 14 jours. Une autre personne de notre équipe examine alors la demande et vous informe du résultat.",
            ),
        ),
    ),
)

SHORT: Policy = (
    "Deceased members",
    (
        (
            "Closing an account",
            (
                "A member of the family may ask us to close the account of a deceased person. We need a copy of the death certificate and of your identity card. We never hand out the password.",
            ),
        ),
    ),
)


def markdown(policy: Policy) -> str:
    """The policy as extraction would store it."""
    title, sections = policy
    parts = [f"# {title}"]
    for heading, paragraphs in sections:
        parts += [f"## {heading}", *paragraphs]
    return "\n\n".join(parts) + "\n"


def html(
    policy: Policy, *, before: str = "", after: str = "", title: str | None = None, script: str = ""
) -> str:
    """The policy as a page; `before` and `after` stand in the body around it."""
    name, sections = policy
    body = f"<h1>{escape(name)}</h1>"
    for heading, paragraphs in sections:
        body += f"<h2>{escape(heading)}</h2>" + "".join(f"<p>{escape(words)}</p>" for words in paragraphs)
    return (
        f"<!doctype html><html><head><meta charset=utf-8><title>{escape(name if title is None else title)}</title>"
        f"{script}</head><body>{before}<main>{body}</main>{after}</body></html>"
    )
