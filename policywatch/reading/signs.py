"""Words that the rubric's severity tests look for. Which of them decides what is written in `findings`."""

from __future__ import annotations

import re

__all__ = ["ANNOUNCEMENT", "NARROW", "SIGNS"]


def _any(words: str) -> re.Pattern[str]:
    """Any of the patterns in `words`, which white space separates, as whole words in any letter case."""
    return re.compile(r"\b(?:" + "|".join(words.split()) + r")\b", re.IGNORECASE)


# Groups that most members do not belong to: medium is the ceiling for what concerns them alone.
NARROW = _any(
    r"""
     developers? advertis(?:er|ers|ing) business(?:es)? sellers? merchants? apis? commercial customers?
      minors? children teens? parents? subscription\s+agreement recruit\w+
     page\s+admins? labell?ing\s+services?
     """
)

# A notice that terms are about to change, or have just done so.
ANNOUNCEMENT = re.compile(
    r"\bwe(?:['’]re|\s+are|\s+have|['’]ve|\s+will\s+be)?\s+(?:updat|chang|mak)(?:e|ed|ing)\b"
    r"|\b(?:updates?|changes|new\s+\w+(?:\s+\w+){0,3}(?:policy|terms)|policy|terms|it)\b.{0,60}?\b(?:will\s+)?"
    r"(?:goe?s?|comes?|takes?)\s+(?:in(?:to)?\s+)?(?:effect|force)\b"
    r"|\bhas\s+been\s+discontinued\b|\bpolicy\s+updated\s+on\b",
    re.IGNORECASE | re.DOTALL,
)

