"""Who belongs to this hub: roles, invitations, password links, removal. For admins."""

import flask
import structlog
from sqlalchemy.orm import Session

from models import access, further, membership, withdrawal
from models.access_token import AccessToken
from models.agent import Agent
from models.base import database_time
from models.browser import Browser
from models.database import reading, transaction
from models.errors import Forbidden, Invalid, NameTaken, NotFound, WrongState
from models.one_time_link import OneTimeLink
from models.user import Role, User
from webapp import auth, avatars, words
from webapp.acting import acted
from webapp.advance import advance_due_topics
from webapp.hub import hub
from webapp.pages.activity import as_id
from webapp.pages.forms import Form, answer, go_to

log = structlog.get_logger("people")
blueprint = flask.Blueprint("people", __name__)

MOST_AGENTS = 100
PAGE = 200
ROLES = [
    (Role.VIEWER, "Viewer: may read what is shared with them"),
    (Role.MEMBER, "Member: may write, and connect agents"),
    (Role.APPROVER, "Approver: may also decide approvals"),
    (Role.OPERATOR, "Operator: may also run gateways"),
    (Role.ADMIN, "Admin: may do everything, and manage people"),
]


@blueprint.get("/people")
@auth.at_least(Role.ADMIN)
def people() -> flask.Response:
    """Members, open invitations, and the form to invite."""
    return show_all()


@blueprint.post("/people/invitations")
@auth.at_least(Role.ADMIN)
def invite() -> flask.Response:
    """Makes an invitation; the answer itself shows its link, once."""
    form = Form.posted("email", "role")
    try:
        with transaction() as session:
            now = database_time(session)
            link, secret = OneTimeLink.invite(session, form["email"], form["role"], auth.person(), now)
            acted(session, auth.person(), "invited", f"invited {link.email} as {words.one(link.role)}.")
    except (Invalid, NameTaken) as refusal:
        return show_all(422, form.refused(refusal))
    log.info("invited", link=link.id, by=auth.person().id)
    address = hub().config.public_url + flask.url_for("first_run.invitation", secret=secret)
    return answer("people/invited.html", 201, link=link, address=address)


@blueprint.post("/people/invitations/<int:id>/take-back")
@auth.at_least(Role.ADMIN)
def take_back(id: int) -> flask.Response:
    """Ends an invitation nobody has used."""
    with transaction() as session:
        OneTimeLink.take_back(session, id)
        acted(session, auth.person(), "invitation_taken_back", "took back an invitation.")
    return go_to("people.people")


@blueprint.get("/people/<int:id>")
@auth.at_least(Role.ADMIN)
def person(id: int) -> flask.Response:
    """One person: role, password link, removal."""
    return show_one(id)


@blueprint.post("/people/<int:id>/role")
@auth.at_least(Role.ADMIN)
def change_role(id: int) -> flask.Response:
    """Gives another role; the last admin stays one."""
    form = Form.posted("role")
    try:
        with transaction() as session:
            user = find(session, id)
            membership.change_role(session, user, form["role"])
            withdrawal.end_work(session, user.id, database_time(session))
            acted(session, auth.person(), "role_changed", f"made {user.name} {form['role']}.")
    except (Invalid, WrongState) as refusal:
        return show_one(id, 422, form.refused(Invalid(role=str(refusal))))
    advance_due_topics()
    log.info("role_changed", user=id, role=form["role"], by=auth.person().id)
    flask.flash(f"{user.name} is {form['role']} now.")
    return go_to("people.people")


@blueprint.post("/people/<int:id>/reset")
@auth.at_least(Role.ADMIN)
def reset(id: int) -> flask.Response:
    """Makes a link by which the person sets a new password; the answer itself shows it, once."""
    with transaction() as session:
        user = find(session, id)
        link, secret = OneTimeLink.reset(session, user, auth.person(), database_time(session))
        acted(session, auth.person(), "reset_link_made", f"made a link for a new password of {user.name}.")
    log.info("reset_link_made", user=id, by=auth.person().id)
    address = hub().config.public_url + flask.url_for("first_run.reset", secret=secret)
    return answer("people/reset.html", 201, user=user, link=link, address=address)


