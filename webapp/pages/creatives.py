"""Creatives: what topics live in, and who may read, write, and change them."""

from typing import Any

import flask
from sqlalchemy.orm import Session

from models import further, overview, withdrawal
from models.base import database_time
from models.creative import Creative, CreativeShare, Level
from models.database import reading, transaction
from models.errors import Invalid, NotFound
from models.user import Role, User
from webapp import avatars, words
from webapp.acting import acted
from webapp.advance import advance_due_topics
from webapp.auth import at_least, person, signed_in
from webapp.pages import topics
from webapp.pages.activity import as_id
from webapp.pages.forms import Form, answer, go_to

MOST = 500
LEVELS = [
    (Level.READ.value, "May read"),
    (Level.FEEDBACK.value, "May read and write"),
    (Level.ADMIN.value, "May also share it"),
]
HELD = {Level.READ: "you may read", Level.FEEDBACK: "you may write", Level.ADMIN: "yours to share"}

blueprint = flask.Blueprint("creatives", __name__)


@blueprint.get("/creatives")
@signed_in
def index() -> flask.Response:
    """All that the person may read, by name; `?after=<id>` goes on."""
    user, after = person(), as_id(flask.request.args.get("after", ""))
    with reading() as session:
        if after is None:
            found = overview.readable_creatives(session, user.id, MOST + 1)
        else:
            found = further.creatives(session, user.id, after, MOST + 1)
    rows, more = found[:MOST], len(found) > MOST
    return answer(
        "creatives/creatives.html",
        lead=opened(len(rows)) if rows and after is None and not more else None,
        next=f"/creatives?after={rows[-1].id}" if more else None,
        creatives=[shown(row, user) for row in rows],
        may_create=user.is_at_least(Role.MEMBER),
        refresh_on="rights topics",
    )


def opened(number: int) -> str:
    """How many there are."""
    return words.plural(number, "One is open to you.", "{Word} are open to you.")


def shown(row: Any, user: User) -> dict[str, Any]:
    """A row of the list."""
    mine = row.owner_id == user.id
    held = "yours" if mine else f"{row.owner_name}’s, {HELD[Level(row.level)]}"
    shared = words.plural(row.people, "shared with one person", "shared with {n} people")
    meta = [
        held,
        words.plural(row.topics, "1 topic", "{n} topics", overview.MOST_COUNTED),
        shared if row.people else "not shared",
    ]
    return {"id": row.id, "name": row.name, "meta": meta}


@blueprint.get("/creatives/new")
@at_least(Role.MEMBER)
def new() -> flask.Response:
    """The form of a new one."""
    return answer("creatives/new.html", form=Form(name=""))


@blueprint.post("/creatives/new")
@at_least(Role.MEMBER)
def create() -> flask.Response:
    """Makes it and opens it."""
    form = Form.posted("name")
    try:
        with transaction() as session:
            creative = Creative.create(session, person(), form["name"])
            acted(session, person(), "creative_made", f"made the creative {creative.name}.")
    except Invalid as refusal:
        return answer("creatives/new.html", 422, form=form.refused(refusal))
    return go_to("creatives.show", id=creative.id)


@blueprint.get("/creatives/<int:id>")
@signed_in
def show(id: int) -> flask.Response:
    """Its topics, who may read it, and, for who may share it, how that is changed."""
    return page(id, Form(email="", level=Level.FEEDBACK.value))


@blueprint.post("/creatives/<int:id>/shares")
@signed_in
def share(id: int) -> flask.Response:
    """Gives a person a right, or changes it."""
    form = Form.posted("email", "level")
    try:
        with transaction() as session:
            creative = administered(session, person(), id)
            who = found(session, form["email"])
            creative.share(session, form["level"], user_id=who.id)
            withdrawal.end_work(session, who.id, database_time(session))
            words = f"gave {who.name} the right {form['level']} on {creative.name}."
            acted(session, person(), "right_given", words)
    except Invalid as refusal:
        return page(id, form.refused(by_email(refusal)), 422)
    advance_due_topics()
    return go_to("creatives.show", id=id)


@blueprint.post("/creatives/<int:id>/shares/<int:share_id>/take-back")
@signed_in
def take_back(id: int, share_id: int) -> flask.Response:
    """Ends a right."""
    with transaction() as session:
        creative = administered(session, person(), id)
        given = session.get(CreativeShare, share_id)
        if given is None or given.creative_id != creative.id:
            raise NotFound("This right was taken back already.")
        creative.unshare(session, given)
        if given.user_id is not None:
            withdrawal.end_work(session, given.user_id, database_time(session))
        who = f"user {given.user_id}" if given.user_id is not None else f"agent {given.agent_id}"
        acted(session, person(), "right_taken", f"took back the right of {who} on {creative.name}.")
    advance_due_topics()
    return go_to("creatives.show", id=id)


def administered(session: Session, user: User, id: int) -> Creative:
    """The creative, if the person may share it. Raises NotFound or Forbidden."""
    creative = Creative.seen_by(session, user, id)
    creative.require(session, user, Level.ADMIN)
    return creative


def found(session: Session, email: str) -> User:
    """The person with this address. Raises Invalid (email)."""
    user = User.by_email(session, email.replace("\x00", ""))
    if user is None:
        raise Invalid(email="Nobody here has this address. An admin can invite them under People.")
    return user


def by_email(refusal: Invalid) -> Invalid:
    """What the model says of the person or the creative, said of the field that was typed into."""
    fields = {"email" if name in ("user_id", "creative_id") else name: words for name, words in refusal.fields.items()}
    return Invalid(**fields)


def page(id: int, form: Form, status: int = 200) -> flask.Response:
    """The page of one creative."""
    user = person()
    with transaction() as session:
        creative = Creative.seen_by(session, user, id)
        may_share = creative.allows(session, user, Level.ADMIN) and not creative.is_inbox
        may_write = creative.allows(session, user, Level.FEEDBACK)
        readers = session.execute(overview.readers(id).limit(MOST)).all()
        if form.errors and not may_share:  # there is no form to say it in
            raise Invalid(" ".join(form.errors.values()))
        rows = overview.page_of_topics(session, user.id, topics.PAGE + 1, within=id)
    return answer(
        "creatives/creative.html",
        status,
        creative=creative,
        topics=[topics.shown(row) for row in rows[: topics.PAGE]],
        more=len(rows) > topics.PAGE,
        people=[member(row, user) for row in readers],
        form=form,
        levels=LEVELS,
        may_share=may_share,
        may_write=may_write,
        refresh_on="rights topics",
    )


def member(row: Any, user: User) -> dict[str, Any]:
    """A person who may read here."""
    right = dict(LEVELS)[row.level].lower() if row.level else "owner"
    return {
        "name": row.name,
        "email": row.email,
        "initials": avatars.initials("user", row.id, row.name),
        "right": f"{right}, you" if row.id == user.id else right,
        "share_id": row.share_id,
        "level": row.level,
    }
