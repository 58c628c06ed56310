"""The topics a person may open: their list, a new one, what one is called and whose it is."""

import re
from datetime import UTC, datetime
from typing import Any

import flask
from sqlalchemy.orm import Session

from models import overview
from models.agent import Agent
from models.base import database_time
from models.creative import Creative, Level
from models.database import reading, transaction
from models.errors import Invalid, NotFound
from models.topic import Topic
from models.user import Role, User
from webapp import avatars, words
from webapp.acting import acted
from webapp.auth import at_least, person, signed_in
from webapp.pages import excerpt
from webapp.pages.forms import Form, answer, go_to

PAGE = 50
INBOX = "inbox"
KEY = re.compile(r"(\d{1,18})-(\d{1,16})")

blueprint = flask.Blueprint("topics", __name__)


# -- the list --------------------------------------------------------------------------------------------------------


@blueprint.get("/topics")
@signed_in
def index() -> flask.Response:
    """Newest activity first; `?archived=yes` shows those that were put away, `?before=<key>` those further back."""
    user, archived = person(), flask.request.args.get("archived") == "yes"
    with reading() as session:
        rows = page_of_topics(session, user, archived, flask.request.args.get("before", ""))
    more, rows = len(rows) > PAGE, rows[:PAGE]
    kept = "archived=yes&" if archived else ""
    return answer(
        "topics/topics.html",
        lead=lead(rows, archived),
        topics=[shown(row) for row in rows],
        tabs=[
            {"href": "/topics", "label": "Open", "current": not archived},
            {"href": "/topics?archived=yes", "label": "Archived", "current": archived},
        ],
        next=f"/topics?{kept}before={key(rows[-1])}" if more else None,
        archived=archived,
        may_create=user.is_at_least(Role.MEMBER),
        refresh_on="topics",
    )


def page_of_topics(session: Session, user: User, archived: bool, before: str) -> list[Any]:
    """One more row than a page has, from the key on."""
    found = KEY.fullmatch(before)
    if found is not None and int(found[1]) >= 4e15:
        return []
    behind = None if found is None else (datetime.fromtimestamp(int(found[1]) / 1e6, UTC), int(found[2]))
    return list(overview.page_of_topics(session, user.id, PAGE + 1, archived=archived, before=behind))


def key(row: Any) -> str:
    """Where the next page begins: behind this row."""
    return f"{round(row.at.timestamp() * 1e6)}-{row.id}"


def lead(rows: list[Any], archived: bool) -> str | None:
    """The page's question in a sentence."""
    if archived or not rows:
        return None
    new = sum(row.unread > 0 for row in rows)
    if new == 0:
        return "Nothing new. You have read everything here."
    return words.plural(new, "One topic has something new.", "{Word} topics have something new.")


def shown(row: Any) -> dict[str, Any]:
    """A row as topics/topics.html wants it."""
    agent = (
        {"name": row.agent_name, "initials": avatars.initials("agent", row.primary_agent_id, row.agent_name)}
        if row.agent_name
        else None
    )
    said = excerpt.plain(row.last_html)
    return {
        "id": row.id,
        "name": row.name,
        "creative": row.creative_name,
        "agent": agent,
        "unread": row.unread,
        "last_at": row.at if row.last_message_id else None,
        "last_words": f"{row.last_author}: {said}" if said else None,
        "lamp": {"state": "working", "word": "Working"} if row.working else None,
    }


# -- a new one -------------------------------------------------------------------------------------------------------


@blueprint.get("/topics/new")
@at_least(Role.MEMBER)
def new() -> flask.Response:
    """The form of a new topic."""
    return new_form(Form(name="", creative_id=flask.request.args.get("creative", INBOX), primary_agent_id=""))


@blueprint.post("/topics/new")
@at_least(Role.MEMBER)
def create() -> flask.Response:
    """Makes it and opens it."""
    form, user = Form.posted("name", "creative_id", "primary_agent_id"), person()
    try:
        with transaction() as session:
            creative = chosen_creative(session, user, form["creative_id"])
            topic = Topic.create(session, creative, form["name"], chosen_agent(form["primary_agent_id"]))
            acted(session, user, "topic_made", f"made the topic {topic.name}.", topic_id=topic.id)
    except Invalid as refusal:
        return new_form(form.refused(refusal), 422)
    return go_to("topic.show", id=topic.id)


