"""The seats of all gateways: who sits where, who waits, what is done when all are taken; and how a pool is changed."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import chatting, pool_changes, seat_use, seats
from models.base import database_time
from models.chat_pool import ChatPool, WhenFull
from models.chat_slot import ChatSlot
from models.database import reading, transaction
from models.errors import Invalid, NotFound
from models.gateway import Gateway
from models.gateway_request import GatewayRequest, Verb
from models.user import Role
from webapp import waiting
from webapp.acting import acted
from webapp.advance import advance_due_topics
from webapp.auth import at_least, person, signed_in
from webapp.pages import chat_words, seat_words, shell
from webapp.pages.activity import as_id
from webapp.pages.forms import Form, answer, go_to

MOST_CREATED = 10
PATIENCE_SECONDS = 4.0
Change = Callable[[Session, int, datetime], Any]

blueprint = flask.Blueprint("slots", __name__)


@blueprint.get("/slots")
@signed_in
def index() -> flask.Response:
    """The board."""
    user = person()
    with reading() as session:
        now = database_time(session)
        rows, line = seats.board(session), seats.line(session)
        pools = seats.pools(session)
        expected = seats.estimates(session, [pool.id for pool in pools], now)
        use = seat_use.last_day(session, now)
        kept = seat_use.not_reset(session, now)
    operator = user.is_at_least(Role.OPERATOR)
    return answer(
        "slots/slots.html",
        lead=seat_words.lead(rows, line),
        boards=[
            {"pool": pool, "seats": [seat_words.card(row, user, now) for row in rows if row.pool_id == pool.id]}
            for pool in pools
        ],
        line=[
            {
                "title": chat_words.title(row) if row.user_id == user.id else f"A chat of {row.person}",
                "href": f"/chats/{row.id}" if row.user_id == user.id else None,
                "words": chat_words.waits(row, expected.get(row.pool_id, [])),
            }
            for row in line
        ],
        chart=seat_words.chart(use, len([row for row in rows if row.state != "missing"])),
        not_reset=kept,
        may_change=operator,
        streams=shell.streams(user, "hub"),
        refresh_on="slots gateways",
        width="table",
    )


# -- one seat --------------------------------------------------------------------------------------------------------


@blueprint.get("/slots/<int:id>/take-back")
@at_least(Role.OPERATOR)
def confirm(id: int) -> flask.Response:
    """Names what is lost."""
    with transaction() as session:
        row = session.execute(seats.slots().where(ChatSlot.id == id)).first()
        if row is None or row.chat_id is None:
            return go_to("slots.index")
    return answer("slots/take_back.html", seat=row)


@blueprint.post("/slots/<int:id>/take-back")
@at_least(Role.OPERATOR)
def take_back(id: int) -> flask.Response:
    """Frees a seat; what runs on it is stopped."""
    return changed(id, "", lambda session, id, now: chatting.take_back(session, person(), id, now))


@blueprint.post("/slots/<int:id>/drain")
@at_least(Role.OPERATOR)
def drain(id: int) -> flask.Response:
    """It takes nobody new."""
    return changed(id, "drains", pool_changes.drain)


@blueprint.post("/slots/<int:id>/put-back")
@at_least(Role.OPERATOR)
def put_back(id: int) -> flask.Response:
    """In service again."""
    return changed(id, "put back into service", pool_changes.put_back)


@blueprint.post("/slots/<int:id>/remove")
@at_least(Role.OPERATOR)
def remove(id: int) -> flask.Response:
    """Takes it out of its pool."""
    return changed(id, "took out of the pool", pool_changes.remove_slot)


def changed(id: int, did: str, verb: Change) -> flask.Response:
    """Carries it out, and lets go what may go."""
    with transaction() as session:
        slot = session.get(ChatSlot, id)
        if slot is None:
            raise NotFound("There is no such seat any more.")
        verb(session, id, database_time(session))
        if did:
            acted(session, person(), "seat_changed", f"{did} {slot.name}.", gateway_id=slot.gateway_id)
    advance_due_topics()
    return go_to("slots.index")


@blueprint.post("/slots/<int:id>/create")
@at_least(Role.OPERATOR)
def create_again(id: int) -> flask.Response:
    """Asks the gateway to make the agent of a missing seat anew."""
    with transaction() as session:
        slot = session.get(ChatSlot, id)
        if slot is None:
            raise NotFound("There is no such seat any more.")
        asked = ask_for(session, slot.gateway_id, slot.name)
    found = waiting.answer_to(asked)
    if found.answer is None:
        flask.flash(found.sentence)
        return go_to("slots.index")
    return changed(id, "had the gateway make", pool_changes.put_back)


# -- a pool ----------------------------------------------------------------------------------------------------------


@blueprint.get("/slots/pool")
@at_least(Role.OPERATOR)
def pool() -> flask.Response:
    """The form of a pool: `?pool=<id>` one there is, else a new one."""
    given = flask.request.args.get("pool", "")
    with transaction() as session:
        found = session.get(ChatPool, int(given)) if given.isdecimal() and len(given) < 16 else None
        if found is None:
            return pool_form(Form(gateway_id="", agent="", ids="", when_full=WhenFull.FALLBACK))
        mine = (ChatSlot.pool_id == found.id, ChatSlot.removed_at.is_(None), ChatSlot.leaving.is_(False))
        names = session.scalars(select(ChatSlot.name).where(*mine).order_by(ChatSlot.position))
        form = Form(
            gateway_id=str(found.gateway_id),
            agent=found.workspace_agent or "",
            ids="\n".join(names),
            when_full=found.when_full,
        )
    return pool_form(form)


@blueprint.post("/slots/pool")
@at_least(Role.OPERATOR)
def save() -> flask.Response:
    """Replaces the pool; `create`: so many further seats are made through the gateway first."""
    form, user = Form.posted("gateway_id", "agent", "ids", "when_full", "create"), person()
    gateway_id = int(form["gateway_id"]) if form["gateway_id"].isdecimal() and len(form["gateway_id"]) < 16 else 0
    agent, names = form["agent"].strip() or None, form["ids"].replace(",", " ").split()
    given = len(names)
    try:
        names += created(gateway_id, agent, names, form["create"])
        with transaction() as session:
            gateway = session.get(Gateway, gateway_id)
            if gateway is None or gateway.removed_at is not None:
                raise Invalid(gateway_id="Choose one of the gateways in the list.")
            now = database_time(session)
            pool_changes.set_pool(session, gateway_id, agent, form["when_full"], names, now)
            if gateway.wanted and len(names) == given:  # what was just made may not be listed yet
                GatewayRequest.ask(session, Verb.LIST_AGENTS, gateway.id, user, now)
            words = f"set the seats of {gateway.name}: {len(names)}."
            acted(session, user, "seats_set", words, gateway_id=gateway_id)
    except Invalid as refusal:
        form.values["ids"] = "\n".join(names)
        return pool_form(form.refused(refusal), 422)
    advance_due_topics()
    return go_to("slots.index")


def created(gateway_id: int, agent: str | None, names: list[str], given: str) -> list[str]:
    """Asks the gateway for so many further agents; the ids of those it made. Raises Invalid (create)."""
    if given.strip() in ("", "0"):
        return []
    if not 1 <= (count := as_id(given.strip()) or 0) <= MOST_CREATED:
        raise Invalid(create=f"Give a whole number from 1 to {MOST_CREATED}.")
    known, number = {name.lower() for name in names}, 0
    wanted: list[str] = []
    made: list[str] = []
    while len(wanted) < count:
        number += 1
        name = f"chat-slot-{agent or 'any'}-{number}"
        if name.lower() not in known:
            wanted.append(name)
    with transaction() as session:
        if session.get(Gateway, gateway_id) is None:
            raise Invalid(gateway_id="Choose one of the gateways in the list.")
        asked = [ask_for(session, gateway_id, name) for name in wanted]
    for id in asked:
        found = waiting.answer_to(id, PATIENCE_SECONDS)
        if found.answer is None:
            names += made
            raise Invalid(create=f"{len(made)} of {len(asked)} were made. {found.sentence}")
        made.append(str(found.answer.get("agent_id")))
    return made


def ask_for(session: Session, gateway_id: int, name: str) -> int:
    """The id of the wish for a new agent."""
    now = database_time(session)
    return GatewayRequest.ask(session, Verb.CREATE_AGENT, gateway_id, person(), now, name=name).id


def pool_form(form: Form, status: int = 200) -> flask.Response:
    """The page, with the gateways and the agents they list."""
    with transaction() as session:
        there = select(Gateway).where(Gateway.removed_at.is_(None)).order_by(Gateway.name)
        gateways = [(gateway.id, gateway.name, gateway.listed_agents or []) for gateway in session.scalars(there)]
    choices = [("", "Choose one"), *((str(id), name) for id, name, _ in gateways)]
    listed = [(name, seat_words.discovered(agents, form["agent"])) for _, name, agents in gateways]
    when = [
        (str(WhenFull.FALLBACK), "The workspace agent answers"),
        (str(WhenFull.WAIT), "It waits in line"),
    ]
    return answer("slots/pool.html", status, form=form, gateways=choices, listed=listed, when=when)
