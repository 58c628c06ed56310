"""What is counted, in Prometheus' words, over all processes of the hub.

Counters live in each process, which leaves a `snapshot` on its row; whoever is asked shows them all, each under the
label `process`: a sum would fall whenever a process ends. What rows know is read when somebody asks, and has no label.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric

REGISTRY = CollectorRegistry()
OF_ALL = CollectorRegistry()

Snapshot = Mapping[str, Any]

REQUESTS = Histogram(
    "switchyard_request_seconds",
    "Time to answer a request, by route and status.",
    ["method", "route", "status"],
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SOCKETS_OPEN = Gauge("switchyard_sockets_open", "Cable connections that live here.", registry=REGISTRY)
SUBSCRIPTIONS = Gauge("switchyard_subscriptions", "Subscriptions of these connections.", registry=REGISTRY)
SOCKETS_ENDED = Gauge("switchyard_sockets_ended", "Connections that have ended, by reason.", ["why"], registry=REGISTRY)
BROADCASTS = Gauge("switchyard_broadcasts_heard", "Broadcasts heard since the start.", registry=REGISTRY)
LISTENING = Gauge("switchyard_listening", "1 while the database's notifications are heard.", registry=REGISTRY)
DISPATCHES = Counter("switchyard_dispatches_sent", "Dispatches that a socket took.", registry=REGISTRY)
DATABASE_REPEATS = Gauge(
    "switchyard_transactions_repeated", "Transactions repeated after a conflict.", registry=REGISTRY
)
ERRORS = Counter("switchyard_unforeseen_errors", "Requests that ended in an error nobody foresaw.", registry=REGISTRY)
PROCESSES = Gauge("switchyard_processes", "Web processes that were heard lately.", registry=OF_ALL)
TASKS = Gauge("switchyard_tasks", "Tasks that are not finished, by status.", ["status"], registry=OF_ALL)
PRESENCE = Gauge("switchyard_presence", "Presence rows, by state.", ["state"], registry=OF_ALL)


def snapshot() -> dict[str, Any]:
    """What this process has counted, for JSON and small: by name, `shape` of the samples and their values by label."""
    return {family.name: _packed(family) for family in REGISTRY.collect()}


def render(snapshots: Mapping[int, Snapshot]) -> bytes:
    """The text that a scraper reads, from what each process has counted."""
    merged = CollectorRegistry()
    merged.register(_Merged(snapshots))
    return generate_latest(OF_ALL) + generate_latest(merged)


class _Merged:
    """The families that this process knows, with the values of all of them."""

    def __init__(self, snapshots: Mapping[int, Snapshot]) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterator[Metric]:
        for family in REGISTRY.collect():
            merged = Metric(family.name, family.documentation, family.type)
            for process, packed in self._snapshots.items():
                _unpack(packed.get(family.name) or {}, str(process), merged)
            yield merged


def _packed(family: Metric) -> dict[str, Any]:
    """A histogram's child has a dozen values under one set of labels: their names are written down once."""
    shape: dict[tuple[str, str | None], None] = {}
    children: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for sample in family.samples:
        if sample.name.endswith("_created"):
            continue
        shape[sample.name, sample.labels.get("le")] = None
        labels = tuple(pair for pair in sample.labels.items() if pair[0] != "le")
        children.setdefault(labels, []).append(sample.value)
    return {"shape": list(shape), "values": [[dict(labels), values] for labels, values in children.items()]}


def _unpack(packed: Mapping[str, Any], process: str, into: Metric) -> None:
    for labels, values in packed.get("values", ()):
        for (name, bound), value in zip(packed["shape"], values, strict=True):
            limit = {} if bound is None else {"le": bound}
            into.add_sample(name, {"process": process, **labels, **limit}, value)
