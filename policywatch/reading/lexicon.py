"""Words by which rules tell what a sentence is about. Tuples for now; an operator's lexicon comes on top.

Signals, not verdicts: a hit gives a type, a severity only together with what changed (`findings`).
"""

from __future__ import annotations

import re

from policywatch.domain.changes import ChangeType
from policywatch.reading.signs import SIGNS

__all__ = ["DOCUMENT_TYPES", "TOPICS", "WEIGHTS"]


def _any(words: str) -> re.Pattern[str]:
    """Any of the patterns in `words`, which white space separates, as whole words in any letter case."""
    return re.compile(r"\b(?:" + "|".join(words.split()) + r")\b", re.IGNORECASE)


# How much a hit in changed words says for a type.
WEIGHTS: tuple[tuple[ChangeType, float, re.Pattern[str]], ...] = (
    (
        ChangeType.AI_AND_TRAINING,
        3.0,
        _any(
            r"""
            (?:gen(?:erative)?\s+)?ai artificial\s+intelligence machine\s+learning language\s+models?
            ai[\s-]generated chatbots? train(?:ing|ed)?\s+(?:our|its|their|the)?\s*models?
            """
        ),
    ),
    (
        ChangeType.RIGHTS_AND_LICENCE,
        2.0,
        _any(
            r"""
            licen[cs]e[sd]? sublicen[cs]\w+ royalty[\s-]free copyright\w* trademarks? dmca
            intellectual\s+property ownership likeness counter[\s-]?notif\w+ fair\s+use logos? data\s+mining
            embed\w* scrap(?:e|ing) rights\s?holders? infring\w+
            """
        ),
    ),
    (
        ChangeType.ENFORCEMENT_AND_APPEALS,
        2.0,
        _any(
            r"""
            suspen\w+ terminat\w+ strikes? appeal\w* ban(?:ned|s)? disabl\w+ warnings? penalt\w+ complaints?
            restrict(?:ed|ion|ions)? enforcement violations? notices? unfounded reinstat\w+
            """
        ),
    ),
    (
        ChangeType.GOVERNMENT_AND_LEGAL_REQUESTS,
        2.5,
        _any(
            r"""
            law\s+enforcement subpoenas? warrants? court\s+orders?
            government\s+(?:requests?|users?|agenc\w+) emergency\s+(?:disclosure|requests?) preservation
            legal\s+process authorities officials?
            """
        ),
    ),
    (
        ChangeType.MONETISATION_AND_PAYMENTS,
        2.0,
        _any(
            r"""
            moneti[sz]\w+ earn(?:s|ing|ings)? payouts? revenue payments? fees? refunds? subscriptions?
            prices? coins? rewards? ad\s+(?:earnings|revenue) virtual\s+items taxes limited\s+or\s+no\s+ads
            """
        ),
    ),
    (
        ChangeType.ADS_AND_COMMERCE,
        2.0,
        _any(
            r"""
            advertis(?:er|ers|ements?) sellers? branded\s+content affiliate merchants? commerce
            political\s+ads? ads?\s+(?:must|may|account) shopping recruit\w+
            """
        ),
    ),
    (
        ChangeType.DISPUTE_AND_LIABILITY,
        2.5,
        _any(
            r"""
            arbitrat\w+ class\s+actions? govern(?:ed|ing)\s+(?:by\s+)?(?:the\s+)?laws? jurisdiction courts?
            liab(?:le|ility) indemni\w+ warrant(?:y|ies) disputes? venue waive\w*
            chang\w+\s+(?:to\s+)?(?:these|the|our)\s+terms damages
            """
        ),
    ),
    (
        ChangeType.AGE_AND_MINORS,
        2.5,
        _any(
            r"""
            minors? child(?:ren)? teens? teenagers? parents? parental guardians? under\s+1[368]
            age\s+(?:verification|checks?|limit|requirement) minimum\s+age years\s+old years\s+of\s+age
            """
        ),
    ),
    (
        ChangeType.SECURITY_AND_ACCESS,
        1.5,
        _any(
            r"""
            log\s?in passwords? verif(?:y|ied|ication) impersonat\w+ two[\s-]factor vulnerabilit\w+ apis?
            developers? authenticat\w+ credentials? rate\s+limits? api\s+keys?
            """
        ),
    ),
    (
        ChangeType.DATA_USE_AND_PRIVACY,
        1.5,
        _any(
            r"""
            personal\s+(?:data|information) privacy cookies? collect\w*
            shar(?:e|es|ed|ing)\s+(?:your|data|information) process(?:es|ing)? retain\w* retention
            third[\s-]part(?:y|ies) controller location biometric\w* data selfies? legitimate\s+interests?
            gdpr consent pixels? tracking direct\s+messages? profile\s+photos? face\w*
            """
        ),
    ),
    (
        ChangeType.CONTENT_RULES,
        1.5,
        _any(
            r"""
            content posts? hate(?:ful)? harass\w+ violen(?:t|ce) graphic nudity sexual\w* misinformation
            election\w* voter\w* false misleading spam self[\s-]harm threats? age[\s-]restrict\w+
            manipulated synthetic deepfakes? drugs? weapons? terroris\w+ do\s+not\s+(?:post|share) depict\w*
            label(?:s|ed|ing)? gambling imagery videos?
            """
        ),
    ),
    (
        ChangeType.SCOPE_AND_PRODUCT,
        0.8,
        _any(
            r"""
            features? products? services? available discontinu\w+ program(?:me)? updat(?:e|es|ing)
            eea|european\s+economic\s+area united\s+states united\s+kingdom switzerland
            """
        ),
    ),
)

