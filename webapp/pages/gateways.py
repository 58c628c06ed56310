"""Gateways: the table, one of them, and what is wanted of it. For operators and admins."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import gateway_changes, gateway_reading, overview
from models.activity import Activity
from models.agent import Agent
from models.base import database_time
from models.database import reading, transaction
from models.errors import NotFound, Refusal
from models.gateway import Gateway
from models.gateway_figures import GatewayFigures
from models.gateway_request import GatewayRequest, Verb
from models.user import Role
from webapp import avatars, gateway_words, waiting, words
from webapp.advance import advance_due_topics
from webapp.auth import at_least, person
from webapp.hub import hub
from webapp.pages import charts, shell
from webapp.pages import gateway_shown as shown
from webapp.pages.forms import answer, go_to
from webapp.pages.gateway_strip import WINDOW

MOST_LINES = 40
MOST_TEXT_LINES = 2000
DAY = timedelta(days=1)

blueprint = flask.Blueprint("gateways", __name__)

# What the buttons of a gateway's page do: (session, gateway, person, now).
Wish = Callable[[Session, Gateway, Any, Any], None]
WISHES: dict[str, Wish] = {
    "connect": gateway_changes.connect,
    "disconnect": gateway_changes.disconnect,
    "start": gateway_changes.start,
    "stop": gateway_changes.stop,
    "restart": gateway_changes.restart,
    "drain": lambda session, gateway, by, now: gateway_changes.drain(session, gateway, by),
    "resume": lambda session, gateway, by, now: gateway_changes.resume(session, gateway, by),
    "keep": lambda session, gateway, by, now: gateway_changes.keep(session, gateway, by, True),
    "let-go": lambda session, gateway, by, now: gateway_changes.keep(session, gateway, by, False),
}


@blueprint.get("/gateways")
@at_least(Role.OPERATOR)
def index() -> flask.Response:
    """The table, with how each stood in the last 24 hours."""
    with reading() as session:
        now = database_time(session)
        rows = gateway_reading.by_name(session)
        stood = gateway_reading.stood(session, now - WINDOW)
    return answer(
        "gateways/gateways.html",
        lead=shown.lead(rows),
        rows=[shown.row(row, stood.get(row.id, []), now) for row in sorted(rows, key=_worst_first)],
        begun=now - WINDOW,
        width="table",
        **live(),
    )


def _worst_first(row: Any) -> int:
    order = ("trouble", "waiting", "working", "live", "off")
    return order.index(gateway_words.lamp(row).state)


@blueprint.get("/gateways/<int:id>")
@at_least(Role.OPERATOR)
def show(id: int) -> flask.Response:
    """How it stands, its problem, what happened, who lives behind it; `?asked=` shows what a test found."""
    asked = flask.request.args.get("asked", "")
    heard = _heard(int(asked), id) if asked.isascii() and asked.isdecimal() and len(asked) < 16 else None
    return page(id, heard=heard)


def _heard(request_id: int, gateway_id: int) -> waiting.Answer | None:
    try:
        found = waiting.standing(request_id)
    except NotFound:
        return None
    return found if found.gateway_id == gateway_id else None


@blueprint.post("/gateways/<int:id>/test")
@at_least(Role.OPERATOR)
def test(id: int) -> flask.Response:
    """Asks whoever holds it, and waits 10 s at most, outside of any transaction."""
    with transaction() as session:
        gateway_changes.found(session, id)
        now = database_time(session)
        asked = GatewayRequest.ask(session, Verb.TEST, id, person(), now, within=waiting.PATIENCE)
    waiting.answer_to(asked.id)
    return go_to("gateways.show", id=id, asked=asked.id, _anchor="result")


@blueprint.post(
    "/gateways/<int:id>/<any('connect','disconnect','start','stop','restart','drain','resume','keep','let-go'):verb>"
)
@at_least(Role.OPERATOR)
def wish(id: int, verb: str) -> flask.Response:
    """Says what is wanted of it; whoever holds it makes it so."""
    try:
        with transaction() as session:
            gateway = gateway_changes.locked(session, id)
            WISHES[verb](session, gateway, person(), database_time(session))
    except Refusal as refusal:
        if isinstance(refusal, NotFound):
            raise
        return page(id, refusal.status, str(refusal))
    if verb == "resume":
        advance_due_topics()
    if verb in gateway_words.ASKED:
        flask.flash(gateway_words.ASKED[verb].format(gateway.name))
    return go_to("gateways.show", id=id)


@blueprint.get("/gateways/<int:id>/timeline.txt")
@at_least(Role.OPERATOR)
def as_text(id: int) -> flask.Response:
    """What happened to it, as plain text, the newest first."""
    with transaction() as session:
        gateway_changes.found(session, id)
        lines = _lines(session, id, MOST_TEXT_LINES)
    said = [f"{words.iso(line.at)}  {line.event:<12} {line.text}{_after(line)}\n" for line in lines]
    return flask.Response("".join(said), mimetype="text/plain; charset=utf-8")


def _after(line: Activity) -> str:
    return f"\n{'':22}{' '.join(line.detail.split())}" if line.detail else ""


def page(id: int, status: int = 200, refused: str | None = None, heard: waiting.Answer | None = None) -> flask.Response:
    """The page of one gateway."""
    with transaction() as session:
        row = gateway_reading.one(session, id)
        if row is None:
            raise NotFound("There is no such gateway here.")
        lines = _lines(session, id, MOST_LINES + 1)
        which = select(Agent).where(Agent.gateway_id == id, Agent.removed_at.is_(None))
        now = database_time(session)
        agents = session.execute(overview.agents(now, which)).all()
        latency = GatewayFigures.between(session, id, now - DAY, now)
    lamp = gateway_words.lamp(row)
    return answer(
        "gateways/gateway.html",
        status,
        one=row,
        stands={"state": lamp.state, "word": lamp.word},
        since=shown.since(row),
        trouble=shown.trouble(row),
        then=shown.then(row),
        latency=charts.of_latency(latency, now),
        facts=shown.facts(row, hub().config.public_url),
        events=shown.timeline(lines[:MOST_LINES]),
        more=len(lines) > MOST_LINES,
        agents=[_agent(agent) for agent in agents],
        result=None if heard is None else shown.result(heard),
        refused=refused,
        **live(),
    )


def _agent(row: Any) -> dict[str, Any]:
    most = overview.MOST_COUNTED
    its_name = "" if row.gateway_agent_id == row.handle else f"as {row.gateway_agent_id}"
    waits = words.plural(row.waiting, "1 task waits", "{n} tasks wait", most) if row.waiting else None
    return {
        "name": row.handle,
        "href": f"/agents/{row.id}",
        "initials": avatars.initials("agent", row.id, row.handle),
        "words": waits or ("working" if row.working else its_name),
    }


def _lines(session: Session, id: int, limit: int) -> list[Activity]:
    query = gateway_reading.timeline(id).order_by(Activity.id.desc()).limit(limit)
    return [row[0] for row in session.execute(query)]


def live() -> dict[str, Any]:
    """What a page of gateways follows."""
    return {"streams": shell.streams(person(), "hub"), "refresh_on": "gateways agents"}