def new_form(form: Form, status: int = 200) -> flask.Response:
    """The page, with where a topic may be made and which agents there are."""
    user = person()
    with transaction() as session:
        places = [(INBOX, "Your inbox, for you alone")]
        places += [(str(row.id), row.name) for row in session.execute(overview.writable_creatives(user.id))]
        agents = session.scalars(Agent.visible_to(user.id).order_by(Agent.handle)).all()
    return answer("topics/new.html", status, form=form, places=places, agents=choices(agents))


def chosen_creative(session: Session, user: User, given: str) -> Creative:
    """The creative that was chosen, if the person may write there. Raises Invalid (creative_id) or Forbidden."""
    if given in ("", INBOX):
        return Creative.inbox_of(session, user.id)
    try:
        creative = Creative.seen_by(session, user, int(given) if given.isdecimal() and len(given) < 16 else 0)
    except NotFound:
        raise Invalid(creative_id="Choose one of the creatives in the list.") from None
    creative.require(session, user, Level.FEEDBACK)
    return creative


def chosen_agent(given: str) -> int | None:
    """The id of the agent that was chosen, None for none. Raises Invalid (primary_agent_id)."""
    if given == "":
        return None
    if not given.isdecimal() or len(given) > 15:
        raise Invalid(primary_agent_id="Choose one of the agents in the list.")
    return int(given)


def choices(agents: Any) -> list[tuple[str, str]]:
    """Agents as the options of a select."""
    return [("", "No agent of its own"), *((str(agent.id), agent.handle) for agent in agents)]


# -- what one is called, and whose it is -----------------------------------------------------------------------------


@blueprint.get("/topics/<int:id>/edit")
@signed_in
def edit(id: int) -> flask.Response:
    """The form that renames a topic, gives it an agent, or puts it away."""
    with transaction() as session:
        topic = changeable(session, person(), id)
    return edit_form(id, Form(name=topic.name, primary_agent_id=topic.primary_agent_id or ""))


@blueprint.post("/topics/<int:id>/edit")
@signed_in
def change(id: int) -> flask.Response:
    """Saves name and agent."""
    form = Form.posted("name", "primary_agent_id")
    try:
        with transaction() as session:
            topic = changeable(session, person(), id, lock=True)
            topic.set_primary_agent(session, chosen_agent(form["primary_agent_id"]))
            topic.rename(session, form["name"])
            acted(session, person(), "topic_changed", f"changed the topic {topic.name}.", topic_id=id)
    except Invalid as refusal:
        return edit_form(id, form.refused(refusal), 422)
    return go_to("topic.show", id=id)


@blueprint.post("/topics/<int:id>/archive")
@signed_in
def archive(id: int) -> flask.Response:
    """Puts a topic away (`archived=yes`), or takes it out again."""
    with transaction() as session:
        topic = changeable(session, person(), id, lock=True)
        topic.archive(session, flask.request.form.get("archived") == "yes", database_time(session))
        did = "archived" if topic.archived else "took out again"
        acted(session, person(), "topic_changed", f"{did} the topic {topic.name}.", topic_id=id)
    return go_to("topics.index") if topic.archived else go_to("topic.show", id=id)


def changeable(session: Session, user: User, id: int, lock: bool = False) -> Topic:
    """The topic, if the person may write in it. Raises NotFound or Forbidden."""
    topic = Topic.seen_by(session, user, id)
    topic.creative(session).require(session, user, Level.FEEDBACK)
    return (Topic.locked(session, id) or topic) if lock else topic


def edit_form(id: int, form: Form, status: int = 200) -> flask.Response:
    """The page, with the agents that may work in this topic."""
    with transaction() as session:
        topic = changeable(session, person(), id)
        agents = session.scalars(Agent.usable_in(topic.creative_id)).all()
    return answer("topics/edit.html", status, topic=topic, form=form, agents=choices(agents))
