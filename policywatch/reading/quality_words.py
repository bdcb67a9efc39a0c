"""Words by which walls and error pages are known, and words by which policies are.

Everything is in lower case and in the one typography of `typography.unify`. A phrase belongs here when a policy hardly
ever says it; a legal word when a wall hardly ever does (so no "terms", "privacy" or "cookies": every footer has them).
"""

from __future__ import annotations

import re

__all__ = ["BUTTONS", "LEGAL", "MISSING", "WALLS"]

WALLS: dict[str, tuple[str, ...]] = {
    "missing": (
        *("page not found", "page isn't available", "page is not available", "page could not be found"),
        *(
            "page you were looking for",
            "page you are looking for",
            "page you requested",
            "page doesn't exist",
        ),
        *(
            "page does not exist",
            "content isn't available",
            "content is not available",
            "nothing was found here",
        ),
        *(
            "404 error",
            "error 404",
            "404 not found",
            "link you followed may be broken",
            "been removed, renamed",
        ),
        *(
            "seite nicht gefunden",
            "seite existiert nicht",
            "seite wurde nicht gefunden",
            "seite ist nicht verfügbar",
        ),
        *("page introuvable", "page n'existe pas", "page demandée", "page que vous recherchez"),
        *("página no encontrada", "página no existe", "página que buscas", "no se ha encontrado la página"),
        *("página não encontrada", "página não existe", "página que você procura"),
        *("pagina non trovata", "pagina non esiste", "pagina che stai cercando", "pagina niet gevonden"),
        *("pagina bestaat niet", "nie znaleziono strony", "strona nie istnieje", "sidan hittades inte"),
        *("sidan finns inte", "siden blev ikke fundet", "sayfa bulunamadı", "stránka nenalezena"),
        *(
            "страница не найдена",
            "ページが見つかりません",
            "页面不存在",
            "找不到页面",
            "페이지를 찾을 수 없습니다",
        ),
    ),
    "login": (
        *(
            "you must log in",
            "you must be logged in",
            "log in to continue",
            "please log in",
            "please sign in",
        ),
        *("sign in to continue", "log in or sign up", "sign in to your account", "login to continue"),
        *(
            "forgot password?",
            "forgot your password",
            "forgot account?",
            "log into facebook",
            "keep me signed in",
        ),
        *("melde dich an, um", "bitte melden sie sich an", "bitte melde dich an", "passwort vergessen"),
        *("connectez-vous pour", "veuillez vous connecter", "mot de passe oublié"),
        *("inicia sesión para", "debes iniciar sesión", "olvidaste tu contraseña", "faça login para"),
        *("esqueceu a senha", "accedi per continuare", "password dimenticata", "log in om door te gaan"),
        *(
            "wachtwoord vergeten",
            "zaloguj się, aby",
            "nie pamiętasz hasła",
            "logga in för att",
            "ログインしてください",
        ),
    ),
    "challenge": (
        *("verify you are human", "verify that you are human", "verifying you are human", "are you a robot"),
        *("i'm not a robot", "i am not a robot", "not a robot", "checking your browser", "just a moment..."),
        *(
            "attention required!",
            "security check",
            "complete the captcha",
            "solve the captcha",
            "solve this puzzle",
        ),
        *("unusual traffic", "pardon our interruption", "suspicious activity", "automated requests"),
        *("performing security verification", "ray id:", "checking if the site connection is secure"),
        *("press and hold", "press & hold", "sie ein mensch sind", "du ein mensch bist", "kein roboter"),
        *("sicherheitsüberprüfung", "ihr browser wird überprüft", "vérifiez que vous êtes humain"),
        *(
            "vous n'êtes pas un robot",
            "je ne suis pas un robot",
            "no soy un robot",
            "verifica que eres humano",
        ),
        *("não sou um robô", "non sono un robot", "ik ben geen robot", "nie jestem robotem"),
    ),
    "blocked": (
        *("access denied", "access to this page has been denied", "you have been blocked", "403 forbidden"),
        *("you don't have permission to access", "you do not have permission to access", "request blocked"),
        *(
            "not available in your country",
            "not available in your region",
            "zugriff verweigert",
            "accès refusé",
        ),
        *("acceso denegado", "acesso negado", "accesso negato", "toegang geweigerd", "odmowa dostępu"),
    ),
    "rate_limit": (
        *("too many requests", "rate limit exceeded", "rate limited", "you are being rate limited"),
        *("try again in a few minutes", "slow down", "zu viele anfragen", "trop de requêtes"),
        *("demasiadas solicitudes", "muitas solicitações", "troppe richieste"),
    ),
    "unavailable": (
        *("something went wrong", "temporarily unavailable", "service unavailable", "internal server error"),
        *(
            "bad gateway",
            "gateway timeout",
            "under maintenance",
            "scheduled maintenance",
            "down for maintenance",
        ),
        *("we'll be back soon", "we will be back", "back shortly", "try reloading", "reload page"),
        *(
            '{"error"',
            "technical error",
            "an error occurred",
            "an error has occurred",
            "please try again later",
        ),
        *("wartungsarbeiten", "vorübergehend nicht", "etwas ist schiefgelaufen", "später erneut"),
        *("en maintenance", "une erreur est survenue", "une erreur s'est produite", "en mantenimiento"),
        *("algo salió mal", "ha ocurrido un error", "em manutenção", "algo deu errado", "in manutenzione"),
        *("si è verificato un errore", "in onderhoud", "er ging iets mis", "prace konserwacyjne"),
    ),
    "consent": (
        *(
            "before you continue",
            "allow the use of cookies",
            "we value your privacy",
            "we care about your privacy",
        ),
        *("your privacy choices matter", "and our partners", "accept all cookies", "reject all cookies"),
        *("manage your preferences", "manage preferences", "manage cookie settings", "cookie preferences"),
        *(
            "bevor sie fortfahren",
            "bevor du fortfährst",
            "alle cookies akzeptieren",
            "wir und unsere partner",
        ),
        *(
            "ihre privatsphäre ist uns wichtig",
            "avant de continuer",
            "tout accepter",
            "nous et nos partenaires",
        ),
        *("antes de continuar", "aceptar todas las cookies", "nosotros y nuestros socios"),
        *(
            "prima di continuare",
            "accetta tutti i cookie",
            "voordat je verdergaat",
            "alle cookies accepteren",
        ),
        *("zaakceptuj wszystkie", "godkänn alla cookies", "aceitar todos os cookies"),
    ),
    "script": (
        *(
            "enable javascript",
            "javascript is disabled",
            "javascript is not available",
            "javascript is required",
        ),
        *("requires javascript", "turn on javascript", "javascript aktivieren", "aktivieren sie javascript"),
        *("activer javascript", "activez javascript", "active javascript", "habilita javascript"),
        *("habilite javascript", "habilitar javascript", "abilita javascript", "schakel javascript in"),
        *("browser is not supported", "browser is no longer supported", "update your browser"),
    ),
    "paywall": (
        *("subscribe to continue", "subscribe to read", "subscribers only", "to continue reading"),
        *("already a subscriber", "free articles", "start your free trial", "jetzt abonnieren"),
        *("abonnez-vous pour", "réservé aux abonnés", "suscríbete para", "abbonati per"),
    ),
}

