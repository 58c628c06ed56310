"""The gateways that run on this machine: how each stands and why, what it said last, and the buttons. For operators.

A button writes what is wanted; whoever holds the gateway makes it so, and the page shows it when it is so.
"""

from collections.abc import Callable
from typing import Any

import flask
from sqlalchemy import func
from sqlalchemy.orm import Session

from models import gateway_changes, gateway_reading
from models.base import database_time
from models.database import reading, transaction
from models.errors import Refusal
from models.gateway import Gateway
from models.gateway_states import FAST_TRIES, GatewayState, Problem
from models.user import Role, User
from webapp import gateway_logs, gateway_words, words
from webapp.auth import at_least, person
from webapp.hub import hub
from webapp.pages import openclaw_preset, shell
from webapp.pages.forms import Form, answer, go_to

LINES = 60
MOST = 50
Change = Callable[..., None]

blueprint = flask.Blueprint("supervisor", __name__)


@blueprint.get("/supervisor")
@at_least(Role.OPERATOR)
def index() -> flask.Response:
    """All of them, and the form for another one."""
    return page(Form(**openclaw_preset.USUAL))


def page(form: Form, status: int = 200, problem: str | None = None) -> flask.Response:
    """The page, with what stands in the form and what was refused."""
    with reading() as session:
        query = gateway_reading.gateways().where(Gateway.managed).order_by(func.lower(Gateway.name)).limit(MOST)
        shown = [seen(row) for row in session.execute(query)]
    return answer(
        "supervisor/supervisor.html",
        status,
        lead=lead(shown),
        gateways=shown,
        form=form,
        problem=problem,
        streams=shell.streams(person(), "hub"),
        refresh_on="gateways gateway",
    )


def lead(shown: list[dict[str, Any]]) -> str | None:
    """The answer in one sentence; None while the page says by itself that there is none."""
    if not shown:
        return None
    live = sum(one["state"] == GatewayState.RUNNING for one in shown)
    troubled = sum(one["lamp"].state == "trouble" for one in shown)
    needs = f" {troubled} {'needs' if troubled == 1 else 'need'} somebody." if troubled else ""
    if live == len(shown):
        return words.plural(live, f"{shown[0]['name']} is running.", f"{words.whole(live)} are running.")
    return f"{live} of {len(shown)} {'is' if live == 1 else 'are'} running.{needs}"


def seen(row: Any) -> dict[str, Any]:
    """One gateway as the page shows it."""
    tries = row.attempts if row.state in (GatewayState.RECONNECTING, GatewayState.ERROR) else 0
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "lamp": gateway_words.lamp(row),
        "since": row.state_since,
        "reason": row.reason,
        "trouble": gateway_words.trouble(row, hub().config.public_url),
        "port": row.port,
        "holder": row.port_holder,
        "pid": row.pid,
        "host": row.pid_host,
        "adopted": row.adopted,
        "started": row.process_started_at,
        "version": row.version,
        "command": row.command or [],
        "tries": f"{tries} of {FAST_TRIES}" if 0 < tries <= FAST_TRIES else str(tries or ""),
        "next": gateway_words.waits_until(row),
        "slow": tries >= FAST_TRIES and row.next_attempt_at is not None,
        "exit": row.last_exit,
        "may_start": not row.wanted or row.state in (GatewayState.STOPPED, GatewayState.ERROR),
        "may_stop": row.wanted,
        "may_adopt": row.problem_code == Problem.PORT_TAKEN,
        "tail": "\n".join(gateway_logs.tail(hub().config.data_dir, row.id, LINES)),
    }


# -- its log ---------------------------------------------------------------------------------------------------------


@blueprint.get("/supervisor/<int:id>/tail")
@at_least(Role.OPERATOR)
def tail(id: int) -> flask.Response:
    """The last lines as text, for who watches them grow."""
    known(id)
    said = "\n".join(gateway_logs.tail(hub().config.data_dir, id, LINES))
    return flask.Response(said, content_type="text/plain; charset=utf-8")


@blueprint.get("/supervisor/<int:id>/log")
@at_least(Role.OPERATOR)
def whole_log(id: int) -> flask.Response:
    """All that is kept of its log, as a file."""
    name = f"gateway-{known(id)}.log"
    return flask.Response(
        gateway_logs.whole(hub().config.data_dir, id),
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
        content_type="text/plain; charset=utf-8",
    )


def known(id: int) -> int:
    """The id, if it is a gateway of this machine. Raises NotFound."""
    with reading() as session:
        gateway_changes.found(session, id)
    return id


# -- the buttons -----------------------------------------------------------------------------------------------------


@blueprint.post("/supervisor/<int:id>/start")
@at_least(Role.OPERATOR)
def start(id: int) -> flask.Response:
    """It is wanted: found, or started."""
    return change(id, gateway_changes.start, "start")


@blueprint.post("/supervisor/<int:id>/stop")
@at_least(Role.OPERATOR)
def stop(id: int) -> flask.Response:
    """It is wanted no more."""
    return change(id, gateway_changes.stop, "stop")


@blueprint.post("/supervisor/<int:id>/restart")
@at_least(Role.OPERATOR)
def restart(id: int) -> flask.Response:
    """Stop, a second, start."""
    return change(id, gateway_changes.restart, "restart")


@blueprint.post("/supervisor/<int:id>/adopt")
@at_least(Role.OPERATOR)
def adopt(id: int) -> flask.Response:
    """Whoever holds its port is asked again to prove that it is this gateway, perhaps with the token it has."""
    token = flask.request.form.get("token", "").strip()

    def asked(session: Session, gateway: Gateway, by: User, now: Any) -> None:
        if token:
            gateway_changes.rotate(session, gateway, by, token, now)
        gateway_changes.start(session, gateway, by, now)

    return change(id, asked, "start")


def change(id: int, wanted: Change, verb: str) -> flask.Response:
    """Writes what is wanted, and goes back to the gateway on the page."""
    try:
        with transaction() as session:
            gateway = gateway_changes.locked(session, id)
            wanted(session, gateway, person(), database_time(session))
    except Refusal as refusal:
        if refusal.status == 404:
            raise
        return page(Form(**openclaw_preset.USUAL), refusal.status, str(refusal))
    flask.flash(gateway_words.ASKED[verb].format(gateway.name))
    return flask.make_response(flask.redirect(flask.url_for("supervisor.index", _anchor=f"gateway-{id}"), 303))


# -- another one -----------------------------------------------------------------------------------------------------


@blueprint.post("/supervisor")
@at_least(Role.OPERATOR)
def add() -> flask.Response:
    """Adds one from the form; it is started at once when that was asked for."""
    form = Form.posted(*openclaw_preset.USUAL)
    try:
        port, command, env = openclaw_preset.chosen(form.values)
        with transaction() as session:
            now = database_time(session)
            hosts = hub().config.gateway_hosts
            gateway = gateway_changes.add_managed(
                session, person(), form["name"], port, command, env, hosts, now, form["token"] or None
            )
            if form["start"]:
                gateway_changes.start(session, gateway, person(), now)
    except Refusal as refusal:
        return page(form.refused(refusal), 422)
    return go_to("supervisor.index", _anchor=f"gateway-{gateway.id}")