# What a document's name says before a word is read.
DOCUMENT_TYPES: tuple[tuple[re.Pattern[str], ChangeType], ...] = (
    (
        _any(r"law\s+enforcement"),
        ChangeType.GOVERNMENT_AND_LEGAL_REQUESTS,
    ),
    (
        _any(r"copyright intellectual\s+property brand trademark"),
        ChangeType.RIGHTS_AND_LICENCE,
    ),
    (
        _any(r"moneti[sz]ation coins? virtual\s+items rewards? creator"),
        ChangeType.MONETISATION_AND_PAYMENTS,
    ),
    (
        _any(r"advertis\w+ commercial commerce branded"),
        ChangeType.ADS_AND_COMMERCE,
    ),
    (
        _any(r"privacy cookies? trackers? data consent"),
        ChangeType.DATA_USE_AND_PRIVACY,
    ),
    (
        _any(r"developer api"),
        ChangeType.SECURITY_AND_ACCESS,
    ),
    (
        _any(r"community guidelines rules standards live deceased"),
        ChangeType.CONTENT_RULES,
    ),
)

# Topics for filters and lists: plainer and more than the one type.
TOPICS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "ai training",
        SIGNS["training"],
    ),
    (
        "verification",
        _any(r"verif(?:y|ied|ication) selfies? id\s+documents? impersonat\w+"),
    ),
    (
        "direct messages",
        _any(r"direct\s+messages? dms? private\s+messages? messaging"),
    ),
    (
        "elections",
        _any(r"election\w* voting voters? civic\s+integrity"),
    ),
    (
        "law enforcement",
        _any(r"law\s+enforcement legal\s+process subpoenas? warrants?"),
    ),
    (
        "appeals",
        SIGNS["appeal"],
    ),
    (
        "monetisation",
        _any(r"moneti[sz]\w+ payouts? ad\s+revenue earnings"),
    ),
    (
        "copyright",
        _any(r"copyright\w* dmca fair\s+use infring\w+"),
    ),
    (
        "newsworthiness",
        _any(r"newsworth\w* public[\s-]interest journalis\w+"),
    ),
    (
        "misinformation",
        _any(
            r"""
            misinformation false\s+(?:claims?|information) manipulated\s+media deep\s?fakes?
            """
        ),
    ),
    (
        "minors",
        _any(r"minors? child(?:ren)? teens?"),
    ),
    (
        "location",
        _any(r"(?:precise|live|gps)\s+location location\s+(?:data|information)"),
    ),
    (
        "cookies",
        _any(r"cookies? pixels?"),
    ),
    (
        "arbitration",
        _any(r"arbitrat\w+ class\s+actions?"),
    ),
    (
        "account suspension",
        SIGNS["sanction"],
    ),
    (
        "sources and anonymity",
        _any(r"anonym\w+ pseudonym\w* confidential\s+sources?"),
    ),
)