# "This page ... is not available" in its many words. Each begins with a fixed word, so that a search is cheap.
MISSING = tuple(
    re.compile(pattern)
    for pattern in (
        r"page\b[^.\n]{0,40}?\b(?:isn't|not|no longer|cannot|can't|doesn't)\b[^.\n]{0,20}?"
        r"\b(?:found|available|exists?|here|there)\b",
        r"article\b[^.\n]{0,40}?\b(?:isn't|not|no longer|cannot|can't|doesn't)\b[^.\n]{0,20}?"
        r"\b(?:found|available|exists?|here|there)\b",
        r"can't find (?:that|this|the) (?:page|article)\b",
        r"cannot find (?:that|this|the) (?:page|article)\b",
        r"seite\b[^.\n]{0,50}?(?:\bnicht (?:mehr )?(?:verfügbar|gefunden|vorhanden|auffindbar)|\bexistiert nicht|\bwurde entfernt)",
        r"page\b[^.\n]{0,50}?(?:\bn'existe\b|\bintrouvable\b|\bn'est (?:pas|plus) disponible|\bété (?:déplacée|supprimée))",
        r"página\b[^.\n]{0,40}?\b(?:no (?:está disponible|existe|se encuentra)|não (?:está disponível|existe|foi encontrada))",
        r"pagina\b[^.\n]{0,40}?\b(?:non (?:è disponibile|esiste|è stata trovata)|niet (?:gevonden|beschikbaar)|bestaat niet)",
        r"strona\b[^.\n]{0,40}?\bnie (?:istnieje|jest dostępna|została znaleziona)",
        r"sidan\b[^.\n]{0,40}?\b(?:hittades inte|finns inte|är inte tillgänglig)",
        r"ページ[^。\n]{0,12}?(?:見つかりません|存在しません|削除され)",
        r"页面[^。\n]{0,10}?(?:不存在|找不到|无法)",
    )
)

