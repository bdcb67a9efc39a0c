"""Every section and key of policywatch.yaml, its default and its meaning.

The docstring below a field is its documentation: reference and JSON Schema are printed from it.
Not here: reading files (`load`), what a duration looks like (`quantities`), platforms (`catalogue`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, StringConstraints, model_validator

from policywatch.settings.catalogue import Frozen, Platform, Slug, Words
from policywatch.settings.paths import AccountName, FilePath, InStateFolder, StateFolder
from policywatch.settings.quantities import DayTimeOrOff, Duration, DurationOrOff, Share, Size, parse_duration
from policywatch.settings.reference import Dsn, Secret

__all__ = [
    "Alerts", "Analysis", "Backup", "Columns", "Database", "Desk", "Fetch", "Guidance", "Mail", "Members",
    "Metrics", "Retention", "Review", "Segment", "Settings",
]  # fmt: skip

MailAddress = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[^\s@<>,;:\"\x00-\x1f\x7f]+@[^\s@<>,;:\"\x00-\x1f\x7f]+$"),
]
RoleName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_.@-]{0,62}$")]
SegmentColumn = Literal["kind", "country", "platforms", "language"]


class Database(Frozen):
    """Where the one database is."""

    mode: Literal["embedded", "dsn"] = "embedded"
    """embedded: the program starts a PostgreSQL of its own; dsn: an administrator's server."""
    dsn: Dsn | None = Field(default=None, repr=False)
    """Connection string of that server, without password (also: POLICYWATCH_DATABASE_URL)."""
    name: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "policywatch"
    """Name of the database on the embedded server; with a dsn the dsn names it."""
    user: AccountName = "auto"
    """Login of the person at this terminal; auto: the account of the operating system."""
    password: Secret | None = None
    """Password of that login, by reference; the embedded server asks the account's owner for none."""
    daemon_user: RoleName = "pw_daemon"
    """Login of the daemon."""
    daemon_password: Secret | None = None
    """Password of the daemon's login, by reference."""
    owner_dsn: Dsn | None = Field(default=None, repr=False)
    """Connection string for migrations, of a role that may create roles; empty: the dsn."""
    owner_password: Secret | None = None
    """Password of that role, by reference."""
    timescale: Literal["auto", "require", "off"] = "auto"
    """TimescaleDB: used where present (auto), demanded (require), or left alone (off)."""
    state_folder: StateFolder = Path("auto")
    """Folder for the embedded server, keys and backups; relative ones count from the settings file.

    auto: ~/.local/state/policywatch, for root /var/lib/policywatch."""
    pool_size: Annotated[int, Field(ge=1, le=50)] = 3
    """Most connections of one program at the same time, its listening one not counted."""

    @model_validator(mode="after")
    def _reachable(self) -> Database:
        if self.mode == "dsn" and self.dsn is None:
            raise ValueError("needs dsn because mode is dsn")
        return self


class Fetch(Frozen):
    """How pages are fetched."""

    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    """Most visits at the same time; a host sees one request at a time whatever this says."""
    timeout: Duration = parse_duration("60 s")
    """Longest time for one page, all hops and bytes together."""
    max_raw: Size = 8 * 1024 * 1024
    """Most bytes taken from the wire for one page."""
    max_decoded: Size = 16 * 1024 * 1024
    """Most bytes of one page after decompression."""
    min_gap: Duration = parse_duration("2 s")
    """Shortest time between two requests to one host."""
    second_look: DurationOrOff = parse_duration("20 min")
    """How long after a difference the page is fetched again before the change is queued; off: at once."""
    full_fetch: Duration = parse_duration("7 d")
    """How long "not modified" is believed; then the whole page is asked for."""
    blind_after: Annotated[int, Field(ge=1, le=100)] = 2
    """For how many cadences a page may have no good capture before its document counts as blind."""
    render: Literal["off", "auto"] = "auto"
    """The browser step: auto, where the service that renders pages answers; or off."""
    render_socket: InStateFolder = Path("/run/policywatch-render/socket")
    """Socket of that service; a relative path lies in the state folder."""
    archives: Duration = parse_duration("6 h")
    """How often version repositories that documents name as their archive are looked at."""
    contact: Words | None = None
    """Address or page where a platform can reach you; sent with each request."""
    cadence: Duration = parse_duration("12 h")
    """How often a document is visited when it does not say so itself."""
    accept_language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*,;=. -]{1,100}$")] = "en"
    """Language asked for, as in the request header Accept-Language."""

    @model_validator(mode="after")
    def _sensible(self) -> Fetch:
        if self.max_decoded < self.max_raw:
            raise ValueError("max_decoded must not be smaller than max_raw")
        if self.timeout.total_seconds() < 1 or self.cadence.total_seconds() < 1:
            raise ValueError("timeout and cadence must be at least 1 s")
        if self.full_fetch > parse_duration("7 d"):
            raise ValueError("full_fetch must be at most 7 d")
        if self.archives.total_seconds() < 1:
            raise ValueError("archives must be at least 1 s")
        return self


