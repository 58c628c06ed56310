"""In and out. argon2 runs in a thread of the pool, between two short transactions."""

import contextlib
from datetime import timedelta
from urllib.parse import urlsplit

import flask
import structlog
from flask_login import current_user, login_user, logout_user
from sqlalchemy.orm import Session

from models import passwords
from models.base import database_time
from models.browser import Browser
from models.database import transaction
from models.errors import NotFound, RateLimited
from models.sign_in_attempt import SignInAttempt
from models.user import User
from webapp import auth, words
from webapp.acting import acted
from webapp.hub import hub
from webapp.pages.forms import Form, answer, go_to

log = structlog.get_logger("sign_in")
blueprint = flask.Blueprint("sign_in", __name__)

WRONG = "Email and password do not match."


@blueprint.get("/sign-in")
def form() -> flask.Response:
    """The form; with no account at all, where to find the link that makes one."""
    if current_user.is_authenticated:
        return flask.make_response(flask.redirect(auth.local_path(flask.request.args.get("next")), 303))
    with transaction() as session:
        if not User.any(session):
            return answer("first_run/no_account.html")
    return page(Form(next=flask.request.args.get("next"), email=""), signed_out="signed_out" in flask.request.args)


@blueprint.post("/sign-in")
def enter() -> flask.Response:
    """Lets a person in whose password fits."""
    given = Form.posted("email", "password", "next")
    email = given["email"].strip().lower()
    try:
        user, left = judge(email, given["password"])
    except RateLimited as refusal:
        return too_many(given, refusal)
    if user is None:
        given.errors["password"] = WRONG
        return page(given, 422, hint=tries_left(left))
    let_in(user)
    log.info("signed_in", user=user.id, address=auth.address())
    return flask.make_response(flask.redirect(auth.local_path(given["next"]), 303))


@blueprint.post("/sign-out")
def leave() -> flask.Response:
    """Ends this browser's cookie; its other pages are told, and come back as nobody."""
    if current_user.is_authenticated:
        with transaction() as session:
            with contextlib.suppress(NotFound):  # signed out elsewhere a moment ago
                Browser.end(session, again(session), auth.browser_id(), database_time(session))
            acted(session, auth.person(), "signed_out", "signed out.")
    logout_user()
    flask.session.clear()
    return go_to("sign_in.form", signed_out="yes")


def again(session: Session) -> User:
    """The person who asks, as a row of this transaction."""
    return session.get_one(User, auth.person().id)


def judge(email: str, password: str) -> tuple[User | None, int]:
    """The person whose email and password these are, and how many tries are left. Raises RateLimited.

    It takes equally long whether or not there is such a person.
    """
    with transaction() as session:
        attempt, left = SignInAttempt.begin(session, email, auth.address(), database_time(session))
        user = User.by_email(session, email)
    if not auth.password_fits(user, password) or user is None:
        log.info("sign_in_failed", address=auth.address(), left=left)
        return None, left
    newer = auth.in_thread(rehashed, user.password_hash, password)
    with transaction() as session:
        SignInAttempt.take_back(session, attempt.id)
        found = User.by_id(session, user.id)
        if found is None or found.password_hash != user.password_hash:
            return None, left  # changed while we judged
        found.password_hash = newer or found.password_hash
    return found, left


def rehashed(password_hash: str, password: str) -> str | None:
    """The password's hash with today's parameters; None when it has them already."""
    return passwords.hash_password(password) if passwords.needs_rehash(password_hash) else None


def let_in(user: User) -> None:
    """Signs this browser in with a session that begins now: nothing of an earlier one, of whomever, lives on."""
    with transaction() as session:
        browser = Browser.begin(session, user, auth.address(), flask.request.headers.get("User-Agent", ""))
        acted(session, user, "signed_in", "signed in.")
    flask.session.clear()
    flask.session.permanent = True
    login_user(auth.SignedIn(user, browser.id))


def page(given: Form, status: int = 200, **context: object) -> flask.Response:
    """The sign-in page with what was typed."""
    error = given.errors.get("password")
    name = urlsplit(hub().config.public_url).netloc
    return answer(
        "sign_in/sign_in.html", status, hub=name, email=given["email"], next=given["next"], error=error, **context
    )


def too_many(given: Form, refusal: RateLimited) -> flask.Response:
    """Nobody is let in from there for a while, whatever the password."""
    log.warning("sign_in_blocked", address=auth.address(), retry_after=refusal.retry_after)
    wait = words.span(timedelta(seconds=refusal.retry_after))
    response = page(given, 429, blocked=f"Too many tries for this account. Try again in {wait}.")
    response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def tries_left(left: int) -> str:
    """How often a person may try on."""
    return words.plural(left, "One try is left for five minutes.", "{Word} tries are left for five minutes.")
