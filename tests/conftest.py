"""Fixtures that every test may ask for."""

from __future__ import annotations

from tests.databases import database, module_database, server, template

__all__ = ["database", "module_database", "server", "template"]
