"""What `config check` says about rules: selectors that cannot be parsed, and those that will break soon.

The shipped rules are judged too, but not told to a person line by line, who did not write them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from policywatch.errors import SettingsError

if TYPE_CHECKING:
    from policywatch.settings import Settings

__all__ = ["RuleWarning", "rule_faults", "rule_warnings", "warning_lines"]

_ROWS = 20


@dataclass(frozen=True, slots=True)
class RuleWarning:
    """A fragile selector and the pages that name it; `shipped`: only rules that come with the program do."""

    selector: str
    kind: str
    why: str
    remedy: str
    pages: tuple[str, ...]
    shipped: bool

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "selector": self.selector,
            "kind": self.kind,
            "what": self.why,
            "remedy": self.remedy,
            "pages": list(self.pages),
            "shipped": self.shipped,
        }


def rule_faults(settings: Settings) -> list[SettingsError]:
    """Pages of which a selector is none, so that they could never be read."""
    from policywatch.reading.extract import checked
    from policywatch.reading.rules import ExtractionError, Rule
    from policywatch.settings import catalogue

    found: list[SettingsError] = []
    for document in catalogue(settings):
        for page in document.pages:
            try:
                checked(Rule.from_json(page.rule()))
            except ExtractionError as error:
                key = f"platforms.{document.platform}.documents.{document.key}"
                found.append(SettingsError(f"{page.url}: {error.what}", remedy=error.remedy, key=key))
    return found


def rule_warnings(settings: Settings) -> list[RuleWarning]:
    """Each fragile selector once, in the order of the settings."""
    from policywatch.reading.rules import Rule
    from policywatch.reading.selectors import Fragile, fragile
    from policywatch.settings import catalogue

    found: dict[str, tuple[Fragile, list[str], bool]] = {}
    shipped = _shipped_rules()
    for document in catalogue(settings):
        for page in document.pages:
            ours = (page.url, str(page.rule())) in shipped
            for one in fragile(Rule.from_json(page.rule())):
                _, pages, all_ours = found.get(one.selector, (one, [], True))
                pages.append(f"{document.platform}/{document.key} {page.url}")
                found[one.selector] = (one, pages, all_ours and ours)
    return [
        RuleWarning(one.selector, one.kind, one.why, one.remedy, tuple(pages), ours)
        for one, pages, ours in found.values()
    ]


def _shipped_rules() -> frozenset[tuple[str, str]]:
    from policywatch.settings import shipped_platforms

    return frozenset(
        (page.url, str(page.rule()))
        for platform in shipped_platforms().values()
        for document in platform.documents.values()
        for page in document.pages
    )


def warning_lines(warnings: Sequence[RuleWarning]) -> list[str]:
    """The operator's own as a person reads them, at most twenty, and one line for those that are shipped."""
    own = [one for one in warnings if not one.shipped]
    lines = []
    for one in own[:_ROWS]:
        more = f" and {len(one.pages) - 1} further pages" if len(one.pages) > 1 else ""
        lines.append(f"Warning: {one.pages[0]}{more}: {one.why}\n  {one.remedy}")
    if len(own) > _ROWS:
        lines.append(f"Warning: {len(own) - _ROWS} further selectors")
    if shipped := len(warnings) - len(own):
        lines.append(
            f"{shipped} selectors of the shipped rules may break with the platforms' next release (--json)."
        )
    return lines
