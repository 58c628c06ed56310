"""Plugins: which are connected, with what; how one is installed; and whether one works, step by step."""

import re
from datetime import datetime
from typing import Any

import flask
from markupsafe import Markup
from sqlalchemy.orm import Session

from models import plugins
from models.access_token import AccessToken
from models.base import database_time
from models.creative import Level
from models.database import reading, transaction
from models.errors import Forbidden, Invalid
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import Role, User
from webapp import avatars, words
from webapp.acting import acted
from webapp.auth import at_least, person, signed_in
from webapp.fragments import grace_end, moment
from webapp.hub import hub
from webapp.pages import shell
from webapp.pages.activity import as_id
from webapp.pages.forms import Form, answer, go_to

MOST = 200
# Where a further page begins: whether the last session shown was live, and its id.
KEY = re.compile(r"(live|away)-([0-9]{1,15})")
TOKEN_DAYS = 90
TEST = "This is a test from the Plugins page. Answer with one word."

blueprint = flask.Blueprint("plugins", __name__)


@blueprint.get("/plugins")
@signed_in
def index() -> flask.Response:
    """All sessions that registered, `?before=<key>` those further back, and the form that installs one more."""
    return overview(Form(agent_name=""))


def overview(form: Form, status: int = 200) -> flask.Response:
    """The list; `form` may be a refused one."""
    user, before = person(), KEY.fullmatch(flask.request.args.get("before", ""))
    key = None if before is None else (before[1] == "live", int(before[2]))
    with reading() as session:
        found = session.execute(plugins.sessions(user, database_time(session), key).limit(MOST + 1)).all()
    rows, more = found[:MOST], len(found) > MOST
    live = sum(1 for row in rows if row.live)
    return answer(
        "plugins/plugins.html",
        status,
        lead=None if key or more else lead(live, len(rows)),
        next=f"/plugins?before={'live' if rows[-1].live else 'away'}-{rows[-1].id}" if more else None,
        plugins=[shown(row, user) for row in rows],
        may_install=user.is_at_least(Role.MEMBER),
        form=form,
        streams=shell.streams(user, "hub"),
        refresh_on="presence agents",
    )


@blueprint.post("/plugins/install")
@at_least(Role.MEMBER)
def install() -> flask.Response:
    """Makes a fresh token for one agent; the answer itself is the page that shows it, once."""
    form, user = Form.posted("agent_name"), person()
    name = " ".join(form["agent_name"].split())
    if not name or len(name) > 60 or not name.isprintable():
        return overview(form.refused(Invalid(agent_name="Give the agent a name of at most 60 letters.")), 422)
    with transaction() as session:
        token, text = AccessToken.create(session, user, f"plugin {name}", database_time(session), TOKEN_DAYS)
        acted(session, user, "token_made", f"made the access token {token.label}.")
    return answer("plugins/install.html", 201, name=name, text=text, token=token, address=hub().config.public_url)


@blueprint.get("/plugins/install")
@signed_in
def installed() -> flask.Response:
    """Who loads the page of a new token again comes to the list: the token is not shown twice."""
    return go_to("plugins.index")


@blueprint.get("/plugins/<int:id>")
@signed_in
def show(id: int) -> flask.Response:
    """One session: the self-test, what went to and fro."""
    user = person()
    with transaction() as session:
        now = database_time(session)
        row = plugins.session_of(session, user, id, now)
        topic = plugins.topic_of(session, row)
        own = row.owner_id == user.id
        tested = session.get(Task, as_id(flask.request.args.get("test", "")) or 0) if own else None
        tested = tested if tested is not None and tested.agent_id == row.agent_id else None
        tokens = [token for token in AccessToken.of(session, user) if token.is_valid(now)]
        frames = plugins.frames(session, row)
    return answer(
        "plugins/plugin.html",
        plugin=shown(row, user),
        program=row.program,
        facts=facts(row, topic if own else None),
        steps=steps(row, topic, tested, bool(tokens) if own else None),
        frames=frames,
        may_test=own and topic is not None,
        tested=tested.id if tested else None,
        streams=shell.streams(user, "hub", *([topic.stream] if own and topic else [])),
        refresh_on="presence task message agents",
    )


@blueprint.post("/plugins/<int:id>/test")
@signed_in
def test(id: int) -> flask.Response:
    """Sends it a real task, in the session's own topic, and shows how far that comes."""
    user = person()
    with transaction() as session:
        now = database_time(session)
        row = plugins.session_of(session, user, id, now)
        topic = own_topic(session, user, row)
        tasks = topic.post(session, user, TEST, now).tasks
        acted(session, user, "plugin_tested", f"sent a test to {row.handle}.", agent_id=row.agent_id, topic_id=topic.id)
    return go_to("plugins.show", id=id, test=tasks[0].id if tasks else None)