BUTTONS = frozenset(
    (
        *(
            "accept all",
            "accept",
            "reject all",
            "decline",
            "i agree",
            "agree and continue",
            "manage settings",
        ),
        *(
            "manage options",
            "more options",
            "cookie settings",
            "save and exit",
            "only allow essential cookies",
        ),
        *(
            "allow all cookies",
            "decline optional cookies",
            "continue without accepting",
            "customise",
            "customize",
        ),
        *("alle akzeptieren", "alle ablehnen", "ablehnen", "zustimmen", "einstellungen", "weitere optionen"),
        *(
            "tout accepter",
            "tout refuser",
            "accepter et fermer",
            "paramétrer",
            "aceptar todo",
            "rechazar todo",
        ),
        *(
            "configurar",
            "aceitar tudo",
            "rejeitar tudo",
            "accetta tutto",
            "rifiuta tutto",
            "alles accepteren",
        ),
        *("alles weigeren", "zaakceptuj wszystko", "odrzuć wszystko", "godkänn alla", "avvisa alla"),
    )
)

_LEGAL = """
must shall may agree agreement rights liability liable law laws legal prohibited prohibit
violate violates violation violations permitted comply compliance responsible responsibility
obligations intellectual property trademark trademarks copyright infringement infringing
disclose disclosure processing retain retention warranty warranties termination terminate
suspend suspension enforce enforcement governing jurisdiction court disputes arbitration
guidelines rules allowed applicable authorized consent licence license indemnify damages
collect share third parties purposes lawful rightsholders notices owner owners permission
remove removed harmful abuse harassment spam
dürfen müssen vereinbarung rechte haftung haften gesetz gesetze rechtlich verboten
untersagt verstoß verstoßen verstöße einhaltung verantwortlich pflichten eigentum marken
urheberrecht offenlegen verarbeitung verarbeiten speichern kündigung kündigen sperren
gerichtsstand gericht richtlinien regeln zulässig anwendbar einwilligung lizenz schadensersatz
zwecke dritte nutzungsbedingungen vertrag vertrages gelten bedingungen
devez droits responsabilité loi lois interdit violation accord propriété intellectuelle marque
traitement conservation résiliation tribunal règles licence consentement finalités tiers
debe derechos responsabilidad ley leyes prohibido infracción acuerdo propiedad intelectual
tratamiento conservación rescisión tribunal reglas licencia consentimiento terceros
deve direitos responsabilidade lei proibido violação acordo propriedade tratamento rescisão
diritti responsabilità legge vietato violazione accordo proprietà trattamento licenza
rechten aansprakelijkheid wet verboden overeenkomst eigendom verwerking toestemming derden
prawa odpowiedzialność prawo umowa własność przetwarzanie zgoda naruszenie
rättigheter ansvar lag avtal behandling samtycke
"""
LEGAL = frozenset(_LEGAL.split())
