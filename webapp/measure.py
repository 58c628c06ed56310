"""What this process measures for /metrics: how long requests take, by route, and what lives here."""

import time
from typing import Any

import flask
from werkzeug.wrappers import Response

from models.database import Database
from webapp import metrics
from webapp.hub import Hub
from webapp.metrics import REQUESTS


def install(app: flask.Flask) -> None:
    """Takes the time of every request but the cable's, which lasts as long as its socket."""
    app.before_request(begin)
    app.after_request(note)


def begin() -> None:
    """Notes when the request began."""
    flask.g.began = time.monotonic()


def note(response: Response) -> Response:
    """Counts the request under its route's pattern, never its path: paths are many, and hold secrets."""
    began = flask.g.get("began")
    if began is not None and response.status_code != 101:
        route = flask.request.url_rule.rule if flask.request.url_rule else "none"
        REQUESTS.labels(flask.request.method, route, str(response.status_code)).observe(time.monotonic() - began)
    return response


def figures(here: Hub) -> dict[str, Any]:
    """All that this process has counted, with what is not counted as it happens brought up to date."""
    sockets = here.sockets.figures()
    metrics.SOCKETS_OPEN.set(sockets["connections"])
    metrics.SUBSCRIPTIONS.set(sockets["subscriptions"])
    for name, count in sockets.items():
        if name.startswith("ended_"):
            metrics.SOCKETS_ENDED.labels(name.removeprefix("ended_")).set(count)
    metrics.BROADCASTS.set(here.streams.heard_total)
    metrics.LISTENING.set(here.streams.listening)
    metrics.DATABASE_REPEATS.set(Database.repeats)
    return metrics.snapshot()
