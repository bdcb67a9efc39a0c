"""Settings printed: as YAML, and as the JSON Schema that editors check policywatch.yaml with."""

from __future__ import annotations

import json
from typing import Any

import yaml

from policywatch.settings.load import effective
from policywatch.settings.model import Settings

__all__ = ["as_yaml", "json_schema", "schema_text"]

# Their shipped parts are merged below what an operator writes, so nothing of them is required in the file.
_PARTIAL = ("Platform", "Document", "Segment")


class _Dumper(yaml.SafeDumper):
    """No anchors: what is shown stands where it is used."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def as_yaml(settings: Settings, section: str | None = None) -> str:
    """The effective settings, or one section of them, as YAML; secrets appear by name alone."""
    shown = effective(settings)
    if section is not None:
        shown = {section: shown[section]}
    return yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of policywatch.yaml."""
    schema = Settings.model_json_schema(mode="validation")
    for name in _PARTIAL:
        schema["$defs"][name].pop("required", None)
    _accept_shorthand(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "policywatch.yaml"}


def schema_text() -> str:
    """The schema as the file that is shipped beside the YAML."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _accept_shorthand(schema: dict[str, Any]) -> None:
    """Where one value may stand for a list of one, and sections may be empty, say so."""
    for owner, field in (("Page", "select"), ("Page", "remove")):
        described = schema["$defs"][owner]["properties"][field]
        items = {key: described.pop(key) for key in ("type", "items")}
        described["anyOf"] = [items, *items["items"].get("anyOf", [items["items"]])]
    criteria = schema["$defs"]["Segment"]["properties"]["criteria"]["additionalProperties"]
    listed = dict(criteria)
    criteria.clear()
    criteria["anyOf"] = [listed, {"type": "string"}]
    keys = schema["$defs"]["Desk"]["properties"]["keys"]["additionalProperties"]
    listed = dict(keys)
    keys.clear()
    keys["anyOf"] = [listed, {"type": "string"}]
    for name, described in list(schema["properties"].items()):
        if "$ref" in described:
            text = described.get("description", "")
            schema["properties"][name] = {
                "anyOf": [{"$ref": described["$ref"]}, {"type": "null"}],
                "description": text,
            }
