"""The first steps of a hub, after the account: a gateway, an agent, a topic. Read from the rows, so that one can leave.

Each step looks by itself whether it is done, and names what is in its way.
"""

from typing import Any

import flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import overview
from models.agent import Agent
from models.base import database_time
from models.creative import Creative
from models.database import transaction
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import Role, User
from webapp import gateway_words
from webapp.auth import at_least, person
from webapp.hub import hub
from webapp.pages import now_needs, presence, shell
from webapp.pages.forms import answer

MOST = 50

blueprint = flask.Blueprint("first_steps", __name__)

Step = dict[str, Any]


@blueprint.get("/first-steps")
@at_least(Role.MEMBER)
def show() -> flask.Response:
    """The first step that is not done, or `?step=`."""
    user = person()
    with transaction() as session:
        steps = found(session, user)
    names = [step["name"] for step in steps]
    open_ = next((step["name"] for step in steps if not step["done"]), names[-1])
    chosen = flask.request.args.get("step", "")
    at = names.index(chosen if chosen in names else open_)
    later = names[at + 1] if at + 1 < len(names) else None
    return answer(
        "first_run/steps.html",
        steps=steps,
        step=steps[at],
        next=f"/first-steps?step={later}" if later else "/",
        complete=all(step["done"] for step in steps),
        address=hub().config.public_url,
        streams=shell.streams(user, "hub"),
        refresh_on="gateways presence agents topics tasks",
    )


def found(session: Session, user: User) -> list[Step]:
    """All steps with how each stands; who is no operator adds no gateway."""
    steps = [step("account", "Your account", True, "live", f"{user.name}, {user.role}", "You have signed in.")]
    if user.is_at_least(Role.OPERATOR):
        steps.append(gateway(session, user))
    return [*steps, agent(session, user), topic(session, user)]


def step(name: str, title: str, done: bool, state: str, meta: str | None, text: str, **more: Any) -> Step:
    """One of them: {name, title, done, state, meta, text, fix, button, other, command}."""
    return {
        "name": name,
        "title": title,
        "done": done,
        "state": state,
        "meta": meta,
        "text": text,
        "fix": None,
        "command": None,
        "button": None,
        "other": None,
        **more,
    }


def gateway(session: Session, user: User) -> Step:
    """Tested by its connection."""
    rows = now_needs.seen_to_by(session, user)
    if not rows:
        text = "Switchyard tries it before anything is saved. Without one, agents connect by plugins alone."
        button = {"href": "/gateways/new", "label": "Add a gateway"}
        fake = {"href": "/playground", "label": "Try with the playground’s"} if hub().config.is_loopback else None
        return step("gateway", "First gateway", False, "off", None, text, button=button, other=fake)
    best = min(rows, key=lambda row: gateway_words.lamp(row).state != "live")
    lamp, trouble = gateway_words.lamp(best), gateway_words.trouble(best, hub().config.public_url)
    text = trouble.heading if trouble else f"{best.name}: {lamp.word}."
    fix = trouble.fix if trouble else None if lamp.state == "live" else f"Wait, or look at the page of {best.name}."
    return step(
        "gateway",
        "First gateway",
        lamp.state == "live",
        lamp.state,
        f"{best.name}, {lamp.word.lower()}",
        text,
        fix=fix,
        command=trouble.command if trouble else None,
        button={"href": f"/gateways/{best.id}", "label": f"Look at {best.name}"},
    )


def agent(session: Session, user: User) -> Step:
    """Tested by its being there."""
    now = database_time(session)
    rows = session.execute(overview.agents(now, Agent.visible_to(user.id)).limit(MOST)).all()
    if not rows:
        text = "It introduces itself as soon as its plugin runs. The command comes with a fresh token."
        button = {"href": "/plugins", "label": "Install a plugin"}
        return step("agent", "First agent", False, "off", None, text, button=button)
    able = next((row for row in rows if presence.can_take_work(row)), None)
    shown = able or rows[0]
    done = able is not None
    text = f"{shown.handle} can take work." if done else f"{shown.handle} cannot take work now."
    fix = None if done else Agent.why_not(shown, bool(shown.live))
    button = {"href": f"/agents/{shown.id}", "label": f"Look at {shown.handle}"}
    return step("agent", "First agent", done, "live" if done else "waiting", shown.handle, text, fix=fix, button=button)


def topic(session: Session, user: User) -> Step:
    """Tested by an answer in it."""
    mine = (Topic.creative_id.in_(Creative.readable_by(user.id)), Topic.session_id.is_(None), Topic.chat_id.is_(None))
    row = session.scalars(select(Topic).where(*mine).order_by(Topic.id.desc()).limit(1)).first()
    if row is None:
        text = "A topic is a conversation between people and agents. Choose your agent as its own, and write."
        button = {"href": "/topics/new", "label": "New topic"}
        return step("topic", "First topic", False, "off", None, text, button=button)
    ended = select(Task.id).join(Topic, Topic.id == Task.topic_id).where(*mine, Task.status == TaskStatus.DONE)
    done = session.scalars(ended.limit(1)).first() is not None
    text = "You were answered." if done else f"Nobody has answered in {row.name} yet."
    fix = (
        None
        if done
        else "Write something there, and name an agent with @; the topic says who takes it, or why nobody does."
    )
    button = {"href": f"/topics/{row.id}", "label": f"Open {row.name}"}
    return step("topic", "First topic", done, "live" if done else "waiting", row.name, text, fix=fix, button=button)
