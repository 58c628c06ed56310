"""What a person decides about themselves: name, pages, password, where they are signed in, their access tokens."""

from functools import cache
from typing import Any
from zoneinfo import available_timezones

import flask
from flask_login import current_user
from sqlalchemy.orm import Session
from werkzeug.local import LocalProxy

from models import passwords
from models.access_token import AccessToken
from models.base import database_time
from models.browser import Browser
from models.database import reading, transaction
from models.errors import Invalid, NotSignedIn, RateLimited
from models.sign_in_attempt import SignInAttempt
from models.user import DEVICE_ZONE, LOCALES, THEMES, User
from webapp import auth, words
from webapp.acting import acted
from webapp.pages import shell
from webapp.pages.forms import Form, answer, go_to
from webapp.pages.sign_in import judge, let_in, tries_left

blueprint = flask.Blueprint("settings", __name__)

LANGUAGES = list(zip(LOCALES, ("English", "한국어"), strict=True))
LOOKS = [("", "As this device"), *zip(THEMES, ("Light", "Dark"), strict=True)]
LIFETIMES = [("30", "30 days"), ("90", "90 days"), ("365", "365 days"), ("", "Never")]
QUIET = ("settings", "tokens")
EMPTY_PASSWORDS = {"current_password": "", "password": ""}
USUAL_TOKEN = {"label": "", "days": "90"}


@blueprint.app_context_processor
def warn() -> dict[str, Any]:
    """A bar on every other page while there are failed tries to sign in that this person has not seen."""
    if "_login_user" not in flask.g or not current_user.is_authenticated or flask.request.blueprint in QUIET:
        return {}
    return {"notices": LocalProxy(lambda: _failures(auth.person()))}


@blueprint.get("/settings")
@auth.signed_in
def settings() -> flask.Response:
    """Everything on one page."""
    return show()


@blueprint.post("/settings")
@auth.signed_in
def change() -> flask.Response:
    """Name, language, zone, look, keys."""
    form = Form.posted("name", "locale", "zone", "theme", "single_keys")
    try:
        with transaction() as session:
            me(session).change(
                form["name"], form["locale"], form["zone"], form["theme"] or None, form["single_keys"] == "yes"
            )
    except Invalid as refusal:
        return show(422, person=form.refused(refusal))
    flask.flash("Saved.")
    return go_to("settings.settings")


@blueprint.post("/settings/password")
@auth.signed_in
def change_password() -> flask.Response:
    """A new password, for who knows the current one; every other browser is signed out."""
    form = Form.posted("current_password", "password")
    try:
        user, left = judge(auth.person().email, form["current_password"])
        if user is None:
            form.errors["current_password"] = f"This is not your current password. {tries_left(left)}"
        form.check(passwords.check_password, form["password"], auth.person().email)
        form.raise_problems()
    except Invalid as refusal:
        return show(422, password=form.refused(refusal))
    except RateLimited as refusal:
        response = show(429, password=form.refused(refusal))
        response.headers["Retry-After"] = str(refusal.retry_after)
        return response
    password_hash = auth.in_thread(passwords.hash_password, form["password"])
    with transaction() as session:
        changed = me(session)
        changed.set_password(password_hash)
        acted(session, changed, "password_changed", "set a new password.")
    let_in(changed)
    flask.flash("Your password is changed. Every other browser is signed out.")
    return go_to("settings.settings")


@blueprint.post("/settings/sign-out-everywhere")
@auth.signed_in
def sign_out_everywhere() -> flask.Response:
    """Ends every cookie of this person, this browser's too."""
    with transaction() as session:
        Browser.end_all(session, me(session), database_time(session))
        acted(session, auth.person(), "signed_out_everywhere", "signed out every browser.")
    flask.session.clear()
    return go_to("sign_in.form", signed_out="yes")


@blueprint.post("/settings/browsers/<int:id>/sign-out")
@auth.signed_in
def sign_out_browser(id: int) -> flask.Response:
    """Ends one cookie of this person."""
    with transaction() as session:
        Browser.end(session, me(session), id, database_time(session))
        acted(session, auth.person(), "browser_signed_out", "signed out another browser.")
    flask.flash("That browser is signed out.")
    return go_to("settings.settings", _anchor="browsers")


@blueprint.post("/settings/tries")
@auth.signed_in
def mark_seen() -> flask.Response:
    """The person has seen the failed tries."""
    with transaction() as session:
        SignInAttempt.mark_seen(session, auth.person().email, database_time(session))
    return go_to("settings.settings")


def me(session: Session) -> User:
    """The person who asks, to be changed in this transaction. Raises NotSignedIn when they were removed meanwhile."""
    user = User.by_id(session, auth.person().id)
    if user is None:
        raise NotSignedIn("This account was removed.")
    return user


def show(status: int = 200, **refused: Form) -> flask.Response:
    """The page; `person`, `password` or `token` is the form that was refused."""
    with transaction() as session:
        user, now = me(session), database_time(session)
        tokens = [token for token in AccessToken.of(session, user) if token.revoked_at is None]
        tries = SignInAttempt.unseen(session, user.email)
        browsers = Browser.of(session, user, now)
    forms = {
        "person": Form(**{name: getattr(user, name) for name in ("name", "locale", "zone", "theme", "single_keys")}),
        "password": Form(**EMPTY_PASSWORDS),
        "token": Form(**USUAL_TOKEN),
        **refused,
    }
    choices = {"languages": LANGUAGES, "zones": zones(), "looks": LOOKS, "lifetimes": LIFETIMES}
    given = {"tokens": tokens, "tries": tries, "browsers": browsers, "here": auth.browser_id()}
    return answer("settings/settings.html", status, user=user, now=now, **given, **forms, **choices)


@cache  # to list them opens hundreds of files
def zones() -> tuple[tuple[str, str], ...]:
    """The time zones to choose from; the first is for who never chose one."""
    places = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))
    return ((DEVICE_ZONE, "As this device"), *((zone, zone.replace("_", " ")) for zone in places))


def _failures(user: User) -> list[dict[str, Any]]:
    if not shell.seen(user).counts.failures:
        return []
    with reading() as session:
        count, at, address = SignInAttempt.unseen(session, user.email)
    if at is None:
        return []
    strong = words.plural(count, "One try to sign in as you failed.", "{n} tries to sign in as you failed.")
    return [
        {
            "state": "waiting",
            "strong": strong,
            "text": f"The last one came from {address}.",
            "link": {"href": flask.url_for("settings.settings"), "label": "Was that you?"},
        }
    ]
