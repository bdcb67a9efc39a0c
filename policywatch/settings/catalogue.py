"""What is watched: platforms, their documents, the pages of a document and how their text is found.

The shipped catalogue is `config/platforms.yaml`; an operator's `platforms` section is merged over it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    model_validator,
)

from policywatch.settings.quantities import Duration

__all__ = [
    "CREDENTIAL_MARK", "Address", "Archive", "Credential", "Document", "Frozen", "Page", "Platform", "Range",
    "RobotsOverride", "Slug", "Words",
]  # fmt: skip

#: Stands in a page's stored headers where the value of its credential goes; the fetcher puts it there.
CREDENTIAL_MARK = "{credential}"

Filter = Literal[
    "strip_tracking_parameters",
    "unwrap_redirectors",
    "decode_protected_addresses",
    "drop_relative_times",
    "drop_links",
    "drop_counters",
    "drop_buttons",
    "drop_related_content",
    "drop_language_menus",
    "normalise_quotes",
    "normalise_spaces",
]
FILTERS: tuple[str, ...] = get_args(Filter)
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Selector = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
_HEADER = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
# Ours to set: the fetcher's own, or those that would carry a login (pages behind logins are not collected).
_OUR_HEADERS = {
    "host", "connection", "content-length", "transfer-encoding", "accept-encoding", "if-none-match",
    "if-modified-since", "range", "user-agent", "cookie", "authorization", "proxy-authorization",
}  # fmt: skip


class Frozen(BaseModel):
    """The base of all sections: unknown keys refused, nothing changed after loading."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        hide_input_in_errors=True,
    )


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("must be an address such as https://example.org/terms") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError("must be an address such as https://example.org/terms")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must be an address without a user name or password in it")
    return url


def _one_or_many(written: object) -> object:
    return [written] if isinstance(written, str | dict) else written


Address = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_address)]


class Range(Frozen):
    """Everything between two elements: one key for where it begins, one for where it ends."""

    start_before: Selector | None = None
    """The range begins before the first element that this selector finds."""
    start_after: Selector | None = None
    """The range begins after the first element that this selector finds."""
    end_before: Selector | None = None
    """The range ends before the first element that this selector finds after the beginning."""
    end_after: Selector | None = None
    """The range ends after the first element that this selector finds after the beginning."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Range:
        if (self.start_before is None) == (self.start_after is None):
            raise ValueError("needs exactly one of start_before and start_after")
        if (self.end_before is None) == (self.end_after is None):
            raise ValueError("needs exactly one of end_before and end_after")
        return self


def _region(written: object) -> object:
    """Dispatch by shape, so that a fault names the range's key and not a union of types."""
    if isinstance(written, dict):
        return Range.model_validate(written)
    if isinstance(written, str | Range):
        return written
    raise ValueError(
        "must be a CSS selector, or a range with start_before|start_after and end_before|end_after"
    )


Region = Annotated[Selector | Range, BeforeValidator(_region)]
Regions = Annotated[tuple[Region, ...], BeforeValidator(_one_or_many)]


class Credential(Frozen):
    """A secret that a page asks for, such as the token of an API; its value stands in the database, encrypted."""

    name: Words
    """Its name, as `policywatch credentials set PLATFORM NAME` stored it."""
    header: Annotated[str, StringConstraints(max_length=100)] = "Authorization"
    """The request header that carries it."""
    prefix: Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f{}]*$")] = "Bearer "
    """What stands before it in that header; for a bare token: "" (two quotes)."""

    @model_validator(mode="after")
    def _plain(self) -> Credential:
        if not _HEADER.match(self.header):
            raise ValueError("header must be a plain header name")
        if self.header.lower() in _OUR_HEADERS - {"authorization"}:
            raise ValueError(f"header {self.header!r} is set by the program alone")
        return self


