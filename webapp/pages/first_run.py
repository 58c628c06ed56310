"""Links that work once: the first account of a hub, an invitation, a new password."""

from datetime import datetime

import flask
import structlog
from sqlalchemy.orm import Session

from models import passwords
from models.base import database_time
from models.database import transaction
from models.errors import Invalid, NameTaken, NotFound
from models.one_time_link import LinkKind, OneTimeLink
from models.user import User, check_email, check_name
from webapp import auth, words
from webapp.acting import acted
from webapp.pages.forms import Form, answer
from webapp.pages.sign_in import let_in

log = structlog.get_logger("sign_in")
blueprint = flask.Blueprint("first_run", __name__)

LOST = {
    LinkKind.SET_UP: "This link has ended. While there is no account, a restart of the hub prints a new one.",
    LinkKind.INVITATION: "This invitation was used, taken back or has expired. Ask an admin here for a new one.",
    LinkKind.RESET: "This link was used or has expired. Ask an admin here for a new one.",
}


@blueprint.get("/set-up/<secret>")
def set_up(secret: str) -> flask.Response:
    """The form that makes the first account."""
    return answer("first_run/set_up.html", form=Form(), link=find(LinkKind.SET_UP, secret), secret=secret)


@blueprint.post("/set-up/<secret>")
def make_admin(secret: str) -> flask.Response:
    """Makes the first account, an admin's, and signs it in."""
    link = find(LinkKind.SET_UP, secret)
    return join(link, secret, Form.posted("name", "email", "password"), "first_run/set_up.html")


@blueprint.get("/invitation/<secret>")
def invitation(secret: str) -> flask.Response:
    """The form by which somebody who was invited makes an account."""
    return answer("first_run/invitation.html", form=Form(), link=find(LinkKind.INVITATION, secret), secret=secret)


@blueprint.post("/invitation/<secret>")
def accept(secret: str) -> flask.Response:
    """Makes the account and signs it in."""
    link = find(LinkKind.INVITATION, secret)
    return join(link, secret, Form.posted("name", "password"), "first_run/invitation.html")


@blueprint.get("/reset/<secret>")
def reset(secret: str) -> flask.Response:
    """The form for a new password."""
    return answer("first_run/reset.html", form=Form(), user=forgetful(secret), secret=secret)


@blueprint.post("/reset/<secret>")
def change_password(secret: str) -> flask.Response:
    """Sets the new password, ends all sessions of this person, and signs this browser in."""
    user = forgetful(secret)
    form = Form.posted("password")
    try:
        password_hash = new_password(form, user.email)
    except Invalid as refusal:
        return answer("first_run/reset.html", 422, form=form.refused(refusal), user=user, secret=secret)
    with transaction() as session:
        now = database_time(session)
        link = usable(session, LinkKind.RESET, secret, now, lock=True)
        user = owner(session, link)
        user.set_password(password_hash)
        link.use(now)
        acted(session, user, "password_changed", "set a new password by a link.")
    return welcome(user, "password_reset")


def forgetful(secret: str) -> User:
    """Whose password a link resets. Raises NotFound."""
    with transaction() as session:
        return owner(session, usable(session, LinkKind.RESET, secret, database_time(session)))


def owner(session: Session, link: OneTimeLink) -> User:
    """Whom a reset link was made for. Raises NotFound."""
    user = User.by_id(session, link.user_id or 0)
    if user is None:
        raise NotFound("The account this link belongs to was removed.")
    return user


def find(kind: LinkKind, secret: str) -> OneTimeLink:
    """The link, still unused. Raises NotFound, saying how one gets a new one."""
    with transaction() as session:
        return usable(session, kind, secret, database_time(session))


def usable(session: Session, kind: LinkKind, secret: str, now: datetime, lock: bool = False) -> OneTimeLink:
    """The link; locked, so that this transaction alone uses it. Raises NotFound."""
    try:
        link = OneTimeLink.find(session, kind, secret, now, lock)
    except NotFound:
        raise NotFound(LOST[kind]) from None
    if kind is LinkKind.SET_UP and User.any(session):  # made on the command line meanwhile
        raise NotFound("This hub has an account already, so this link has ended. Sign in.")
    return link


def join(found: OneTimeLink, secret: str, form: Form, template: str) -> flask.Response:
    """Makes the account that a link stands for; the address is the one invited, else the one that was typed."""
    try:
        form.check(check_name, form["name"])
        email = found.email or form.check(check_email, form["email"]) or ""
        password_hash = new_password(form, email)
        with transaction() as session:
            now = database_time(session)
            link = usable(session, LinkKind(found.kind), secret, now, lock=True)
            user = User.create(session, email, form["name"], link.role, password_hash)
            link.use(now)
            acted(session, user, "account_made", f"made an account, as {words.one(user.role)}.")
    except (Invalid, NameTaken) as refusal:
        return answer(template, 422, form=form.refused(refusal), link=found, secret=secret)
    return welcome(user, "account_made")


def new_password(form: Form, email: str = "") -> str:
    """The hash of the form's new password, once all its fields are in order. Raises Invalid."""
    form.check(passwords.check_password, form["password"], email)
    form.raise_problems()
    return auth.in_thread(passwords.hash_password, form["password"])


def welcome(user: User, event: str) -> flask.Response:
    """Signs in and goes home."""
    let_in(user)
    log.info(event, user=user.id, address=auth.address())
    return flask.make_response(flask.redirect("/", 303))