SIGNS: dict[str, re.Pattern[str]] = {
    "training": re.compile(
        r"\b(?:train|fine[\s-]?tune|develop|improve|build)\w*\b.{0,80}?\b(?:(?:generative\s+|gen\s?)?AI|artificial\s+intelligence|"
        r"machine\s+learning|language)\b(?:\s+(?:at\s+\w+|models?|technolog\w+|systems?))?"
        r"|\b(?:AI|artificial\s+intelligence|machine\s+learning)\b.{0,30}?\btrain(?:ing)?\b",
        re.IGNORECASE | re.DOTALL,
    ),
    "content_of_people": _any(
        r"""
        (?:your|public|user|personal|people)\b.{0,40}?\b(?:content|posts?|data|information|comments?|messages?|photos?|profiles?)
        information\s+(?:that\s+)?(?:you|individuals)\s+(?:share|provide)
        """
    ),
    "opt_out": _any(
        r"""
        opt(?:ing|ed)?[\s-]?out right\s+to\s+object object\s+to turn\s+(?:this\s+)?off opt[\s-]in
        """
    ),
    "safeguard": _any(
        r"""
        newsworth\w* public[\s-]interest journalis\w+ news\s+reporting (?:human|manual)\s+review anonym\w+
        pseudonym\w* notify\s+(?:you|users?|members?|people|account\s+holders?)\b.{0,60}?\brequests?
        confidential\s+sources? protect\w*\s+(?:of\s+)?sources?
        (?:documentary|educational|artistic)\b.{0,40}?\bexceptions?
        """
    ),
    "allowing": _any(r"may can will allow\w* permit\w* except\w* leave\s+up consider\w* not\s+remove"),
    "forbidding": _any(
        r"""
        (?:must|may|can|do|does|should|shall|will)\s?not don['’]t can['’]t cannot won['’]t never prohibit\w*
        forbid\w* ban(?:s|ned)? not\s+(?:allowed|permitted) remove[sd]? restrict\w* violat\w+ disallow\w*
        age[\s-]restrict\w*
        """
    ),
    "reporting": _any(
        r"""
        graphic violent\s+(?:death|event|extremis\w+)s? leak\w* hacked satir\w+ parod\w+ election\w*
        voter?s? voting misinformation false\s+(?:claims?|information|or\s+misleading) conflict war
        scrap(?:e|ing) embed\w* live\s+location manipulated synthetic deep\s?fakes? vaccin\w+
        private\s+(?:messages?|information) newsworth\w* hateful\s+(?:entit\w+|conduct) public\s+figures?
        health\s+(?:guidance|claims?|misinformation) dangerous\s+organi[sz]ations? victims? aftermath
        """
    ),
    "licence": _any(
        r"""
        licen[cs]e[sd]? sublicen[cs]\w* royalty[\s-]free perpetual irrevocable ownership data\s+mining
        liab(?:le|ility) indemnif\w+
        """
    ),
    "collecting": _any(
        r"""
        collect\w* shar(?:e|es|ed|ing) us(?:e|es|ed|ing) process\w* disclos\w+ stor(?:e|es|ed|ing) retain\w*
        kept keep receiv\w+ access(?:ed)? combin\w+ transfer\w*
        """
    ),
    "category": _any(
        r"""
        biometric\w* fac(?:e|ial)\s*(?:recognition|analysis|prints?|data|templates?)? selfies?
        precise\s+(?:geo)?location voice\s*prints? government[\s-]issued financial\s+accounts?
        contacts?\s+(?:list|book|sync\w*) health\s+data direct\s+messages? dms keystrokes?
        browsing\s+(?:history|activity) in[\s-]app\s+browser payments?\s+received job\s+history
        id\s+(?:image|number|document)s? image\s+of\s+your\s+id copy\s+of\s+(?:your\s+)?id
        """
    ),
    "recipient": _any(
        r"""
        affiliates? third[\s-]part(?:y|ies) researchers? data\s+brokers? law\s+enforcement merchants?
        parent\s+company measurement\s+partners? advertis(?:ers|ing\s+partners) publishers?
        """
    ),
    "sanction": _any(
        r"""
        suspen(?:d|ded|sion)s?
        (?:permanent(?:ly)?|immediate(?:ly)?)\s+(?:ban|suspen|remov|disabl|terminat)\w* terminat(?:e|ed|ion)
        ban(?:ned|s)? disabl(?:e|ed) strikes? los(?:e|ing)\s+access
        remove\s+(?:your\s+)?(?:accounts?|profiles?) limit\s+(?:your\s+)?(?:reach|distribution|visibility)
        """
    ),
    "appeal": _any(
        r"""
        appeal\w* complaints? counter[\s-]?notif\w+ request\s+(?:a\s+)?review out[\s-]of[\s-]court
        """
    ),
    "court": _any(
        r"""
        arbitrat\w+ class\s+actions? representative\s+(?:action|proceeding)s? jury jurisdiction
        governing\s+law governed\s+by laws\s+of courts? county venue
        """
    ),
    "payout": _any(
        r"""
        earn(?:s|ing|ings)? payouts? moneti[sz]\w+ revenue\s+share ad\s+revenue eligib\w+ rewards? payments?
        fees?
        """
    ),
    "company": re.compile(
        r"(?:[A-Z][\w&.]{0,40}\s+){1,5}(?:Inc|LLC|Ltd|Limited|Corp|GmbH|PBC|Unlimited\s+Company|Pte|B\.V|S\.A)\b\.?"
    ),
    "loss": _any(
        r"""
        los(?:e|es|t) delet\w+ terminat\w+ no\s+longer\s+(?:be\s+)?(?:able|access\w*|available) suspend\w*
        expire\w*
        """
    ),
    "example": _any(r"for\s+example such\s+as including e\.g\.? like"),
    "updated": re.compile(
        r"\b(?:last\s+(?:updated|modified|revised|reviewed)|(?:date\s+of\s+)?last\s+revision|updated\s+on|policy\s+updated|"
        r"revised)\b",
        re.IGNORECASE,
    ),
    "effective_label": re.compile(r"\beffective\b|\bin\s+effect\b|\btakes?\s+effect\b", re.IGNORECASE),
    "everybody": _any(r"you your users? members? people everyone anyone individuals? creators?"),
    "training_words": _any(
        r"train\w* fine-tun\w* AI artificial\s+intelligence machine\s+learning models? generative"
    ),
}
