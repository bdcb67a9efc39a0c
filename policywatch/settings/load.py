"""From files and environment to `Settings`: default < YAML < environment, all faults reported at once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from policywatch.errors import SettingsError
from policywatch.settings import environment
from policywatch.settings.catalogue import Platform
from policywatch.settings.faults import faults_of, raised
from policywatch.settings.model import Settings
from policywatch.settings.nodes import Node, merged, plain, read_file, read_text

__all__ = ["effective", "find", "load", "places", "shipped_platforms"]

log = logging.getLogger("policywatch.settings")
#: Name inside `config/` and the section that it fills.
SHIPPED = {"platforms": "platforms.yaml", "segments": "segments.yaml"}


def places(env: Mapping[str, str] = os.environ) -> list[Path]:
    """Where a settings file is looked for when none is named, first hit wins."""
    home = env.get("HOME", "")
    config = env.get("XDG_CONFIG_HOME", "")
    personal = Path(config) if Path(config).is_absolute() else Path(home) / ".config" if home else None
    found = [Path("policywatch.yaml")]
    if personal is not None:
        found.append(personal / "policywatch" / "policywatch.yaml")
    return [*found, Path("/etc/policywatch/policywatch.yaml")]


def find(path: Path | None = None, env: Mapping[str, str] = os.environ) -> Path | None:
    """The settings file that holds: `path`, $POLICYWATCH_CONFIG, else the first of `places`; or None.

    Raises SettingsError when a file was named and is missing: a typing error must not mean "defaults".
    """
    named = path or (Path(env["POLICYWATCH_CONFIG"]) if env.get("POLICYWATCH_CONFIG") else None)
    if named is not None:
        if not named.exists():
            by = "--config" if path else "POLICYWATCH_CONFIG"
            raise SettingsError(
                "there is no such settings file",
                file=str(named),
                remedy=f"Check the path given by {by}, or leave it out to use the defaults.",
            )
        return named.absolute()
    return next((place.absolute() for place in places(env) if place.is_file()), None)


def load(path: Path | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """The effective settings. Raises SettingsError (`SettingsFaults` with all of them)."""
    source = find(path, env)
    written = read_file(source) if source is not None else Node({}, "defaults", 0, 0)
    if not isinstance(written.value, dict):
        raise SettingsError(
            "a settings file holds sections such as database: and mail:",
            file=written.file,
            line=written.line,
            column=written.column,
            remedy="See the commented policywatch.yaml that comes with the program.",
        )
    above, faults = environment.overlay(env, Settings)
    root = merged(_with_sections(written), above)
    for section in SHIPPED:
        root.value[section] = _over_shipped(section, root)
    settings = _validated(root, source, env, faults)
    settings._source_path = source
    settings._sha256 = hashlib.sha256(
        json.dumps(effective(settings), sort_keys=True, ensure_ascii=False).encode()
    ).hexdigest()
    log.debug("settings_loaded file=%s sha256=%s", source or "none", settings.sha256)
    return settings


def shipped_platforms() -> Mapping[str, Platform]:
    """The platforms of the catalogue that comes with the program, as if nothing were laid over them."""
    node = read_text(
        (files("policywatch.config") / SHIPPED["platforms"]).read_text("utf-8"), "shipped platforms.yaml"
    )
    return Settings.model_validate({"catalogue": "none", "platforms": plain(node)}).platforms


def effective(settings: Settings) -> dict[str, Any]:
    """All values in plain types as they would be written, passwords in connection strings masked."""
    return settings.model_dump(mode="json")


def _validated(
    root: Node, source: Path | None, env: Mapping[str, str], faults: list[SettingsError]
) -> Settings:
    context: dict[str, Any] = {
        "env": env,
        "folder": source.parent if source is not None else Path.cwd(),
        "environment_values": frozenset(environment.values(env).values()),
    }
    try:
        settings = Settings.model_validate(plain(root), context=context)
    except ValidationError as error:
        raised([*faults, *faults_of(error, root, Settings)])
        raise
    raised(faults)
    return settings


def _with_sections(written: Node) -> Node:
    """Every section present, an empty one (`mail:` with all its keys commented out) as an empty mapping."""
    value = dict(written.value)
    for name, field in Settings.model_fields.items():
        child = value.get(name)
        if field.default_factory is not None and (child is None or child.value is None):
            value[name] = Node({}, written.file, child.line if child else 0, child.column if child else 0)
    return Node(value, written.file, written.line, written.column)


def _over_shipped(section: str, root: Node) -> Node:
    """The operator's section laid over the shipped file of that name."""
    above: Node = root.value[section]
    chosen = root.value.get("catalogue")
    if section == "platforms" and chosen is not None and chosen.value == "none":
        return above
    name = SHIPPED[section]
    shipped = read_text((files("policywatch.config") / name).read_text("utf-8"), f"shipped {name}")
    return merged(shipped, above)
