"""What lets the real programs live in the pretend world: resolver, allowed address, settings of the demo."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from policywatch.simulated.texts import DOCUMENTS, PLATFORMS, Document, Platform

__all__ = [
    "Resolver",
    "allowed",
    "demo_settings",
    "platforms_settings",
    "settings_text",
    "simulated_resolver",
]

#: Host and port of an address -> where to connect; OSError for names that it does not know.
Resolver = Callable[[str, int], Awaitable[list[tuple[str, int]]]]


def simulated_resolver(web_port: int) -> Resolver:
    """A resolver for the wall: every `*.test` lives on 127.0.0.1 at the web's port; nothing else exists."""

    async def resolve(host: str, port: int) -> list[tuple[str, int]]:
        if not host.lower().rstrip(".").endswith(".test"):
            raise OSError(f"{host} does not exist in the simulated web")
        return [("127.0.0.1", web_port)]

    return resolve


def allowed(web_port: int) -> frozenset[tuple[str, int]]:
    """The one address that the wall of a simulated daemon lets through."""
    return frozenset({("127.0.0.1", web_port)})


def platforms_settings(platforms: Sequence[Platform] = PLATFORMS, *, cadence: str = "2 s") -> dict[str, Any]:
    """The section `platforms` for the pretend platforms: a page a document, region `main` without its box."""
    return {
        platform.key: {
            "name": platform.name,
            "aliases": list(platform.aliases),
            "documents": {
                key: {
                    "name": name,
                    "language": "en",
                    "cadence": cadence,
                    "pages": [
                        {"url": Document(platform.key, key).url, "select": ["main"], "remove": [".feedback"]}
                    ],
                }
                for key, name in DOCUMENTS.items()
            },
        }
        for platform in platforms
    }


def demo_settings(
    *,
    smtp_port: int,
    members: Path,
    platforms: Sequence[Platform] = PLATFORMS,
    cadence: str = "2 s",
    min_gap: str = "0.05 s",
    grace: str = "3 s",
    database: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The policywatch.yaml of the demo: pretend platforms only, short periods, the recording mail server.

    `database` is taken over as it is; every other section keeps its default where nothing is said here.
    """
    settings: dict[str, Any] = {
        "catalogue": "none",
        "platforms": platforms_settings(platforms, cadence=cadence),
        "fetch": {"min_gap": min_gap, "timeout": "10 s", "concurrency": 8, "second_look": "off"},
        "members": {"file": str(members)},
        "guidance": {"approvals_needed": 1, "grace_period": grace, "release_window": "1 h"},
        "mail": {
            "host": "127.0.0.1",
            "port": smtp_port,
            "tls": "none",
            "sender": "guidance@policywatch.test",
            "sender_name": "PolicyWatch demo",
        },
    }
    if database is not None:
        settings["database"] = dict(database)
    return settings


def settings_text(settings: Mapping[str, Any]) -> str:
    """The settings as a file: JSON, which every YAML reader reads."""
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
