"""One topic: read it, write in it, know where a message would go. Works without script; with it nothing is reloaded."""

import hashlib
import re

import flask
from flask_login import current_user
from sqlalchemy.orm import Session

from models.base import database_time
from models.broadcast import broadcast
from models.chat_session import ChatSession
from models.creative import Level
from models.database import reading, transaction
from models.errors import DatabaseAway, Invalid
from models.reading import messages_by_id, page_of_messages, work_on
from models.topic import Topic
from models.user import User
from webapp import fragments
from webapp.auth import ask_to_sign_in, person, signed_in
from webapp.pages import conversation
from webapp.pages.conversation import Window
from webapp.pages.forms import Form, answer, go_to

STREAM = "text/vnd.turbo-stream.html"
# Fifteen digits are below 2^53, as all ids are.
ID = re.compile(r"[0-9]{1,15}")
ONCE = re.compile(r"[0-9A-Za-z_-]{1,64}")
MOST_AT_ONCE = 200
QUESTION = 2000

blueprint = flask.Blueprint("topic", __name__)


@blueprint.get("/topics/<int:id>")
@signed_in
def show(id: int) -> flask.Response:
    """The conversation: its end, or what stands before, after or around a message."""
    user, window = person(), asked_window()
    with transaction() as session:
        topic = Topic.seen_by(session, user, id)
        if topic.chat_id is not None and ChatSession.owned_by(session, user.id, topic.chat_id).deleted_at is None:
            return go_to("chats.show", id=topic.chat_id, before=window.before, after=window.after, around=window.around)
        context = conversation.context(session, user, topic, database_time(session), window)
        if window.is_end and topic.last_message_id and "X-Looking-Again" not in flask.request.headers:
            mark_read(session, user, topic, topic.last_message_id)
    return answer("topics/topic.html", **context)


@blueprint.post("/topics/<int:id>/messages")
def post(id: int) -> flask.Response:
    """A person says something. Whatever happens, the text is not lost: a refusal answers with it."""
    form = Form.posted("text", "once")
    form.values["text"] = form["text"].replace("\r\n", "\n")
    try:
        return say(id, form) if current_user.is_authenticated else flask.make_response(ask_to_sign_in())
    except DatabaseAway as away:
        kept = flask.render_template("topics/away.html", id=id, text=form["text"], once=word(form), sentence=str(away))
        return flask.make_response(kept, away.status)


@blueprint.get("/topics/<int:id>/messages")
def posted(id: int) -> flask.Response:
    """Whoever loads the answer to a refused message again comes to the topic."""
    return flask.make_response(flask.redirect(flask.url_for("topic.show", id=id), 303))


def say(id: int, form: Form) -> flask.Response:
    """Stores the message. With script the answer is what is new on the page, else the topic itself."""
    user = person()
    try:
        with transaction() as session:
            Topic.seen_by(session, user, id).creative(session).require(session, user, Level.FEEDBACK)
            topic = Topic.locked(session, id)
            assert topic is not None
            message = topic.post(session, user, form["text"], database_time(session), once(form)).message
            row = messages_by_id(session, [message.id])[message.id]
            on_it = list(work_on(session, [message.id]))
    except Invalid as refusal:
        return refused(id, form.refused(refusal))
    if STREAM in flask.request.headers.get("Accept", ""):
        fresh = fragments.message(row) + fragments.work(([row], on_it))
        return flask.make_response(fresh, 201, {"Content-Type": f"{STREAM}; charset=utf-8"})
    return flask.make_response(flask.redirect(flask.url_for("topic.show", id=id, _anchor="composer"), 303))


def refused(id: int, form: Form) -> flask.Response:
    """The page again, with the text and why it was not taken."""
    user = person()
    with transaction() as session:
        topic = Topic.seen_by(session, user, id)
        context = conversation.context(session, user, topic, database_time(session))
    error = form.errors.get("text") or form.problem
    return answer("topics/topic.html", 422, **{**context, "text": form["text"], "error": error, "once": word(form)})


@blueprint.get("/topics/<int:id>/route")
@signed_in
def route(id: int) -> flask.Response:
    """Who would take a text, in the words under the composer: {"html"}."""
    text, user = flask.request.args.get("text", "")[:QUESTION].replace("\x00", ""), person()
    with reading() as session:
        topic = Topic.seen_by(session, user, id)
        taking = conversation.listening(session, user, topic, text, database_time(session))
        line = conversation.route(topic, taking, text)
    return flask.jsonify(html=flask.render_template("topics/route.html", route=line))


@blueprint.get("/topics/<int:id>/after")
@signed_in
def after(id: int) -> flask.Response:
    """What was said after the message `id` and what is being answered, without a page around it; 204 for nothing."""
    user, last = person(), asked("id") or 0
    with reading() as session:
        topic = Topic.seen_by(session, user, id)
        may_act = topic.creative(session).allows(session, user, Level.FEEDBACK)
        rows = page_of_messages(session, topic.id, MOST_AT_ONCE, after=last)
        found = conversation.items(
            session, user, rows, may_act, days=False, now=conversation.answers(session, topic.id)
        )
    if not found:
        return flask.make_response("", 204)
    return answer("topics/items.html", items=found)


@blueprint.post("/topics/<int:id>/read")
@signed_in
def read(id: int) -> flask.Response:
    """The person has seen everything up to `last_message_id`."""
    user, last = person(), as_id(flask.request.form.get("last_message_id", ""))
    if last is None:
        raise Invalid(last_message_id="Give the id of the last message that was seen.")
    with transaction() as session:
        topic = Topic.seen_by(session, user, id)
        mark_read(session, user, topic, min(last, topic.last_message_id or 0))
    return flask.make_response("", 204)


def mark_read(session: Session, user: User, topic: Topic, last: int) -> None:
    """Moves the mark on; the person's other pages are told when it moved."""
    if topic.mark_read(session, user, last):
        broadcast(session, user.stream, "topics")


def asked_window() -> Window:
    """Which part of the topic the address asks for."""
    return Window(asked("before"), asked("after"), asked("around"))


def asked(name: str) -> int | None:
    """An id in the query, None when there is none that could be one."""
    return as_id(flask.request.args.get(name, ""))


def as_id(given: str) -> int | None:
    """A text as an id, None when it could not be one."""
    return int(given) if ID.fullmatch(given) else None


def word(form: Form) -> str:
    """The form's random word; a new one when it has none that could be ours."""
    return form["once"] if ONCE.fullmatch(form["once"]) else conversation.new_once()


def once(form: Form) -> str | None:
    """What makes a message the same one, sent again: the form's word and the text, which may have been changed."""
    if not ONCE.fullmatch(form["once"]):
        return None
    return hashlib.sha256(f"{form['once']} {form['text']}".encode("utf-8", "replace")).hexdigest()