class Page(Frozen):
    """One address of a document, with its extraction rule."""

    url: Address
    """The page's address (http or https)."""
    select: Regions
    """What of the page is policy: CSS selectors or ranges, in the order of their text.

    Of a JSON answer: paths such as `$.data.sections[*].body`. Of a PDF, Markdown or plain text: `body`, all of it."""
    remove: Regions = ()
    """What is cut out of it before its text is taken: CSS selectors or ranges."""
    filters: tuple[Filter, ...] = ()
    """Named clean-ups that run on the selected part, in this order."""
    render: Literal["never", "auto", "always"] = "auto"
    """Whether a browser must build the page: always, never, or auto (when the plain page is empty)."""
    headers: Mapping[str, str] = {}
    """Further request headers for this page; cookies and secrets are refused."""
    credential: Credential | None = None
    """A stored secret that goes with each request, for example `{name: api-token}`; sent to this host alone."""

    @model_validator(mode="after")
    def _usable(self) -> Page:
        if not self.select:
            raise ValueError("needs at least one selector in select")
        for name, value in self.headers.items():
            if not _HEADER.match(name) or re.search(r"[\x00-\x1f\x7f]", value):
                raise ValueError(f"header {name!r} must be a plain header name and value")
            if name.lower() in _OUR_HEADERS:
                raise ValueError(f"header {name!r} is set by the program alone")
            if CREDENTIAL_MARK in value:
                raise ValueError(f"header {name!r} must not hold {CREDENTIAL_MARK}: use credential")
        self._credential_is_safe()
        return self

    def _credential_is_safe(self) -> None:
        if self.credential is None:
            return
        parts = urlsplit(self.url)
        # .test is reserved (RFC 2606): nobody's host, so the pretend platforms may be asked in clear text.
        if parts.scheme != "https" and not (parts.hostname or "").endswith(".test"):
            raise ValueError("credential needs an https address")
        if self.credential.header.lower() in {name.lower() for name in self.headers}:
            raise ValueError(f"header {self.credential.header!r} is set by credential already")

    def request_headers(self) -> dict[str, str]:
        """The headers as they are stored: the credential's value is CREDENTIAL_MARK."""
        if self.credential is None:
            return dict(self.headers)
        return {**self.headers, self.credential.header: self.credential.prefix + CREDENTIAL_MARK}

    def rule(self) -> dict[str, Any]:
        """The extraction rule in plain types, as it is stored and hashed: select, remove, filters."""
        return self.model_dump(mode="json", include={"select", "remove", "filters"}, exclude_none=True)


class Archive(Frozen):
    """A document's place in a version repository of the Open Terms Archive."""

    repository: Words
    """Address or path of the git repository."""
    path: Words
    """The document's file in it, for example `X/Terms of Service.md`."""


class RobotsOverride(Frozen):
    """A named person's decision to read a document although robots.txt refuses it; audited."""

    by: Words
    """Who decided it."""
    reason: Words
    """Why, for example a permission of the platform."""


class Document(Frozen):
    """One policy of a platform."""

    name: Words
    """The document's full name; an archive keeps it as `<platform>/<name>.md`."""
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
    """Language of the text as a BCP 47 tag."""
    cadence: Duration | None = None
    """How often the daemon looks at it; empty: `fetch.cadence`."""
    paused: bool = False
    """Kept and listed, but not visited."""
    pages: tuple[Page, ...] = ()
    """The pages that make up the document, in reading order."""
    archive: Archive | None = None
    """Where its versions are read from instead of, or besides, the platform's pages."""
    robots_override: RobotsOverride | None = None
    """Read it although the host's robots.txt refuses; empty: what robots.txt refuses is not read."""

    @model_validator(mode="after")
    def _readable(self) -> Document:
        if not self.pages and self.archive is None and not self.paused:
            raise ValueError("needs pages, or an archive, or paused: true")
        if self.cadence is not None and self.cadence.total_seconds() < 1:
            raise ValueError("cadence must be at least 1 s")
        addresses = [page.url for page in self.pages]
        for url in addresses:
            if addresses.count(url) > 1:
                raise ValueError(f"lists the page {url} twice")
        return self


class Platform(Frozen):
    """One monitored service."""

    name: Words
    """The platform's name as people say it."""
    aliases: tuple[Words, ...] = ()
    """Former names; histories recorded under them belong to this platform."""
    documents: Mapping[Slug, Document] = {}
    """The platform's policies by key."""
