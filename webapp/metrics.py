"""What is counted, in Prometheus' words. Counters live in each process; what rows know is read when somebody asks."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

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
TASKS = Gauge("switchyard_tasks", "Tasks that are not finished, by status.", ["status"], registry=REGISTRY)
PRESENCE = Gauge("switchyard_presence", "Presence rows, by state.", ["state"], registry=REGISTRY)


def render() -> bytes:
    """The text that a scraper reads."""
    return generate_latest(REGISTRY)
