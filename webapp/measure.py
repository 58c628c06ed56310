"""How long requests take, by route: for /metrics."""

import time

import flask
from werkzeug.wrappers import Response

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