class Review(Frozen):
    """How people work on the queue."""

    claim_for: Duration = parse_duration("15 min")
    """How long a change that a reviewer took stays marked as theirs."""


class Analysis(Frozen):
    """How changes are judged by the machine."""

    llm: Literal["off"] = "off"
    """A language model beside the built-in analysis; this version has none, so it is off."""


class Columns(Frozen):
    """What the columns of the members file are called in its first row."""

    email: Words = "email"
    """Column with the mail address."""
    name: Words = "name"
    """Column with the name used in the greeting."""
    kind: Words = "kind"
    """Column with the kind of member (journalist, creator, ...)."""
    country: Words = "country"
    """Column with the country as two letters (ISO 3166)."""
    platforms: Words = "platforms"
    """Column with the keys of the member's platforms, separated by semicolons."""
    language: Words = "language"
    """Column with the member's language."""


class Members(Frozen):
    """Who receives guidance."""

    file: FilePath | None = None
    """CSV file in UTF-8 with a first row of column names; empty: no members, nothing can be mailed."""
    columns: Columns = Field(default_factory=Columns)
    """Names of its columns."""


def _values(written: object) -> object:
    return [written] if isinstance(written, str) else written


Values = Annotated[tuple[Words, ...], BeforeValidator(_values), Field(min_length=1)]


class Segment(Frozen):
    """A group of members."""

    name: Words
    """What people call it."""
    criteria: Mapping[SegmentColumn, Values] = {}
    """Column and accepted value or values; all columns must hold; {} is everyone.

    Of the column platforms, itself a list, one in common is enough."""


class Guidance(Frozen):
    """How guidance is approved and released."""

    approvals_needed: Annotated[int, Field(ge=1, le=5)] = 1
    """How many people, none of them an author of the text, must approve."""
    approvals_needed_critical: Annotated[int, Field(ge=1, le=5)] = 1
    """The same for guidance that rests on a critical change; the larger of the two counts."""
    grace_period: Duration = parse_duration("5 min")
    """How long approved guidance waits, and can be taken back, before the first mail."""
    expiry: Duration = parse_duration("7 d")
    """After how long an unanswered approval request expires."""
    release_window: Duration = parse_duration("24 h")
    """How late after the grace period guidance may still be released; later it lapses and needs a new yes."""
    growth_limit: Share = 0.02
    """By how much a segment may have grown since approval; beyond it the publication pauses for a new yes."""
    template: Slug = "guidance"
    """Name of the template that a new draft starts from."""
    test_group: tuple[MailAddress, ...] = ()
    """Addresses that receive test mails."""

    @model_validator(mode="after")
    def _in_limits(self) -> Guidance:
        if self.grace_period > parse_duration("7 d"):
            raise ValueError("grace_period must be at most 7 d")
        if not parse_duration("1 min") <= self.release_window <= parse_duration("30 d"):
            raise ValueError("release_window must be from 1 min to 30 d")
        if not parse_duration("1 min") <= self.expiry <= parse_duration("90 d"):
            raise ValueError("expiry must be from 1 min to 90 d")
        return self


def is_loopback(host: str) -> bool:
    """Whether mail to this host never leaves the machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Mail(Frozen):
    """The mail relay and what mails say about their sender."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,253}$")] = "localhost"
    """Name or address of the relay."""
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    """Its port: 25, 465 (tls) or 587 (starttls)."""
    tls: Literal["none", "starttls", "tls"] = "none"
    """Encryption: none (only for a relay on this machine), starttls or tls, both with a verified name."""
    user: Words | None = None
    """User name at the relay; empty: none is sent."""
    password: Secret | None = None
    """Password at the relay, by reference."""
    sender: MailAddress = "policywatch@localhost"
    """Address that mails come from."""
    sender_name: Words = "PolicyWatch"
    """Name that mails come from."""
    reply_to: MailAddress | None = None
    """Address for answers; empty: the sender."""
    connections: Annotated[int, Field(ge=1, le=10)] = 4
    """Most connections to the relay at the same time."""
    window: Annotated[int, Field(ge=1, le=1000)] = 50
    """Most mails that are handed over and not yet answered; so many can be uncertain after a crash."""
    rate: Annotated[float, Field(gt=0, le=10000)] | None = None
    """Most mails a second; empty: as fast as the relay takes them."""

    @model_validator(mode="after")
    def _safe(self) -> Mail:
        if self.tls == "none" and not is_loopback(self.host):
            raise ValueError("tls must be starttls or tls: none is only for a relay on this machine")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password must be given together")
        if self.user is not None and self.tls == "none":
            raise ValueError("tls must be starttls or tls: a password is not sent in clear text")
        return self


