"""References to secrets, and connection strings that must not hold one.

The value of a secret never stands in a settings file: `password: {secret: smtp-password}` names it, and
`policywatch.secrets` finds it. No message here repeats what was written in its place.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BeforeValidator, PlainSerializer, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from policywatch.settings.catalogue import Frozen

__all__ = ["Dsn", "Secret", "SecretName", "SecretRef", "without_password"]

SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class SecretRef(Frozen):
    """The name of a secret; its value lies in a credential, a file, the environment or the keyring."""

    secret: SecretName
    """The secret's name: small letters, digits, hyphens."""


def _reference(written: object) -> object:
    if isinstance(written, dict | SecretRef):
        return written
    raise PydanticCustomError("secret_literal", "must be a reference to a secret, not the secret itself")


Secret = Annotated[SecretRef, BeforeValidator(_reference)]

_KEYWORD_PASSWORD = re.compile(r"(?i)(?<![a-z_])password\s*=\s*('(?:[^'\\]|\\.)*'|\S+)")


def _has_password(dsn: str) -> bool:
    if "://" in dsn:
        try:
            parts = urlsplit(dsn)
            return bool(parts.password) or bool(
                re.search(r"(?i)[?&]password=", parts.query and "?" + parts.query)
            )
        except ValueError:
            return False
    return _KEYWORD_PASSWORD.search(dsn) is not None


def without_password(dsn: str) -> str:
    """The connection string as it may be shown: the password's place is marked."""
    if "://" not in dsn:
        return _KEYWORD_PASSWORD.sub("password=***", dsn)
    try:
        parts = urlsplit(dsn)
        _ = parts.port
    except ValueError:
        return "***"
    place = parts.netloc
    if parts.password is not None:
        user, _, host = place.rpartition("@")
        place = f"{user.split(':', 1)[0]}:***@{host}"
    query = re.sub(r"(?i)(^|&)password=[^&]*", r"\1password=***", parts.query)
    return urlunsplit(parts._replace(netloc=place, query=query))


def _connection(written: object, known: ValidationInfo) -> object:
    if not isinstance(written, str) or not written.strip() or re.search(r"[\x00-\x1f\x7f]", written):
        raise PydanticCustomError(
            "dsn", 'must be a connection string such as "postgresql://policywatch@db.example/policywatch"'
        )
    if "://" in written:
        try:
            parts = urlsplit(written)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("postgresql", "postgres"):
            raise PydanticCustomError("dsn", "must begin with postgresql://")
    elif "=" not in written:
        raise PydanticCustomError("dsn", "must be postgresql://... or key=value pairs (host=... dbname=...)")
    # In the environment a whole address with its password is common practice and no file: let it pass.
    from_environment = isinstance(known.context, dict) and written in known.context.get(
        "environment_values", ()
    )
    if _has_password(written) and not from_environment:
        raise PydanticCustomError("dsn_password", "must not hold a password")
    return written


def _shown(dsn: Any) -> Any:
    return without_password(dsn) if isinstance(dsn, str) else dsn


Dsn = Annotated[
    str, BeforeValidator(_connection), PlainSerializer(_shown, return_type=str, when_used="json-unless-none")
]
