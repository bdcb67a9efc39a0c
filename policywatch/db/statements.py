"""Statements that take names (CREATE DATABASE, CREATE ROLE), where PostgreSQL allows no parameters."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from policywatch.db.queries import Query

__all__ = ["compose"]


def compose(
    query: Query, *, names: Mapping[str, str], literals: Mapping[str, str] | None = None
) -> sql.Composed:
    """The statement with `{name}` replaced by quoted identifiers, and by quoted literals where no parameter may be."""
    parts: dict[str, sql.Composable] = {key: sql.Identifier(value) for key, value in names.items()}
    parts |= {key: sql.Literal(value) for key, value in (literals or {}).items()}
    return sql.SQL(query.text).format(**parts)
