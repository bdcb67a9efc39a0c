"""A few figures of the system into `system_metrics`, for the desk's and an operator's look back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from policywatch.db import workers

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["forget_old", "store_measures"]


async def store_measures(service: Service) -> None:
    """Store lengths and ages of all that waits, the pool's state and this daemon's counters."""
    figures = await workers.measures(service.db)
    pool = service.db.stats()
    own = {
        "pool_size": float(pool.get("pool_size", 0)),
        "pool_available": float(pool.get("pool_available", 0)),
        "pool_waiting": float(pool.get("requests_waiting", 0)),
    } | {name: float(value) for name, value in service.counters.items()}
    async with service.db.transaction() as tx:
        for name, value in figures.items():
            await workers.add_measure(tx, name, value, {})
        for name, value in own.items():
            await workers.add_measure(tx, name, value, {"worker": service.worker_id})


async def forget_old(service: Service) -> None:
    """Drop figures beyond their retention."""
    keep: timedelta = service.settings.retention.metrics
    await workers.forget(service.db, keep)
