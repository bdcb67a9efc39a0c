"""The rubric's severity tests as rules: each finding names its test, its level and the words that met it.

Rules look at the whole sentence and weigh only what changed in it. They judge removed and added text alike. They
are plain on purpose: every finding can be explained by the words it quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice

from policywatch.domain.changes import ChangeType, Passage, PassageKind, Severity
from policywatch.reading.dates import Dated, dates_in, deadline_in, effective_in, without_dates
from policywatch.reading.editorial import editorial_reason
from policywatch.reading.modals import bound, negation_turned, swapped
from policywatch.reading.numbers import changed_measures
from policywatch.reading.signs import ANNOUNCEMENT, NARROW, SIGNS
from policywatch.reading.statements import Statement, sentences, statements
from policywatch.reading.topics import type_of

__all__ = ["Context", "Finding", "find"]

_BINDING_UNITS = frozenset(
    {"day", "business day", "working day", "calendar day", "hour", "week", "month", "age"}
)
_RULE_HEADING = re.compile(
    r"\b(?:do\s+not|don['’]t|not\s+allow|prohibit\w*|we\s+(?:remove|restrict|limit)|we\s+may\s+remove|violat\w+|not\s+permitted|"
    r"ineligible|not\s+eligible)\b",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"\b(?:within|at\s+least|up\s+to|after|for|minimum|limit|more\s+than)\b", re.IGNORECASE)
_FEW = 4  # changed words below which a sentence is only reworded
_LONGEST = 20_000  # characters of a passage whose two sides are held against each other
_STATEMENTS = 300  # changed sentences of one passage that are judged
_NOTICE = 700  # characters of a notice that announces terms; more than that is the terms themselves
_NARROW_CEILING = Severity.MEDIUM


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason for a level.

    `test` is the rubric's ("critical b", "number", "editorial: spelling"). `quote` stands verbatim on `side` of
    passage `passage`; `old` and `new` are the exact words that changed, where a pair of them says it all.
    """

    test: str
    severity: Severity
    kind: ChangeType
    passage: int
    side: str
    quote: str
    old: str = ""
    new: str = ""
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What one passage does not say itself.

    `added` and `removed` hold all new and all gone words in lower case. `narrow`: the document is for a group
    that most members do not belong to. `rewritten`: so much differs that what is gone here may stand elsewhere.
    """

    at: date
    document: str
    added: str
    removed: str
    narrow: bool
    rewritten: bool


def find(index: int, passage: Passage, context: Context) -> Iterator[Finding]:
    """The findings of one passage; every passage has at least one."""
    if passage.kind is PassageKind.MOVED or passage.kind is PassageKind.RENUMBERED:
        side, text = "+", passage.after
        yield Finding(str(passage.kind), Severity.NONE, ChangeType.EDITORIAL_ONLY, index, side, _first(text))
        return
    reason = "notice gone" if _past_notice(passage, context.at) else editorial_reason(passage)
    if reason is not None:
        yield _editorial(index, passage, reason)
        return
    found: list[Finding] = []
    if max(len(passage.before), len(passage.after)) <= _LONGEST:
        found += _of_pair(index, passage, context)
    for statement in islice(statements(index, passage), _STATEMENTS):
        found += _of_statement(statement, context)
    if not found:
        side, text = ("+", passage.after) if passage.after else ("-", passage.before)
        found.append(Finding("wording", Severity.LOW, ChangeType.EDITORIAL_ONLY, index, side, _first(text)))
    found = [finding for finding in found if finding.quote] or found
    for finding in found:
        text = passage.after if finding.side == "+" else passage.before
        assert finding.quote in text, f"a quote that does not stand in the text: {finding.quote!r}"
        yield finding


def _past_notice(passage: Passage, at: date) -> bool:
    """A short notice of terms that hold by now, and nothing else, is gone."""
    text = passage.before
    if passage.kind is not PassageKind.REMOVED or len(text) > _NOTICE:
        return False
    if not (ANNOUNCEMENT.search(text) or SIGNS["effective_label"].search(text)):
        return False
    days = [one.day for one in dates_in(text)]
    return bool(days) and all(day <= at for day in days)


def _first(text: str) -> str:
    """The beginning of a text, short enough to quote, cut behind a word."""
    line = text.split("\n", 1)[0]
    return line if len(line) <= 200 else line[:200].rsplit(" ", 1)[0]


def _editorial(index: int, passage: Passage, reason: str) -> Finding:
    side, text, spans = ("+", passage.after, passage.after_spans)
    if not text or (not spans and passage.before_spans):
        side, text, spans = ("-", passage.before, passage.before_spans)
    quote = text[spans[0].start : spans[0].end] if spans else _first(text)
    return Finding(f"editorial: {reason}", Severity.NONE, ChangeType.EDITORIAL_ONLY, index, side, quote)


def _changed(passage: Passage) -> tuple[str, str]:
    old = " ".join(passage.before[span.start : span.end] for span in passage.before_spans)
    new = " ".join(passage.after[span.start : span.end] for span in passage.after_spans)
    return old, new


def _of_pair(index: int, passage: Passage, context: Context) -> Iterator[Finding]:
    """What only both sides together show: another number, another binding word, a company, a date."""
    if not passage.before or not passage.after or not (passage.before_spans or passage.after_spans):
        return
    gone, come = _changed(passage)
    kind = type_of(passage.after, come + " " + gone, context.document)
    if (
        dates_in(passage.after)
        and SIGNS["effective_label"].search(passage.after)
        and _same_but_dates(passage)
    ):
        text = _sentence_at(passage.after, passage.after_spans[0].start if passage.after_spans else 0)
        yield Finding("effective date", Severity.LOW, ChangeType.EDITORIAL_ONLY, index, "+", text)
    for old, new in changed_measures(passage.before, passage.after):
        text = _sentence_at(passage.after, new.start)
        # In statistics a number binds nobody; a period or an age mostly does.
        if new.unit in _BINDING_UNITS or bound(text) or _LIMIT.search(text):
            level = Severity.HIGH if kind is ChangeType.MONETISATION_AND_PAYMENTS else Severity.MEDIUM
            yield Finding(
                "number", level, kind, index, "+", text, old.quote(passage.before), new.quote(passage.after)
            )
    if (pair := swapped(gone, come)) is not None:
        at = passage.after.find(pair[1], passage.after_spans[0].start if passage.after_spans else 0)
        text = _sentence_at(passage.after, max(0, at))
        yield Finding("modal", Severity.MEDIUM, kind, index, "+", text, *pair)
    elif negation_turned(gone, come):
        side, text, spans = (
            ("+", passage.after, passage.after_spans) if come else ("-", passage.before, passage.before_spans)
        )
        yield Finding("negation", Severity.MEDIUM, kind, index, side, _sentence_at(text, spans[0].start))
    yield from _company(index, passage, gone, come)


def _same_but_dates(passage: Passage) -> bool:
    old, new = without_dates(passage.before), without_dates(passage.after)
    return " ".join(old.split()) == " ".join(new.split())


def _company(index: int, passage: Passage, gone: str, come: str) -> Iterator[Finding]:
    """Another legal person: high where the names share nothing, low where one name only became another."""
    for span in passage.after_spans:
        for match in SIGNS["company"].finditer(passage.after):
            if match.start() < span.end and match.end() > span.start:
                old = [m.group() for m in SIGNS["company"].finditer(passage.before)]
                partner = next((one for one in old if one not in passage.after), None)
                if partner is None:
                    return
                # The same legal form under another name is mostly the same company; another form is another.
                same = _legal_form(match.group()) == _legal_form(partner)
                level = Severity.LOW if same else Severity.HIGH
                kind = ChangeType.EDITORIAL_ONLY if same else ChangeType.DISPUTE_AND_LIABILITY
                yield Finding(
                    "high e: company", level, kind, index, "+", match.group(), partner, match.group()
                )
                return


def _legal_form(name: str) -> str:
    return name.split()[-1].strip(".,").lower()


def _sentence_at(text: str, at: int) -> str:
    """The sentence of `text` around a place, short enough to quote."""
    for start, end in sentences(text):
        if start <= at < end or at < start:
            return _window(text[start:end], at - start)
    return _first(text)


def _window(sentence: str, at: int) -> str:
    """A part of a long sentence around a place, cut between words."""
    if len(sentence) <= 260:
        return sentence
    start = max(0, min(at, len(sentence) - 1) - 90)
    if start:
        start = sentence.find(" ", start) + 1
    part = sentence[start : start + 240]
    return part.rsplit(" ", 1)[0] if len(part) == 240 and " " in part else part


def _of_statement(statement: Statement, context: Context) -> list[Finding]:
    """The weightiest test that one changed sentence meets, with the date it states."""
    text, changed = statement.text, statement.changed
    words = len(re.findall(r"\w+", changed))
    kind = type_of(text, changed, context.document)
    quote = _window(text, statement.spans[0].start - statement.start if statement.spans else 0)

    def finding(test: str, severity: Severity, of: ChangeType | None = None) -> Finding:
        return Finding(test, severity, of or kind, statement.passage, statement.side, quote)

    found: list[Finding] = []
    if statement.side == "+":
        found += _dated(
            statement, finding("effective date", Severity.LOW, ChangeType.EDITORIAL_ONLY), context
        )
    if words < _FEW and not statement.whole:
        return found or _few_words(
            statement, finding("wording", Severity.LOW, ChangeType.EDITORIAL_ONLY), kind
        )
    if ANNOUNCEMENT.search(text) and statement.whole and dates_in(text):
        return [
            *found,
            _announced(statement, finding("announcement", Severity.MEDIUM, _announced_type(kind)), context),
        ]
    binding = bound(text) or (
        kind is ChangeType.CONTENT_RULES and _RULE_HEADING.search(_near(statement)) is not None
    )
    for test, severity, of in _tests(statement, context, kind, binding):
        found.append(finding(test, _bounded(test, severity, text, context), of))
        break
    else:
        if binding and words >= _FEW:
            example = statement.side == "+" and SIGNS["example"].match(changed) is not None
            found.append(
                finding("example" if example else "medium", Severity.LOW if example else Severity.MEDIUM)
            )
        elif words >= _FEW:
            found.append(finding("wording", Severity.LOW, ChangeType.EDITORIAL_ONLY))
    return found


def _near(statement: Statement) -> str:
    return " / ".join(statement.section[-2:])


def _bounded(test: str, severity: Severity, text: str, context: Context) -> Severity:
    """Medium is the ceiling for what concerns a narrow group alone, but for the day by which one must act."""
    if severity.rank <= _NARROW_CEILING.rank or test == "critical a":
        return severity
    alone = NARROW.search(text) is not None and SIGNS["everybody"].search(text) is None
    return _NARROW_CEILING if context.narrow or alone else severity


def _few_words(statement: Statement, weak: Finding, kind: ChangeType) -> list[Finding]:
    """A word or two in a sentence: low, unless they name what the sentence is about."""
    changed = statement.changed
    if kind is ChangeType.DISPUTE_AND_LIABILITY and SIGNS["court"].search(changed):
        return [replace(weak, test="high e", severity=Severity.HIGH, kind=kind)]
    if bound(statement.text) and any(
        SIGNS[sign].search(changed)
        for sign in ("category", "recipient", "court", "reporting", "sanction", "licence")
    ):
        return [replace(weak, test="medium: named", severity=Severity.MEDIUM, kind=kind)]
    return [weak] if re.search(r"\w{3}", changed) else []


def _announced_type(kind: ChangeType) -> ChangeType:
    return ChangeType.SCOPE_AND_PRODUCT if kind is ChangeType.CONTENT_RULES else kind


def _announced(statement: Statement, finding: Finding, context: Context) -> Finding:
    """A notice of coming terms: medium when it comes, nothing when it goes after its date."""
    if statement.side == "+":
        days = [one.day for one in dates_in(statement.text)]
        if any(day >= context.at for day in days):
            return finding
        return replace(finding, severity=Severity.LOW, kind=ChangeType.EDITORIAL_ONLY)
    return replace(
        finding, test="editorial: notice gone", severity=Severity.NONE, kind=ChangeType.EDITORIAL_ONLY
    )


def _dated(statement: Statement, base: Finding, context: Context) -> list[Finding]:
    """The effective date and the last day to act that the new words state."""
    dates = [one for one in dates_in(statement.text) if _is_new(one, statement)]
    if not dates:
        return []
    found: list[Finding] = []
    if (day := effective_in(statement.text, dates, context.at)) is not None:
        found.append(replace(base, day=day))
    if (day := deadline_in(statement.text, dates, context.at)) is not None:
        loss = SIGNS["loss"].search(statement.text) is not None
        level = Severity.CRITICAL if loss else Severity.MEDIUM
        kind = base.kind if level is Severity.LOW else ChangeType.SCOPE_AND_PRODUCT
        found.append(
            replace(base, test="critical a" if loss else "deadline", severity=level, kind=kind, day=day)
        )
    return found


def _is_new(dated: Dated, statement: Statement) -> bool:
    if statement.whole or not statement.spans:
        return True
    start, end = dated.start + statement.start, dated.end + statement.start
    return any(span.start < end and span.end > start for span in statement.spans)


_Hit = tuple[str, Severity, ChangeType | None]


def _tests(statement: Statement, context: Context, kind: ChangeType, binding: bool) -> Iterator[_Hit]:
    """The rubric's tests from the top; the caller takes the first."""
    text, changed, added = statement.text, statement.changed, statement.side == "+"
    if SIGNS["training"].search(text) and SIGNS["training_words"].search(changed) and binding:
        if added and SIGNS["content_of_people"].search(text):
            offered = SIGNS["opt_out"].search(context.added) is not None
            yield "critical b", Severity.HIGH if offered else Severity.CRITICAL, ChangeType.AI_AND_TRAINING
        yield "ai", Severity.HIGH, ChangeType.AI_AND_TRAINING
    if (safe := SIGNS["safeguard"].search(changed)) and SIGNS["allowing"].search(text):
        other = context.removed if added else context.added
        if safe.group().lower() not in other:
            yield "critical c", Severity.HIGH if added or context.rewritten else Severity.CRITICAL, kind
    if not binding:
        return
    if SIGNS["court"].search(changed) and kind is ChangeType.DISPUTE_AND_LIABILITY:
        yield "high e", Severity.HIGH, ChangeType.DISPUTE_AND_LIABILITY
    if (
        SIGNS["reporting"].search(changed)
        and (SIGNS["forbidding"].search(text) or SIGNS["allowing"].search(text))
        and kind is ChangeType.CONTENT_RULES
    ):
        yield "high a", Severity.HIGH, ChangeType.CONTENT_RULES
    if SIGNS["licence"].search(changed) and kind is ChangeType.RIGHTS_AND_LICENCE:
        yield "high b", Severity.HIGH, ChangeType.RIGHTS_AND_LICENCE
    if added and kind is ChangeType.DATA_USE_AND_PRIVACY and SIGNS["collecting"].search(text):
        fresh = SIGNS["category"].search(changed) or SIGNS["recipient"].search(changed)
        if fresh and fresh.group().lower() not in context.removed:
            yield "high c", Severity.HIGH, ChangeType.DATA_USE_AND_PRIVACY
    if SIGNS["sanction"].search(changed) and kind in (
        ChangeType.ENFORCEMENT_AND_APPEALS,
        ChangeType.CONTENT_RULES,
    ):
        yield "high d", Severity.HIGH if added else Severity.MEDIUM, ChangeType.ENFORCEMENT_AND_APPEALS
    if SIGNS["payout"].search(changed) and kind is ChangeType.MONETISATION_AND_PAYMENTS:
        yield "high f", Severity.HIGH if statement.whole and added else Severity.MEDIUM, kind
