"""A refusal becomes a page for people, JSON for programs; what nobody foresaw becomes a 500 with an id in the log."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import flask
import structlog
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from models.errors import DatabaseAway, NotSignedIn, RateLimited, Refusal
from webapp.metrics import ERRORS

log = structlog.get_logger("errors")

CODES = {
    400: "malformed",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "wrong_state",
    413: "too_large",
    415: "malformed",
    422: "invalid",
    429: "rate_limited",
    503: "database_away",
}
SENTENCES = {
    400: "The request could not be read.",
    404: "This is no address of this hub. Check it.",
    405: "This address does not answer to that method.",
    413: "The request is too large: 1 MiB is the limit.",
    415: "Send JSON, with Content-Type: application/json.",
}


def install(app: flask.Flask) -> None:
    """Registers the handlers."""
    app.register_error_handler(Refusal, refused)
    app.register_error_handler(CSRFError, form_too_old)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(Exception, unforeseen)


def is_api() -> bool:
    """Whether the caller is a program that reads JSON."""
    return flask.request.path.startswith("/api/")


def refused(refusal: Refusal) -> Response:
    """The answer to a refusal: its own status, code and sentence."""
    if isinstance(refusal, DatabaseAway):
        log.warning("database_away", path=flask.request.path)
    response = answer(refusal.status, sentence_of(refusal), refusal.code, refusal.more)
    if isinstance(refusal, RateLimited):
        response.headers["Retry-After"] = str(refusal.retry_after)
    if isinstance(refusal, DatabaseAway):
        response.headers["Retry-After"] = "2"
    if isinstance(refusal, NotSignedIn) and is_api():
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def sentence_of(refusal: Refusal) -> str:
    """The refusal in words. A program is told the field too where the sentence leaves it out: it stands by no input."""
    sentence = str(refusal)
    if not is_api() or any(field in sentence for field in refusal.fields):
        return sentence
    return ": ".join([*list(refusal.fields)[:1], sentence])


def form_too_old(error: CSRFError) -> Response:
    """A form without a valid CSRF token."""
    return answer(400, "This form is too old or came from elsewhere. Load the page again and repeat it.", "malformed")


def http_error(error: HTTPException) -> Response:
    """What Flask itself refuses: unknown paths, methods, bodies that are too large."""
    if error.response is not None:
        return cast(Response, error.response)
    status = error.code or 500
    response = answer(status, SENTENCES.get(status, error.description or error.name), CODES.get(status, "invalid"))
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def unforeseen(error: Exception) -> Response:
    """A fault of ours. The person gets an id to quote, the log gets the trace under the same id."""
    id = uuid.uuid4().hex[:8]
    ERRORS.inc()
    log.exception("unforeseen_error", id=id, path=flask.request.path, method=flask.request.method)
    return answer(500, f"Something here is broken. It was logged as {id}.", "broken")


def answer(status: int, sentence: str, code: str, more: Mapping[str, Any] = MappingProxyType({})) -> Response:
    """The same sentence as JSON (with what programs are told besides) or as a page."""
    wants = flask.request.accept_mimetypes.best_match(["text/html", "application/json"])
    if is_api() or wants == "application/json":
        return flask.make_response({"error": sentence, "code": code, **more}, status)
    page = flask.render_template("error.html", status=status, sentence=sentence, code=code)
    return flask.make_response(page, status)
