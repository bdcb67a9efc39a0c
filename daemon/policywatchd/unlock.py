"""Before a daemon works: is the master key the one that this database was written under, and what does its log show?

A wrong key ends the start before anything was written. A missing one does not: what needs it waits and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from policywatch import keys, secrets
from policywatch.db import credentials, workers
from policywatch.db.pool import Database
from policywatch.db.serverlog import log_settings
from policywatch.settings import Settings

__all__ = ["key_of", "prove_keys", "tell_openly"]

log = logging.getLogger("policywatch.daemon")


def key_of(settings: Settings) -> Callable[[int], bytes]:
    """The master key by its version, from systemd's credential or the key file; nobody is ever asked."""
    return lambda version: secrets.master_key(settings.database.state_folder, version=version)


async def prove_keys(db: Database, settings: Settings) -> list[int]:
    """The versions of the master key that are here and right; SettingsError for a wrong one."""
    return await credentials.check_keys(db, key_of(settings))


async def tell_openly(db: Database, settings: Settings) -> None:
    """Publish what people seal addresses with, and say it where the server's log would show secrets."""
    right = await prove_keys(db, settings)
    if 1 in right:
        public = keys.request_key(key_of(settings)(1))
        if await credentials.publish_request_key(db, public):
            await workers.audit(db, "key.published", "key", "request/1")
    found = await log_settings(db)
    leaks = found.leaks()
    if leaks:
        log.warning("server_log_shows_parameters how=%s", "; ".join(leaks))
        await workers.open_alert(
            db,
            "server_log",
            "parameters",
            f"No credential is used while the server would log its key: {'; '.join(leaks)}. {found.remedy}",
        )
    else:
        await workers.close_alert(db, "server_log", "parameters")
    for remark in found.remarks():
        log.warning("server_log_remark what=%s", remark)
