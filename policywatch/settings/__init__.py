"""policywatch.yaml: found, read, checked, frozen.

`load()` gives `Settings`; every section and key is described in `model`. Precedence: default < YAML <
environment. Secrets stand in the settings by name alone; `policywatch.secrets` finds their values.
"""

from __future__ import annotations

from policywatch.settings.catalogue import (
    CREDENTIAL_MARK,
    Archive,
    Credential,
    Document,
    Page,
    Platform,
    Range,
    RobotsOverride,
)
from policywatch.settings.difference import Difference, difference, kept_until_restart, masked
from policywatch.settings.environment import NOT_SETTINGS
from policywatch.settings.faults import SettingsFaults
from policywatch.settings.listing import CatalogueDocument, catalogue, secret_references
from policywatch.settings.load import effective, find, load, places, shipped_platforms
from policywatch.settings.model import (
    Alerts,
    Analysis,
    Backup,
    Columns,
    Database,
    Desk,
    Fetch,
    Guidance,
    Mail,
    Members,
    Metrics,
    Retention,
    Review,
    Segment,
    Settings,
)
from policywatch.settings.paths import account_name, default_state_folder
from policywatch.settings.quantities import day_time, format_duration, format_size, parse_duration
from policywatch.settings.reference import SecretRef, without_password
from policywatch.settings.schema import as_yaml, json_schema, schema_text

__all__ = [
    "CREDENTIAL_MARK",
    "NOT_SETTINGS",
    "Alerts",
    "Analysis",
    "Archive",
    "Backup",
    "CatalogueDocument",
    "Columns",
    "Credential",
    "Database",
    "Desk",
    "Difference",
    "Document",
    "Fetch",
    "Guidance",
    "Mail",
    "Members",
    "Metrics",
    "Page",
    "Platform",
    "Range",
    "Retention",
    "Review",
    "RobotsOverride",
    "SecretRef",
    "Segment",
    "Settings",
    "SettingsFaults",
    "account_name",
    "as_yaml",
    "catalogue",
    "day_time",
    "default_state_folder",
    "difference",
    "effective",
    "find",
    "format_duration",
    "format_size",
    "json_schema",
    "kept_until_restart",
    "load",
    "masked",
    "parse_duration",
    "places",
    "schema_text",
    "secret_references",
    "shipped_platforms",
    "without_password",
]
