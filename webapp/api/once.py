"""Idempotency keys: a write that is repeated with the same key is answered as the first one was, and not done again."""

import hashlib
from collections.abc import Callable

import flask
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from models import broadcast
from models.access_token import AccessToken
from models.base import database_time
from models.errors import Refusal
from models.idempotency_key import IdempotencyKey
from webapp.errors import refused


def answer(
    session: Session, token: AccessToken, key: str, work: Callable[[], Response], *, goes_on: bool = False
) -> Response:
    """What the first request with this key answered, or what `work` does, kept in the same transaction.

    `goes_on`: `begun` was its first half. A refusal undoes the work and is kept as well; a failure of ours is not: it
    ends the transaction, and with it the claim to the key. Raises Invalid for another request under the same key,
    Conflict while the first still runs.
    """
    replayed = _kept(session, token, key, goes_on)
    return _keep(session, token, key, _done(session, work)) if replayed is None else replayed


def begun(session: Session, token: AccessToken, key: str, work: Callable[[], None]) -> Response | None:
    """The beginning of a write that `answer` ends in a later transaction: what the first request with this key
    answered, or a refusal of `work`, which is kept; None when all is well so far. Raises like `answer`.
    """
    replayed = _kept(session, token, key)
    if replayed is not None:
        return replayed
    try:
        with session.begin_nested():
            work()
    except Refusal as refusal:
        return _keep(session, token, key, _refused(session, refusal))
    IdempotencyKey.begun(session, token.id, key, digest())
    return None


def _kept(session: Session, token: AccessToken, key: str, goes_on: bool = False) -> Response | None:
    """What the first request with this key answered; None when this one is the first. Raises like `answer`."""
    found = IdempotencyKey.claim(session, token.id, key, digest(), database_time(session), goes_on=goes_on)
    if found is None:
        return None
    response: Response = flask.Response(found.body, found.status, mimetype="application/json" if found.body else None)
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _done(session: Session, work: Callable[[], Response]) -> Response:
    try:
        with session.begin_nested():
            return work()
    except Refusal as refusal:
        return _refused(session, refusal)


def _refused(session: Session, refusal: Refusal) -> Response:
    """The answer to a refusal, which is kept; a failure of ours is raised again."""
    if refusal.status >= 500:
        raise refusal
    broadcast.forget(session)
    return refused(refusal)


def _keep(session: Session, token: AccessToken, key: str, response: Response) -> Response:
    IdempotencyKey.answered(session, token.id, key, digest(), response.status_code, response.get_data())
    return response


def digest() -> str:
    """What tells two requests under one key apart: method, path, query and body."""
    request = flask.request
    head = f"{request.method} {request.full_path}\n".encode("utf-8", "surrogateescape")
    return hashlib.sha256(head + request.get_data()).hexdigest()
