"""The exposition for Prometheus: samples in, text out. Where samples come from is the caller's business.

Names are the program's words with the unit last (`policywatch_queue_oldest_seconds`), as the Prometheus
naming practice asks; the text format is the library's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["HELP", "Sample", "exposition"]

#: What each measurement means; a sample with another name is shown with its name alone.
HELP: Mapping[str, str] = {
    "policywatch_table_bytes": "Bytes of a table with its indexes and TOAST.",
    "policywatch_table_rows": "Rows of a table, as the planner estimates them.",
    "policywatch_queue_waiting": "How many wait in a queue.",
    "policywatch_queue_oldest_seconds": "Age of the oldest that waits in a queue.",
    "policywatch_settings_refused": "1 while an edit of the settings has a fault and the last good ones hold.",
    "policywatch_sources": "Documents by state of health.",
    "policywatch_blind_documents": "Documents with a page that had no good capture for two cadences.",
    "policywatch_digest_age_seconds": "How long ago the last digest went out.",
    "policywatch_replication_lag_seconds": "How far a replica is behind.",
    "policywatch_query_seconds_total": "Time spent in a named query.",
    "policywatch_query_calls_total": "Calls of a named query.",
    "policywatch_query_max_seconds": "Longest call of a named query.",
    "policywatch_pool": "Connections of the pool, by kind.",
    "policywatch_loop_idle_seconds": "How long ago a supervised loop made progress.",
    "policywatch_loop_restarts_total": "Restarts of a supervised loop.",
    "policywatch_visits_total": "Visits by outcome.",
    "policywatch_up": "1 while the database answers.",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value. A name that ends in `_total` only ever rises."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


class _Given(Collector):
    """A collector over samples that are there already."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._families: dict[tuple[str, tuple[str, ...]], Metric] = {}
        for sample in samples:
            labels = tuple(sorted(sample.labels))
            key = sample.name, labels
            if key not in self._families:
                kind = CounterMetricFamily if sample.name.endswith("_total") else GaugeMetricFamily
                self._families[key] = kind(
                    sample.name, HELP.get(sample.name, sample.name), labels=list(labels)
                )
            family = self._families[key]
            assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)
            family.add_metric([sample.labels[name] for name in labels], sample.value)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families.values())


def exposition(samples: Iterable[Sample]) -> str:
    """The text that a Prometheus server reads (format 0.0.4)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(samples))
    return generate_latest(registry).decode("utf-8")
