"""The agents a person may see: who is there, what they take, and what their owner decides about them."""

from typing import Any

import flask
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import further, gateway_reading, listing, overview
from models.agent import Agent, AgentKind
from models.base import database_time
from models.database import reading, transaction
from models.errors import Forbidden, Invalid
from models.task import Task
from models.user import Role, User
from webapp import avatars, words
from webapp.acting import acted
from webapp.auth import at_least, person, signed_in
from webapp.hub import hub
from webapp.pages import presence, shell, work
from webapp.pages.activity import as_id
from webapp.pages.forms import Form, answer, go_to

MOST = 500
MOST_TASKS = 20
EXAMPLE = 'message.text.contains("deploy") && creative.name == "Docs"'

blueprint = flask.Blueprint("agents", __name__)


# -- all of them -----------------------------------------------------------------------------------------------------


@blueprint.get("/agents")
@signed_in
def index() -> flask.Response:
    """The table; `?show=live` only those that can take work, `?show=mine` the person's own, `?after=<id>` goes on."""
    user, show = person(), flask.request.args.get("show", "")
    after = as_id(flask.request.args.get("after", ""))
    with reading() as session:
        now = database_time(session)
        if after is None:
            found = overview.agents_for(session, user.id, now, MOST + 1)
        else:
            found = further.agents(session, user.id, now, after, MOST + 1)
        rows, more = found[:MOST], len(found) > MOST
        sessions = listing.sessions(session, [row.id for row in rows], now)
    kinds = {
        "": ("All", list(rows)),
        "live": ("Can take work", [row for row in rows if presence.can_take_work(row)]),
        "mine": ("Mine", [row for row in rows if row.owner_id == user.id]),
    }
    show = show if show in kinds else ""
    whole = after is None and not more  # of a part no figure is said
    kept = f"show={show}&" if show else ""
    return answer(
        "agents/agents.html",
        lead=lead(len(kinds["live"][1]), len(rows)) if whole else None,
        next=f"/agents?{kept}after={rows[-1].id}" if more else None,
        rows=[shown(row, user, sessions.get(row.id, [])) for row in kinds[show][1]],
        any_agent=bool(rows),
        tabs=[tab(name, label, len(some) if whole else None, show) for name, (label, some) in kinds.items()],
        may_connect=user.is_at_least(Role.MEMBER),
        address=hub().config.public_url,
        width="table",
        streams=shell.streams(user, "hub"),
        refresh_on="presence tasks agents rights gateways",
    )


def tab(name: str, label: str, count: int | None, show: str) -> dict[str, Any]:
    """One of the tabs above the table."""
    return {
        "href": f"/agents?show={name}" if name else "/agents",
        "label": label,
        "count": count,
        "current": name == show,
    }


@blueprint.get("/agents/connect")
@at_least(Role.MEMBER)
def connect() -> flask.Response:
    """The ways to connect one."""
    with transaction() as session:
        rows = gateway_reading.by_name(session) if person().is_at_least(Role.OPERATOR) else None
    gateways = None if rows is None else [{"name": row.name, "id": row.id} for row in rows]
    return answer("agents/connect.html", address=hub().config.public_url, gateways=gateways)


def lead(able: int, all: int) -> str | None:
    """ "Four of six can take work." """
    if all == 0:
        return None
    if able == all:
        return words.plural(all, "It can take work.", f"{words.whole(all)} can take work.")
    if able == 0:
        return words.plural(all, "It cannot take work now.", "None of {word} can take work now.")
    return f"{words.spelled(able).capitalize()} of {words.spelled(all)} can take work."


def shown(row: Any, user: User, sessions: list[Any]) -> dict[str, Any]:
    """A row of the table (components/table.html)."""
    state, where = presence.lamp(row), flask.get_template_attribute("agents/where.html", "where")
    return {
        "id": f"agent-{row.id}",
        "cells": [
            {
                "text": row.handle,
                "href": f"/agents/{row.id}",
                "avatar": {"kind": "agent", "initials": avatars.initials("agent", row.id, row.handle)},
                "meta": " · ".join(part for part in (whose(row, user), kind(row)) if part),
            },
            {"lamp": {"state": state["state"], "word": state["word"]}, "meta": state["meta"]},
            behind(row) if row.kind == AgentKind.GATEWAY else {"html": where(sessions, row.away_since)},
            takes(row.routing_expression),
            {"text": work_now(row), "meta": waiting(row)},
        ],
    }


def behind(row: Any) -> dict[str, Any]:
    """Behind which gateway it lives, as a cell."""
    return {"text": row.gateway_name, "meta": Markup("gateway agent <code>{}</code>").format(row.gateway_agent_id)}


