"""What a change means: type, severity, topics, dates, one sentence, each with its evidence.

Rules of the labelling rubric, without a trained model; the confidence is a rough order, not a measured rate, and
the engine's name says so. The machine proposes, a person decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import date

from policywatch.domain.changes import (
    Analysis,
    ChangeType,
    Comparison,
    Evidence,
    NoiseKind,
    Passage,
    PassageKind,
    Severity,
)
from policywatch.reading.findings import Context, Finding, find
from policywatch.reading.signs import NARROW
from policywatch.reading.summary import noise_summary, section_name, shortened, summary_of
from policywatch.reading.topics import topics_of

__all__ = ["ENGINE", "analyse"]

ENGINE = "rules-1-uncalibrated"

_PASSAGES = 400  # judged by the rules; what comes behind them is shown all the same
_FINDINGS = 3_000
_CHARACTERS = 200_000  # of changed words looked through for topics and safeguards
_REWRITTEN = 20  # passages
_EVIDENCE = 3
_OTHER_TYPES = 4
_SECTIONS = 12
_TYPES = list(ChangeType)
# Types whose changes concern an ordinary member, so that medium is enough to tell members.
_OF_MEMBERS = frozenset(
    {
        ChangeType.CONTENT_RULES,
        ChangeType.ENFORCEMENT_AND_APPEALS,
        ChangeType.MONETISATION_AND_PAYMENTS,
        ChangeType.DATA_USE_AND_PRIVACY,
        ChangeType.RIGHTS_AND_LICENCE,
        ChangeType.AI_AND_TRAINING,
    }
)


def analyse(comparison: Comparison, *, at: date, document: str, platform: str) -> Analysis:
    """The machine's opinion of a comparison.

    `at` is the day of the newer text, from which dates are seen as coming or past; `document` is the name of the
    document ("Privacy Policy"), `platform` that of the platform. The same comparison gives the same analysis.
    """
    if comparison.noise_kind is not NoiseKind.NONE or not comparison.passages:
        return _of_noise(comparison)
    passages = comparison.passages
    context = Context(
        at=at,
        document=document,
        added=_words(passages, "+").lower(),
        removed=_words(passages, "-").lower(),
        narrow=NARROW.search(document) is not None,
        rewritten=len(passages) > _REWRITTEN,
    )
    findings: list[Finding] = []
    for index, passage in enumerate(passages[:_PASSAGES]):
        findings += find(index, passage, context)
        if len(findings) > _FINDINGS:
            break
    top = max(findings, key=_weight)
    level = top.severity
    kind = _type(findings, level)
    top = max((one for one in findings if one.severity is level and one.kind is kind), key=_weight)
    effective = next((one.day for one in findings if one.test == "effective date" and one.day), None)
    deadline = next((one.day for one in findings if one.test in ("critical a", "deadline") and one.day), None)
    summary, evidence = summary_of(top, comparison, document, len(passages) - 1)
    evidence = _more_evidence(evidence, findings, level, passages)
    return Analysis(
        engine=ENGINE,
        change_type=kind,
        other_types=_other_types(findings, kind),
        severity=level,
        confidence=_confidence(findings, level, len(passages)),
        notify=_notify(level, kind, effective or deadline, context),
        topics=topics_of(f"{context.added}\n{context.removed}"),
        effective_date=effective,
        objection_deadline=deadline,
        summary=summary,
        sections=_sections(findings, passages),
        evidence=evidence,
    )


def _of_noise(comparison: Comparison) -> Analysis:
    evidence: tuple[Evidence, ...] = ()
    if comparison.passages:
        first = comparison.passages[0]
        side, text = ("+", first.after) if first.after else ("-", first.before)
        evidence = (Evidence(side, 0, shortened(text)),)
    return Analysis(
        engine=ENGINE,
        change_type=ChangeType.CAPTURE_ARTEFACT,
        other_types=(),
        severity=Severity.NONE,
        confidence=0.98,
        notify=False,
        topics=(),
        effective_date=None,
        objection_deadline=None,
        summary=noise_summary(comparison),
        sections=(),
        evidence=evidence,
    )


def _words(passages: Iterable[Passage], side: str) -> str:
    """All changed words of one side, up to the limit."""
    parts: list[str] = []
    length = 0
    for passage in passages:
        if passage.kind in (PassageKind.MOVED, PassageKind.RENUMBERED):
            continue
        text, spans = (
            (passage.after, passage.after_spans) if side == "+" else (passage.before, passage.before_spans)
        )
        part = " ".join(text[span.start : span.end] for span in spans) if spans else ""
        if not spans and not (passage.before and passage.after):
            part = text
        parts.append(part)
        length += len(part)
        if length > _CHARACTERS:
            break
    return "\n".join(parts)[:_CHARACTERS]


def _weight(finding: Finding) -> tuple[int, int, int]:
    """Heavier first; of equals one that names both words, then the earlier in the rubric's table."""
    return finding.severity.rank, bool(finding.old and finding.new), -_TYPES.index(finding.kind)