@blueprint.post("/people/<int:id>/browsers/<int:browser_id>/sign-out")
@auth.at_least(Role.ADMIN)
def sign_out(id: int, browser_id: int) -> flask.Response:
    """Ends one cookie of the person."""
    with transaction() as session:
        user = find(session, id)
        Browser.end(session, user, browser_id, database_time(session))
        acted(session, auth.person(), "browser_signed_out", f"signed out a browser of {user.name}.")
    return go_to("people.person", id=id)


@blueprint.get("/people/<int:id>/remove")
@auth.at_least(Role.ADMIN)
def ask(id: int) -> flask.Response:
    """Names what is lost."""
    return show_loss(id)


@blueprint.post("/people/<int:id>/remove")
@auth.at_least(Role.ADMIN)
def remove(id: int) -> flask.Response:
    """Ends the account. Oneself is removed by another admin only."""
    try:
        with transaction() as session:
            user = somebody_else(find(session, id))
            name = user.name
            membership.remove(session, user, database_time(session))
            acted(session, auth.person(), "person_removed", f"removed {name}.")
    except WrongState as refusal:
        return show_loss(id, 409, str(refusal))
    advance_due_topics()
    log.info("person_removed", user=id, by=auth.person().id)
    flask.flash(f"{name} is removed.")
    return go_to("people.people")


def find(session: Session, id: int) -> User:
    """The person. Raises NotFound."""
    user = User.by_id(session, id)
    if user is None:
        raise NotFound("There is no such person here.")
    return user


def somebody_else(user: User) -> User:
    """The person, who is not the one who asks. Raises Forbidden."""
    if user.id == auth.person().id:
        raise Forbidden("Nobody removes themselves. Ask another admin of this hub.")
    return user


def show_all(status: int = 200, form: Form | None = None) -> flask.Response:
    """The list, from `?after=<id>` on; `form` is an invitation that was refused."""
    after = as_id(flask.request.args.get("after", ""))
    with reading() as session:
        now = database_time(session)
        found = further.people(session, after, PAGE + 1)
        invitations = OneTimeLink.open_invitations(session, now)
    members, more = found[:PAGE], len(found) > PAGE
    shown = form or Form(email="", role=Role.MEMBER)
    pairs = {user.id: avatars.initials("user", user.id, user.name) for user in members}
    return answer(
        "people/people.html",
        status,
        members=members,
        whole=after is None and not more,
        next=f"/people?after={members[-1].id}" if more else None,
        initials=pairs,
        invitations=invitations,
        form=shown,
        roles=ROLES,
    )


def show_one(id: int, status: int = 200, form: Form | None = None) -> flask.Response:
    """One person; `form` is a role that was refused."""
    with transaction() as session:
        user, now = find(session, id), database_time(session)
        browsers = Browser.of(session, user, now)
        tokens = [token for token in AccessToken.of(session, user) if token.is_valid(now)]
        agents = session.scalars(access.agents_of(user).limit(MOST_AGENTS)).all()
        mine = Agent.visible_to(auth.person().id).where(Agent.id.in_([agent.id for agent in agents]))
        seen = {agent.id for agent in session.scalars(mine)}
    return answer(
        "people/person.html",
        status,
        user=user,
        form=form or Form(role=user.role),
        roles=ROLES,
        browsers=browsers,
        tokens=tokens,
        agents=agents,
        seen=seen,
        gateways=user.is_at_least(Role.OPERATOR),
    )


def show_loss(id: int, status: int = 200, refused: str | None = None) -> flask.Response:
    """What removing this person means."""
    with transaction() as session:
        user = somebody_else(find(session, id))
        loss = membership.loss(session, user, database_time(session))
    return answer("people/remove.html", status, user=user, loss=loss, refused=refused)