def whose(row: Any, user: User) -> str:
    """Whose agent it is."""
    return "yours" if row.owner_id == user.id else f"{row.owner_name}’s"


def kind(row: Any) -> str:
    """How it is reached, when there is something to say."""
    return "plugin" if row.kind == AgentKind.PLUGIN else ""


def takes(expression: str | None) -> dict[str, Any]:
    """What it takes, as a cell."""
    if expression:
        return {"text": expression, "mono": True, "meta": "and when named, or in its topics"}
    return {"text": "when named, or in its topics"}


def about(row: Any, user: User) -> str:
    """ "Mira’s, connected by plugin." """
    owner = whose(row, user)
    way = "connected by plugin" if row.kind == AgentKind.PLUGIN else f"on {row.gateway_name}"
    return f"{owner.capitalize() if row.owner_id == user.id else owner}, {way}."


def home(row: Any, user: User) -> dict[str, Any] | None:
    """Its gateway and why it takes no work, if so; None for a plugin's agent."""
    if row.kind != AgentKind.GATEWAY:
        return None
    href = f"/gateways/{row.gateway_id}" if user.is_at_least(Role.OPERATOR) else None
    return {"name": row.gateway_name, "id": row.gateway_agent_id, "href": href, "why": Agent.why_not(row, False)}


def work_now(row: Any) -> str:
    """ "1 of 3", or "1" when it may take any number."""
    return f"{row.working} of {row.max_tasks}" if row.max_tasks else str(row.working)


def waiting(row: Any) -> str | None:
    """How many wait for it."""
    return words.plural(row.waiting, "1 waits", "{n} wait", overview.MOST_COUNTED) if row.waiting else None


# -- one of them -----------------------------------------------------------------------------------------------------


@blueprint.get("/agents/<int:id>")
@signed_in
def show(id: int) -> flask.Response:
    """Its sessions, its work, and, for its owner, what may be changed."""
    with transaction() as session:
        agent = Agent.seen_by(session, person(), id)
    return page(id, Form(routing_expression=agent.routing_expression or "", **numbers(agent)))


@blueprint.post("/agents/<int:id>")
@signed_in
def change(id: int) -> flask.Response:
    """Saves what its owner decided."""
    form = Form.posted("routing_expression", "keep_seconds", "max_tasks")
    try:
        with transaction() as session:
            agent = owned(session, person(), id)
            agent.change(
                session,
                routing_expression=form["routing_expression"],
                keep_seconds=whole(form["keep_seconds"], 0),
                max_tasks=whole(form["max_tasks"], None),
            )
            acted(session, person(), "agent_changed", f"changed what {agent.handle} takes.", agent_id=id)
    except Invalid as refusal:
        return page(id, form.refused(refusal), 422)
    flask.flash("Saved")
    return go_to("agents.show", id=id)


def owned(session: Session, user: User, id: int) -> Agent:
    """The agent, if it is the person's own. Raises NotFound or Forbidden."""
    agent = Agent.seen_by(session, user, id)
    if agent.owner_id != user.id:
        raise Forbidden(f"Only its owner changes {agent.handle}.")
    return agent


def whole(given: str, empty: int | None) -> Any:
    """A number as it was typed; what is none goes on as it is, for the model to refuse."""
    given = given.strip()
    if given == "":
        return empty
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 16 else given


def numbers(agent: Agent) -> dict[str, Any]:
    """What stands in the form's fields."""
    return {"keep_seconds": agent.keep_seconds, "max_tasks": "" if agent.max_tasks is None else agent.max_tasks}


def page(id: int, form: Form, status: int = 200) -> flask.Response:
    """The page of one agent."""
    user = person()
    with reading() as session:
        agent = Agent.seen_by(session, user, id)
        now = database_time(session)
        row = session.execute(overview.agents(now, select(Agent).where(Agent.id == id))).one()
        sessions = listing.sessions(session, [id], now).get(id, [])
        its_open = (Task.agent_id == id, Task.finished_at.is_(None))
        tasks = session.execute(overview.tasks(user.id).where(*its_open).limit(MOST_TASKS)).all()
    return answer(
        "agents/agent.html",
        status,
        agent=agent,
        initials=avatars.initials("agent", agent.id, agent.handle),
        state=presence.lamp(row),
        about=about(row, user),
        sessions=sessions,
        home=home(row, user),
        tasks=[work.shown(row) for row in tasks],
        takes=takes(agent.routing_expression),
        may_change=agent.owner_id == user.id,
        may_remove=agent.owner_id == user.id or user.is_at_least(Role.ADMIN),
        form=form,
        example=EXAMPLE,
        streams=shell.streams(user, "hub"),
        refresh_on="presence tasks agents rights gateways",
    )
