"""The first wording of guidance, from accepted changes and a template that the operator may replace.

Templates run in Jinja's immutable sandbox and see only the values named in `compose`. The only reading done
here is of the shipped templates, which are part of the program.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from policywatch.domain.guidance import AcceptedChange
from policywatch.errors import UsageError
from policywatch.guidance.evidence import plain

__all__ = ["WIDTH", "Templates", "compose", "frame", "shipped"]

#: Columns of the plain text; long words and addresses are never broken.
WIDTH = 76


@dataclass(frozen=True, slots=True)
class Templates:
    """The sources of one template: subject, text, HTML around the text. `name` is for error sentences."""

    name: str
    subject: str
    text: str
    html: str


@cache
def shipped(name: str = "guidance") -> Templates:
    """The templates of that name that come with the program (`config/mail/<name>.*.jinja`).

    UsageError where there are none.
    """
    folder = files("policywatch.config.mail")
    known = sorted({part.name.partition(".")[0] for part in folder.iterdir() if part.name.endswith(".jinja")})
    if name not in known:
        raise UsageError(
            f"There is no mail template {name!r}.",
            remedy=f"Set guidance.template to one of: {', '.join(known)}.",
        )
    parts = {
        part: folder.joinpath(f"{name}.{part}.jinja").read_text(encoding="utf-8")
        for part in ("subject", "text", "html")
    }
    return Templates(name=name, **parts)


def compose(
    changes: Sequence[AcceptedChange], templates: Templates | None = None, *, opening: str = ""
) -> tuple[str, str]:
    """Subject and text of the first revision, to be edited by a person.

    A template sees `changes` (with foreign words made plain), `platforms` (names, each once), `opening`, and
    the filters `day`, `wrapped`, `quoted`, `plain`, `in_words`. UsageError names a template that is wrong.
    """
    if not changes:
        raise UsageError(
            "Guidance needs at least one accepted change.", remedy="Accept a change in the queue first."
        )
    templates = templates or shipped()
    shown = [_shown(change) for change in changes]
    platforms = list(dict.fromkeys(change.platform for change in shown))
    values: dict[str, Any] = {
        "changes": shown,
        "platforms": platforms,
        "opening": plain(opening) or _opening(shown, platforms),
    }
    subject = plain(_render(templates, "subject", templates.subject, values))
    text = _tidy(_render(templates, "text", templates.text, values))
    return subject, text


def frame(subject: str, body: Markup, templates: Templates | None = None) -> str:
    """The HTML of a mail: `body`, which is HTML already, inside the template's frame."""
    templates = templates or shipped()
    return (
        _render(templates, "html", templates.html, {"subject": subject, "body": body}, html=True).strip()
        + "\n"
    )


def _opening(changes: Sequence[AcceptedChange], platforms: Sequence[str]) -> str:
    if len(changes) == 1:
        return f"{platforms[0]} has changed a policy that matters to you. This is what is new."
    return f"{_in_words(platforms)} changed {len(changes)} policies that matter to you. This is what is new."


def _shown(change: AcceptedChange) -> AcceptedChange:
    """The change with every foreign word made plain."""
    return replace(
        change,
        platform=plain(change.platform),
        document=plain(change.document),
        summary=plain(change.summary),
        url=plain(change.url).replace(" ", "%20"),
    )


def _render(
    templates: Templates, part: str, source: str, values: dict[str, Any], *, html: bool = False
) -> str:
    try:
        return _environment(html).from_string(source).render(values)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        line = getattr(error, "lineno", None)
        place = f"{templates.name}.{part}" + (f", line {line}" if line else "")
        raise UsageError(
            f"The mail template {place} cannot be used: {plain(str(error))}",
            remedy="Mend the template, or leave guidance.template out to use the shipped one.",
        ) from error


@cache
def _environment(html: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=html, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=False
    )
    environment.filters.update(
        day=_day, wrapped=_wrapped, quoted=_quoted, plain=lambda text: plain(str(text)), in_words=_in_words
    )
    return environment


_MONTHS: tuple[str, ...] = ("January", "February", "March", "April", "May", "June", "July")
_MONTHS += ("August", "September", "October", "November", "December")


def _day(day: date) -> str:
    # Not strftime: its names of months follow the locale of the process.
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _wrapped(text: object) -> str:
    return textwrap.fill(plain(str(text)), WIDTH, break_long_words=False, break_on_hyphens=False)


def _quoted(text: object) -> str:
    """A quotation, each line behind `> `; the lines of the policy stay lines."""
    paragraphs = [plain(line) for line in str(text).split("\n")]
    lines = [
        line
        for paragraph in paragraphs
        if paragraph
        for line in textwrap.wrap(paragraph, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    ]
    return "\n".join(f"> {line}" for line in lines)


def _in_words(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _tidy(text: str) -> str:
    """No blanks at line ends, no two empty lines in a row, one line break at the end."""
    lines: list[str] = []
    for line in text.strip().split("\n"):
        line = line.rstrip()
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines) + "\n"
