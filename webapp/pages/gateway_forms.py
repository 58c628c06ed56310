"""The forms of a gateway: add one, change its address or its token, put an agent behind it, remove it.

A token that was typed is never shown again; while a form goes back and forth it travels sealed, so that only this hub
can open it.
"""

import shlex
from typing import Any

import flask

from models import (
    gateway_address,
    gateway_agents,
    gateway_changes,
    gateway_checks,
    gateway_reading,
    gateway_removal,
    sealed,
)
from models.base import database_time
from models.database import transaction
from models.errors import Invalid, NotFound, Refusal
from models.gateway_request import GatewayRequest, Verb
from models.user import Role, User
from webapp import waiting
from webapp.advance import advance_due_topics
from webapp.auth import at_least, person
from webapp.hub import hub
from webapp.pages import gateway_shown as shown
from webapp.pages.activity import as_id
from webapp.pages.forms import Form, answer, go_to

blueprint = flask.Blueprint("gateway_forms", __name__)


# -- adding ------------------------------------------------------------------------------------------------------------


@blueprint.get("/gateways/new")
@at_least(Role.OPERATOR)
def new() -> flask.Response:
    """Where it runs: elsewhere, or on this machine (`?here=yes`)."""
    if flask.request.args.get("here"):
        return answer(
            "gateways/new_here.html", form=Form(name="", port="18789", command="openclaw gateway", env="", token="")
        )
    return answer("gateways/new.html", form=Form(name="", url="ws://127.0.0.1:18789", token=""), result=None, kept=None)


@blueprint.post("/gateways/new")
@at_least(Role.OPERATOR)
def create() -> flask.Response:
    """Tests (`do` is test) or saves; the result of a test stands on the page before the button that saves."""
    form = Form.posted("name", "url", "token")
    token = form["token"].strip() or opened(flask.request.form.get("kept", ""))
    form.values["token"] = ""
    kept = sealed.ring().seal(token) if token else None
    try:
        if flask.request.form.get("do") == "test":
            heard = tried(form, token)
            status = 200 if heard.is_good else 422
            return answer("gateways/new.html", status, form=form, result=shown.result(heard), kept=kept)
        with transaction() as session:
            now, hosts = database_time(session), hub().config.gateway_hosts
            made = gateway_changes.add(session, person(), form["name"], form["url"], hosts, now, token)
    except Refusal as refusal:
        return answer("gateways/new.html", 422, form=form.refused(refusal), result=None, kept=kept)
    return go_to("gateways.show", id=made.id)


def tried(form: Form, token: str | None) -> waiting.Answer:
    """What a test of the draft finds; waits 10 s at most, outside of any transaction.

    Raises what can be refused at once.
    """
    with transaction() as session:
        name = gateway_checks.free_name(session, form["name"], None)
        address = gateway_address.check(form["url"], hub().config.gateway_hosts)
        key = gateway_checks.check_token(token)
        gateway_checks.check_key(session, address, key, None)
        now = database_time(session)
        asked = GatewayRequest.ask(session, Verb.TEST, None, person(), now, url=address, token=key, name=name)
    return waiting.answer_to(asked.id)


def opened(kept: str) -> str | None:
    """The token that came back sealed; None for none, or for one that this hub has not sealed."""
    try:
        return str(sealed.ring().open(kept)) if kept else None
    except Refusal:
        return None


@blueprint.post("/gateways/new/here")
@at_least(Role.OPERATOR)
def create_here() -> flask.Response:
    """Saves a gateway of this machine; nothing starts yet."""
    form = Form.posted("name", "port", "command", "env", "token")
    token = form["token"].strip() or None
    form.values["token"] = ""
    try:
        port = as_id(form["port"].strip())
        with transaction() as session:
            made = gateway_changes.add_managed(
                session,
                person(),
                form["name"],
                port,
                split(form["command"]),
                variables(form["env"]),
                hub().config.gateway_hosts,
                database_time(session),
                token=token,
            )
    except Refusal as refusal:
        return answer("gateways/new_here.html", 422, form=form.refused(refusal))
    return go_to("gateways.show", id=made.id)


def split(line: str) -> list[str]:
    """The words of a command as a shell would tell them apart. Raises Invalid (command)."""
    try:
        return shlex.split(line)
    except ValueError:
        raise Invalid(command="A quotation mark has no end. Close it, or leave it out.") from None


