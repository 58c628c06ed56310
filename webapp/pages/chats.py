"""A person's chats: their list, a new one, each as a topic with its seat, and what it is called."""

from typing import Any

import flask
from sqlalchemy.orm import Session

from models import chatting, further, seats
from models.agent import Agent, AgentKind
from models.base import database_time
from models.chat_session import ChatState
from models.chatting import Chosen
from models.database import reading, transaction
from models.errors import Invalid, NotFound, WrongState
from models.topic import Topic
from models.user import Role, User
from webapp.acting import acted
from webapp.advance import advance_due_topics
from webapp.auth import at_least, person, signed_in
from webapp.pages import chat_words, conversation
from webapp.pages.activity import as_id
from webapp.pages.forms import Form, answer, go_to
from webapp.pages.topic import asked_window, mark_read

PAGE = 50
GONE = "There is no such chat, or it is not yours."

blueprint = flask.Blueprint("chats", __name__)


@blueprint.get("/chats")
@signed_in
def index() -> flask.Response:
    """Newest use first; `?archived=yes` shows those that were put away, `?before=<id>` those further back."""
    user, archived = person(), flask.request.args.get("archived") == "yes"
    before = as_id(flask.request.args.get("before", ""))
    with reading() as session:
        if before is None:
            rows = seats.page_of_chats(session, user.id, archived, PAGE + 1)
        else:
            rows = further.chats(session, user.id, archived, before, PAGE + 1)
        may_open = user.is_at_least(Role.MEMBER) and bool(agents(session, user))
    found, more = rows[:PAGE], len(rows) > PAGE
    kept = "archived=yes&" if archived else ""
    return answer(
        "chats/chats.html",
        lead=None if archived or more or before else chat_words.count(found),
        next=f"/chats?{kept}before={found[-1].id}" if more else None,
        chats=[{"row": row, "title": chat_words.title(row), "lamp": chat_words.lamp(row)} for row in found],
        archived=archived,
        may_open=may_open,
        tabs=[
            {"href": "/chats", "label": "Open", "current": not archived},
            {"href": "/chats?archived=yes", "label": "Archived", "current": archived},
        ],
        refresh_on="chats",
    )


def agents(session: Session, user: User) -> list[tuple[str, str]]:
    """The agents a chat may be opened with, as options."""
    behind = Agent.may_chat(user).where(Agent.kind == AgentKind.GATEWAY, Agent.gateway_id.is_not(None))
    return [(str(agent.id), agent.handle) for agent in session.scalars(behind.order_by(None).order_by(Agent.handle))]


@blueprint.get("/chats/new")
@at_least(Role.MEMBER)
def new() -> flask.Response:
    """The form of a new chat."""
    return new_form(Form(agent_id=flask.request.args.get("agent", ""), text="", working_directory=""))


@blueprint.post("/chats/new")
@at_least(Role.MEMBER)
def create() -> flask.Response:
    """Opens it, with its first message if there is one."""
    form, user = Form.posted("agent_id", "text", "working_directory"), person()
    chosen = Chosen(
        text=form["text"].replace("\r\n", "\n").strip() or None, working_directory=form["working_directory"]
    )
    agent_id = int(form["agent_id"]) if form["agent_id"].isdecimal() and len(form["agent_id"]) < 16 else 0
    try:
        with transaction() as session:
            chat = chatting.open_chat(session, user, agent_id, chosen, database_time(session)).chat
            acted(session, user, "chat_opened", "opened a chat.", topic_id=chat.topic_id, agent_id=chat.agent_id)
    except Invalid as refusal:
        return new_form(form.refused(refusal), 422)
    advance_due_topics()
    return go_to("chats.show", id=chat.id)


def new_form(form: Form, status: int = 200) -> flask.Response:
    """The page, with the agents one may chat with."""
    with transaction() as session:
        choices = agents(session, person())
    return answer("chats/new.html", status, form=form, agents=choices)


@blueprint.get("/chats/<int:id>")
@signed_in
def show(id: int) -> flask.Response:
    """The conversation, with the seat it is answered on, or why it waits."""
    user, window = person(), asked_window()
    with transaction() as session:
        row = mine(session, user, id)
        topic = Topic.seen_by(session, user, row.topic_id)
        context = conversation.context(session, user, topic, database_time(session), window, chat=row)
        if window.is_end and topic.last_message_id and "X-Looking-Again" not in flask.request.headers:
            mark_read(session, user, topic, topic.last_message_id)
    return answer("topics/topic.html", **context)


@blueprint.get("/chats/<int:id>/edit")
@at_least(Role.MEMBER)
def edit(id: int) -> flask.Response:
    """The form that names a chat; below it what else can be done."""
    return edit_form(id)


def edit_form(id: int, form: Form | None = None, status: int = 200) -> flask.Response:
    """The page of what a chat is called, and of putting it away or deleting it."""
    with transaction() as session:
        row = mine(session, person(), id)
    named = form or Form(title=row.title or "")
    return answer("chats/edit.html", status, form=named, chat={"id": id, "title": chat_words.title(row)}, row=row)


@blueprint.post("/chats/<int:id>/edit")
@at_least(Role.MEMBER)
def rename(id: int) -> flask.Response:
    """Saves its title."""
    form = Form.posted("title")
    try:
        with transaction() as session:
            chatting.rename(session, person(), id, form["title"])
    except Invalid as refusal:
        return edit_form(id, form.refused(refusal), 422)
    return go_to("chats.show", id=id)


@blueprint.post("/chats/<int:id>/archive")
@at_least(Role.MEMBER)
def archive(id: int) -> flask.Response:
    """Puts it away (`archived=yes`), or takes it out again."""
    archived = flask.request.form.get("archived") == "yes"
    with transaction() as session:
        chatting.archive(session, person(), id, archived, database_time(session))
    return go_to("chats.index") if archived else go_to("chats.show", id=id)


@blueprint.post("/chats/<int:id>/rest")
@at_least(Role.MEMBER)
def rest(id: int) -> flask.Response:
    """Gives its seat back, or leaves the line."""
    try:
        with transaction() as session:
            chatting.give_back(session, person(), id, database_time(session))
    except WrongState as refusal:
        flask.flash(str(refusal))
    advance_due_topics()
    return go_to("chats.show", id=id)


@blueprint.get("/chats/<int:id>/delete")
@at_least(Role.MEMBER)
def confirm(id: int) -> flask.Response:
    """Names what is lost."""
    with transaction() as session:
        row = mine(session, person(), id)
    return answer("chats/delete.html", chat={"id": id, "title": chat_words.title(row)}, row=row)


@blueprint.post("/chats/<int:id>/delete")
@at_least(Role.MEMBER)
def delete(id: int) -> flask.Response:
    """Deletes it."""
    user = person()
    with transaction() as session:
        chatting.delete(session, user, id, database_time(session))
        acted(session, user, "chat_deleted", "deleted a chat.", detail=f"chat {id}")
    advance_due_topics()
    return go_to("chats.index")


def mine(session: Session, user: User, id: int) -> Any:
    """The row of the person's own chat that was not deleted. Raises NotFound."""
    row = chat_words.owned(session, user, id)
    if row is None or row.state == ChatState.DELETED:
        raise NotFound(GONE)
    return row
