"""What every request is checked for and every page carries: the Host it was sent to, and the security headers."""

import flask
from werkzeug.wrappers import Response

from webapp.auth import client
from webapp.errors import answer
from webapp.hub import hub

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self' {sockets}; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def install(app: flask.Flask) -> None:
    """Registers the check before and the headers after each request."""
    app.before_request(check_host)
    app.after_request(add_headers)


def check_host() -> Response | None:
    """Refuses requests for a name that is not ours: somebody may have pointed theirs at this machine."""
    if hub().config.allows_host(flask.request.headers.get("Host")):
        return None
    return answer(421, "This hub does not go by that name. Use the address it was set up for.", "misdirected")


def add_headers(response: Response) -> Response:
    """The headers of every answer. A page is never kept; a static file is asked for again, or an upgrade would mix."""
    # Safari does not count ws: of the same host as 'self'.
    host = flask.request.host if hub().config.allows_host(flask.request.headers.get("Host")) else ""
    sockets = f"ws://{host} wss://{host}" if host else ""
    response.headers.setdefault("Content-Security-Policy", POLICY.format(sockets=sockets))
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if flask.request.endpoint == "static" and response.status_code in (200, 304):
        response.headers["Cache-Control"] = "no-cache"
    else:
        response.headers["Cache-Control"] = "no-store"
    if client().scheme == "https":
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
