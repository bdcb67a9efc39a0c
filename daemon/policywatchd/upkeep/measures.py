"""Figures of the system: what is measured, and what of it goes into `system_metrics` for a look back.

How Prometheus reads them is the business of `exposition`.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from policywatch.db import metrics, workers
from policywatch.errors import PolicyWatchError
from policywatch.metrics import Sample

if TYPE_CHECKING:
    from policywatchd.service import Service

__all__ = ["forget_old", "samples_now", "store_measures"]

log = logging.getLogger("policywatch.upkeep")

_STORED = (
    "policywatch_queue_",
    "policywatch_replication_",
    "policywatch_pool",
    "policywatch_loop_",
    "policywatch_visits_",
    "policywatch_sources",
    "policywatch_blind_",
)


def _of_service(service: Service) -> list[Sample]:
    """What this daemon counted, and how long ago each of its loops made progress."""
    samples, now = [], time.monotonic()
    for name, loop in service.loops.items():
        idle = max(0.0, now - loop.progress)
        samples.append(Sample("policywatch_loop_idle_seconds", idle, {"loop": name}))
        failures = float(service.counters.get(f"loop_failures_{name}", 0))
        samples.append(Sample("policywatch_loop_restarts_total", failures, {"loop": name}))
    refused = 1.0 if service.settings_state.get("fault") else 0.0
    samples.append(Sample("policywatch_settings_refused", refused))
    samples += [
        Sample("policywatch_visits_total", float(count), {"outcome": name.removeprefix("visits_")})
        for name, count in service.counters.items()
        if name.startswith("visits_")
    ]
    return samples


async def samples_now(service: Service) -> list[Sample]:
    """Everything that can be measured now; without the database `policywatch_up` is 0 and the rest is our own."""
    try:
        measured = await metrics.measure(service.db)
    except PolicyWatchError:
        measured = [Sample("policywatch_up", 0.0)]
    return [*measured, *metrics.own_samples(service.db), *_of_service(service)]


async def store_measures(service: Service) -> None:
    """Store lengths and ages of all that waits, the pool's state and this daemon's counters."""
    samples = [*await metrics.measure(service.db), *metrics.own_samples(service.db), *_of_service(service)]
    await metrics.store(service.db, [one for one in samples if one.name.startswith(_STORED)])


async def forget_old(service: Service) -> None:
    """Drop figures beyond their retention, or see to it that the server does."""
    gone = await workers.forget(service.db, service.settings.retention.metrics)
    if gone.gone:
        log.info("old_figures_forgotten way=%s count=%d", gone.way, gone.gone)