def _type(findings: Iterable[Finding], level: Severity) -> ChangeType:
    """The type that most findings of the highest level have; of equals the earlier in the rubric's table."""
    counts = Counter(one.kind for one in findings if one.severity is level)
    return max(counts, key=lambda kind: (counts[kind], -_TYPES.index(kind)))


def _other_types(findings: Iterable[Finding], kind: ChangeType) -> tuple[ChangeType, ...]:
    counts = Counter(
        one.kind
        for one in findings
        if one.severity.rank >= Severity.LOW.rank
        and one.kind not in (kind, ChangeType.EDITORIAL_ONLY, ChangeType.CAPTURE_ARTEFACT)
    )
    chosen = {one for one, _ in counts.most_common(_OTHER_TYPES)}
    return tuple(one for one in _TYPES if one in chosen)


def _more_evidence(
    evidence: tuple[Evidence, ...],
    findings: Iterable[Finding],
    level: Severity,
    passages: tuple[Passage, ...],
) -> tuple[Evidence, ...]:
    """The summary's quotes, filled up with those of other findings of the same level."""
    chosen = list(evidence)
    for finding in findings:
        if len(chosen) >= max(_EVIDENCE, len(evidence)):
            break
        if finding.severity is not level or not finding.quote:
            continue
        quote = Evidence(finding.side, finding.passage, shortened(finding.quote))
        if quote not in chosen:
            chosen.append(quote)
    for one in chosen:
        assert one.stands_in(passages), f"evidence that does not stand in the text: {one.quote!r}"
    return tuple(chosen)


def _confidence(findings: list[Finding], level: Severity, passages: int) -> float:
    """Rough: proven editorial edits are sure, long rewrites are not, agreeing findings help."""
    if level is Severity.NONE:
        return 0.9
    base = {Severity.LOW: 0.55, Severity.MEDIUM: 0.6, Severity.HIGH: 0.5, Severity.CRITICAL: 0.5}[level]
    agreeing = sum(1 for one in findings if one.severity is level)
    if agreeing > 1:
        base += 0.1
    if passages > 40:
        base -= 0.15
    elif passages > 10:
        base -= 0.05
    return round(base, 2)


def _notify(level: Severity, kind: ChangeType, day: date | None, context: Context) -> bool:
    if level.rank >= Severity.HIGH.rank:
        return True
    if level is not Severity.MEDIUM:
        return False
    return bool(day and day > context.at) or (kind in _OF_MEMBERS and not context.narrow)


def _sections(findings: Iterable[Finding], passages: tuple[Passage, ...]) -> tuple[str, ...]:
    """The headings over what matters, in page order; over all of it where nothing does."""
    found = list(findings)
    heavy = [one for one in found if one.severity.rank >= Severity.LOW.rank] or found
    names = dict.fromkeys(re.sub(r"\s+", " ", section_name(passages[one.passage])) for one in heavy)
    return tuple(name for name in names if name)[:_SECTIONS]
