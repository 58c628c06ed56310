"""A person's access tokens: made and shown once, revoked. No URL and no cookie ever holds one."""

import flask

from models.access_token import AccessToken
from models.base import database_time
from models.database import transaction
from models.errors import Invalid
from webapp import auth
from webapp.acting import acted
from webapp.hub import hub
from webapp.pages.forms import Form, answer, go_to
from webapp.pages.settings import LIFETIMES, me, show

blueprint = flask.Blueprint("tokens", __name__)


@blueprint.get("/settings/tokens")
@auth.signed_in
def tokens() -> flask.Response:
    """Who loads the page of a new token again comes to the list: the token is not shown twice."""
    return go_to("settings.settings", _anchor="tokens")


@blueprint.post("/settings/tokens")
@auth.signed_in
def make() -> flask.Response:
    """Makes a token; the answer itself is the page that shows it, so that it is nowhere but there."""
    form = Form.posted("label", "days")
    try:
        days = form.check(lifetime, form["days"])
        form.raise_problems()
        with transaction() as session:
            token, text = AccessToken.create(session, me(session), form["label"], database_time(session), days)
            acted(session, auth.person(), "token_made", f"made the access token {token.label}.")
    except Invalid as refusal:
        return show(422, token=form.refused(refusal))
    return answer("settings/token.html", 201, token=token, text=text, address=hub().config.public_url)


@blueprint.get("/settings/tokens/<int:id>/revoke")
@auth.signed_in
def ask(id: int) -> flask.Response:
    """Names what ends."""
    with transaction() as session:
        token = AccessToken.owned_by(session, auth.person(), id)
    return answer("settings/revoke.html", token=token)


@blueprint.post("/settings/tokens/<int:id>/revoke")
@auth.signed_in
def revoke(id: int) -> flask.Response:
    """Ends the token and what is connected by it."""
    with transaction() as session:
        token = AccessToken.owned_by(session, auth.person(), id)
        token.revoke(database_time(session))
        acted(session, auth.person(), "token_revoked", f"revoked the access token {token.label}.")
    flask.flash(f"{token.label} is revoked.")
    return go_to("settings.settings", _anchor="tokens")


def lifetime(text: str) -> int | None:
    """Days, or None for never. Raises Invalid (days)."""
    if text not in dict(LIFETIMES):
        raise Invalid(days="Choose one of the lifetimes.")
    return int(text) if text else None
