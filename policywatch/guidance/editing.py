"""A draft as one text file, for the editor of a person: the subject on the first line, then the text."""

from __future__ import annotations

from policywatch.errors import UsageError

__all__ = ["from_editor", "to_editor"]

_LABEL = "Subject:"


def to_editor(subject: str, text: str) -> str:
    """The file that is opened in `$EDITOR`."""
    return f"{_LABEL} {subject}\n\n{text.rstrip()}\n"


def from_editor(edited: str) -> tuple[str, str]:
    """Subject and text of the edited file; UsageError if the first line is no subject or nothing follows."""
    first, _, rest = edited.removeprefix("\ufeff").replace("\r\n", "\n").lstrip("\n").partition("\n")
    if not first.lower().startswith(_LABEL.lower()) or not (subject := first[len(_LABEL) :].strip()):
        raise UsageError(
            "The edited draft does not begin with its subject.",
            remedy=f'Write "{_LABEL} " and the subject on the first line, an empty line, then the text.',
        )
    if not rest.strip():
        raise UsageError("The edited draft has no text.", remedy="Write the text below the subject.")
    return subject, rest.strip("\n") + "\n"