def variables(lines: str) -> dict[str, str]:
    """NAME=VALUE, one a line. Raises Invalid (env)."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, lines.splitlines())):
        name, equals, value = line.partition("=")
        if not equals:
            raise Invalid(env=f"Write NAME=VALUE, one a line; {name[:40]} has no =.")
        found[name.strip()] = value
    return found


# -- changing ----------------------------------------------------------------------------------------------------------


@blueprint.get("/gateways/<int:id>/address")
@at_least(Role.OPERATOR)
def address(id: int) -> flask.Response:
    """Its name and its address."""
    row = found(id)
    return answer("gateways/address.html", one=row, form=Form(name=row.name, url=row.url, token=""))


@blueprint.post("/gateways/<int:id>/address")
@at_least(Role.OPERATOR)
def change_address(id: int) -> flask.Response:
    """Renames it, or moves it: then the old token is dropped."""
    row, form = found(id), Form.posted("name", "url", "token")
    token = form["token"].strip() or None
    form.values["token"] = ""
    try:
        with transaction() as session:
            now, gateway = database_time(session), gateway_changes.locked(session, id)
            gateway_changes.rename(session, gateway, person(), form["name"])
            if not gateway.managed and form["url"].strip() != gateway.url:
                gateway_changes.move(session, gateway, person(), form["url"], hub().config.gateway_hosts, now, token)
    except Refusal as refusal:
        return refused(refusal, "gateways/address.html", one=row, form=form)
    return go_to("gateways.show", id=id)


@blueprint.get("/gateways/<int:id>/token")
@at_least(Role.OPERATOR)
def token(id: int) -> flask.Response:
    """Another token; the one that is there is not shown."""
    return answer("gateways/token.html", one=found(id), form=Form(token=""))


@blueprint.post("/gateways/<int:id>/token")
@at_least(Role.OPERATOR)
def change_token(id: int) -> flask.Response:
    """Replaces the token, and tries what a refused one waited for."""
    row, form = found(id), Form.posted("token")
    given = form["token"].strip() or None
    form.values["token"] = ""
    try:
        if given is None:
            raise Invalid(token="Enter the new token. To use the gateway without one, change its address.")  # noqa: S106
        with transaction() as session:
            gateway_changes.rotate(
                session, gateway_changes.locked(session, id), person(), given, database_time(session)
            )
    except Refusal as refusal:
        return refused(refusal, "gateways/token.html", one=row, form=form)
    flask.flash("Token replaced")
    return go_to("gateways.show", id=id)


# -- agents ------------------------------------------------------------------------------------------------------------


@blueprint.get("/gateways/<int:id>/agents")
@at_least(Role.OPERATOR)
def agents(id: int) -> flask.Response:
    """Which of the gateway's agents is to work here, and whose it is to be."""
    return agent_page(id, Form(name="", gateway_agent_id="", owner=str(person().id)))


@blueprint.post("/gateways/<int:id>/agents")
@at_least(Role.OPERATOR)
def add_agent(id: int) -> flask.Response:
    """Puts an agent behind the gateway; `do` is list: asks the gateway which agents it has."""
    form = Form.posted("name", "gateway_agent_id", "owner")
    try:
        if flask.request.form.get("do") == "list":
            listed(id)
            return agent_page(id, form)
        with transaction() as session:
            owner = User.by_id(session, as_id(form["owner"]) or 0)
            if owner is None:
                raise Invalid(owner="Choose whose agent it is.")
            gateway = gateway_changes.locked(session, id)
            chosen = form["gateway_agent_id"].strip()
            gateway_agents.add(session, person(), owner, form["name"] or chosen, gateway, chosen)
    except Refusal as refusal:
        if isinstance(refusal, NotFound):
            raise
        return agent_page(id, form.refused(refusal), 422)
    return go_to("gateways.show", id=id)


def listed(id: int) -> None:
    """Asks the gateway for its agents; what it answers is on its row. Raises GatewayRefused."""
    with transaction() as session:
        gateway_changes.found(session, id)
        asked = GatewayRequest.ask(session, Verb.LIST_AGENTS, id, person(), database_time(session))
    waiting.answer_to(asked.id).raise_refusal()


def agent_page(id: int, form: Form, status: int = 200) -> flask.Response:
    """The form; the gateway's agents as it listed them last."""
    row = found(id)
    with transaction() as session:
        owners = [(user.id, user.name) for user in User.members(session) if user.role != Role.VIEWER]
    choices = [(str(one.get("id")), choice(one)) for one in row.listed_agents or [] if isinstance(one, dict)]
    return answer("gateways/agent.html", status, one=row, form=form, owners=owners, choices=choices)


def choice(listed: dict[str, Any]) -> str:
    """ "main, Main helper"."""
    id, name = str(listed.get("id")), listed.get("name")
    return f"{id}, {name}" if name and str(name).lower() != id.lower() else id


# -- removing ----------------------------------------------------------------------------------------------------------


@blueprint.get("/gateways/<int:id>/remove")
@at_least(Role.OPERATOR)
def ask(id: int) -> flask.Response:
    """Names what is lost."""
    with transaction() as session:
        loss = gateway_removal.loss(session, gateway_changes.found(session, id))
    return answer("gateways/remove.html", one=found(id), loss=loss)


@blueprint.post("/gateways/<int:id>/remove")
@at_least(Role.OPERATOR)
def remove(id: int) -> flask.Response:
    """Removes it, its agents and their open work."""
    with transaction() as session:
        name = gateway_removal.remove(session, id, person(), database_time(session)).name
    advance_due_topics()
    flask.flash(f"{name} is removed.")
    return go_to("gateways.index")


def found(id: int) -> Any:
    """The gateway's row. Raises NotFound."""
    with transaction() as session:
        row = gateway_reading.one(session, id)
    if row is None:
        raise NotFound("There is no such gateway here.")
    return row


def refused(refusal: Refusal, template: str, form: Form, **context: Any) -> flask.Response:
    """The form again, with why; what is gone is gone."""
    if isinstance(refusal, NotFound):
        raise refusal
    return answer(template, 422, form=form.refused(refusal), **context)