def own_topic(session: Session, user: User, row: Any) -> Topic:
    """The session's topic under its lock; taken out again when it was put away. Raises Forbidden."""
    found = plugins.topic_of(session, row) if row.owner_id == user.id else None
    topic = None if found is None else Topic.locked(session, found.id)
    if topic is None:
        raise Forbidden("Only its owner sends a plugin a test: it comes as a message in the owner's inbox.")
    topic.creative(session).require(session, user, Level.FEEDBACK)
    if topic.archived:
        topic.archive(session, False, database_time(session))
    return topic


def lead(live: int, all: int) -> str | None:
    """ "Two of three are connected." """
    if all == 0:
        return None
    if live == all:
        return words.plural(all, "It is connected.", f"{words.whole(all)} are connected.")
    return f"{words.spelled(live).capitalize()} of {words.spelled(all)} {'is' if live == 1 else 'are'} connected."


def shown(row: Any, user: User) -> dict[str, Any]:
    """A row of the list."""
    return {
        "id": row.id,
        "handle": row.handle,
        "agent_id": row.agent_id,
        "initials": avatars.initials("agent", row.agent_id, row.handle),
        "label": row.label or row.session_id,
        "session_id": row.session_id,
        "owner": "yours" if row.owner_id == user.id else f"{row.owner_name}’s",
        "program": row.program or "version not told",
        "lamp": lamp(row),
    }


def lamp(row: Any) -> dict[str, Any]:
    """{state, word} of its connection."""
    if row.live:
        return {"state": "live", "word": Markup("seen {}").format(moment(row.last_seen_at, "seen"))}
    if row.dropped_at is not None:
        return {"state": "waiting", "word": moment(grace_end(row.dropped_at), "left")}
    return {"state": "off", "word": "Not connected"}


def facts(row: Any, topic: Topic | None) -> list[tuple[str, Any]]:
    """What is known of it; its topic is named to its owner alone."""
    pairs: list[tuple[str, Any]] = [("Session", row.session_id), ("Version", row.program or "not told")]
    pairs.append(("Registered", words.plural(row.registrations, "once", "{n} times")))
    if row.connected_at is not None:
        pairs.append(("Connected", moment(row.connected_at, "ago")))
    if row.host is not None:
        pairs.append(("Held by", f"process {row.pid} on {row.host}"))
    if topic is not None:
        pairs.append(("Its topic", Markup('<a href="/topics/{}">{}</a>').format(topic.id, topic.name)))
    return pairs


def steps(row: Any, topic: Topic | None, tested: Task | None, has_token: bool | None) -> list[dict[str, Any]]:
    """The self-test: config, registered, connected, message received; each with its result and its fix."""
    found = []
    if has_token is not None:
        found.append(step(has_token, "Config", "You have a valid access token.", "Make a token under Settings."))
    registered = "It introduced itself" + (" and has a topic of its own." if topic else ".")
    found.append(step(row.registrations > 0, "Registered", registered, "Start the plugin."))
    away = "Its socket is not open. Start the plugin; a proxy must pass Upgrade on, and its address must be this hub's."
    found.append(step(bool(row.live), "Connected", "Its socket is open and was heard lately.", away))
    found.append(received(tested))
    return found


def received(task: Task | None) -> dict[str, Any]:
    """How far the test came."""
    if task is None:
        text = "Send a test: it is a real task in the session's own topic."
        return {"state": "off", "word": "Not tried", "text": "Message received: not tried yet.", "meta": text}
    if task.status == TaskStatus.DONE:
        return step(True, "Message received", f"Task {task.id} was answered.", "")
    if task.status in (TaskStatus.FAILED, TaskStatus.CANCELLED):
        return step(False, "Message received", "", f"Task {task.id} came to nothing: {task.why}")
    if task.sent_at is not None:
        text = f"Task {task.id} went out and has no answer yet."
        return {"state": "working", "word": "Working", "text": f"Message received: {text}", "meta": since(task.sent_at)}
    waits = {"state": "waiting", "word": "Waiting", "text": f"Message received: task {task.id} waits."}
    return {**waits, "meta": task.why or "It goes out when its turn comes."}


def since(at: datetime) -> Any:
    """How long ago it went out."""
    return moment(at, "ago")


def step(ok: bool, name: str, good: str, fix: str) -> dict[str, Any]:
    """One line of the self-test."""
    if ok:
        return {"state": "live", "word": "Pass", "text": f"{name}: pass. {good}", "meta": None}
    return {"state": "trouble", "word": "Fail", "text": f"{name}: fail.", "meta": fix}