class Alerts(Frozen):
    """Who is told when something needs a person."""

    mail_to: tuple[MailAddress, ...] = ()
    """Operators' addresses for the daily digest; empty: alerts stand in the desk and in the log alone."""
    digest_at: DayTimeOrOff = "08:00 UTC"
    """When the digest of the day is mailed, with its time zone (UTC where none is said); off: never.

    To `mail_to`, and to the reviewers, editors and approvers who have an address; only when something waits."""
    severity: Literal["low", "medium", "high", "critical"] = "high"
    """From which severity on a new change raises an alert to the reviewers."""


class Retention(Frozen):
    """How long things are kept. Snapshots, changes and the audit log are kept for good."""

    captures: Duration = parse_duration("90 d")
    """Raw pages."""
    metrics: Duration = parse_duration("30 d")
    """Measurements of the system."""
    addresses: Duration = parse_duration("30 d")
    """Members' addresses in the ledger after the end of a publication; at most 30 days."""

    @model_validator(mode="after")
    def _addresses(self) -> Retention:
        if self.addresses > parse_duration("30 d"):
            raise ValueError("addresses must be at most 30 d")
        return self


class Backup(Frozen):
    """Where backups go."""

    folder: InStateFolder = Path("backups")
    """Folder for backups; a relative one lies in the state folder."""


def _listen(written: object) -> object:
    if isinstance(written, str):
        host, _, port = written.rpartition(":")
        if is_loopback(host.strip("[]")) and re.fullmatch(r"[0-9]{1,5}", port) and int(port) < 65536:
            return written
    raise ValueError("must be a loopback address and a port such as 127.0.0.1:9187")


class Metrics(Frozen):
    """The exposition for Prometheus."""

    enabled: bool = True
    """Whether the daemon serves it."""
    listen: Annotated[str, BeforeValidator(_listen)] = "127.0.0.1:9187"
    """Loopback address and port; port 0 takes any free one."""


def _keys(written: object) -> object:
    return written.split() if isinstance(written, str) else written


class Desk(Frozen):
    """The terminal."""

    keys: Mapping[str, Annotated[tuple[Words, ...], BeforeValidator(_keys)]] = {}
    """Other keys for actions, for example `undo: z`; several are separated by spaces."""
    scroll: Literal["half", "line"] = "half"
    """At the edge of a list: jump half a page (quick on slow lines) or move by one line."""
    mouse: bool = False
    """Whether the mouse works; it takes the terminal's own way of marking text away."""
    theme: Literal["ansi", "dark", "light"] = "ansi"
    """Colours: the terminal's own sixteen (ansi), or fixed ones for dark or light."""


class Settings(Frozen):
    """All of policywatch.yaml."""

    database: Database = Field(default_factory=Database)
    """Where the one database is."""
    catalogue: Literal["shipped", "none"] = "shipped"
    """Whether the shipped catalogue of platforms is used; `platforms` is merged over it."""
    platforms: Mapping[Slug, Platform] = Field(default_factory=dict)
    """Platforms and documents by key, merged over the shipped catalogue; lists replace lists."""
    fetch: Fetch = Field(default_factory=Fetch)
    """How pages are fetched."""
    review: Review = Field(default_factory=Review)
    """How people work on the queue."""
    analysis: Analysis = Field(default_factory=Analysis)
    """How changes are judged by the machine."""
    members: Members = Field(default_factory=Members)
    """Who receives guidance."""
    segments: Mapping[Slug, Segment] = Field(default_factory=dict)
    """Groups of members by key, merged over the shipped ones."""
    guidance: Guidance = Field(default_factory=Guidance)
    """How guidance is approved and released."""
    mail: Mail = Field(default_factory=Mail)
    """The mail relay and the sender."""
    alerts: Alerts = Field(default_factory=Alerts)
    """Who is told when something needs a person."""
    retention: Retention = Field(default_factory=Retention)
    """How long things are kept."""
    backup: Backup = Field(default_factory=Backup)
    """Where backups go."""
    metrics: Metrics = Field(default_factory=Metrics)
    """The exposition for Prometheus."""
    desk: Desk = Field(default_factory=Desk)
    """The terminal."""

    _source_path: Path | None = PrivateAttr(default=None)
    _sha256: str = PrivateAttr(default="")

    @property
    def source_path(self) -> Path | None:
        """The settings file; None where the shipped defaults are used."""
        return self._source_path

    @property
    def sha256(self) -> str:
        """Hash (hex) of the effective settings, passwords left out: equal hashes are equal settings."""
        return self._sha256
