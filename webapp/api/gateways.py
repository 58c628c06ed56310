"""Gateways: to add, to change, to want or not to want, to test. For operators and admins."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy.orm import Session

from models import gateway_address, gateway_changes, gateway_checks, gateway_reading, gateway_removal, listing
from models.activity import Activity
from models.errors import Invalid, NotFound
from models.gateway import Gateway as Row
from models.gateway_request import GatewayRequest, Verb
from models.user import Role
from webapp import waiting
from webapp.api import gateway as objects
from webapp.api.door import Ask, Calls, Later
from webapp.api.fields import Page
from webapp.hub import hub

calls = Calls.named("gateways")

Port = Annotated[int, Meta(ge=1, le=65535)]


class NewGateway(msgspec.Struct, forbid_unknown_fields=True):
    """A gateway elsewhere (name, url), or one that this hub starts (name, managed, port, command).

    `test`, unless it is false: an address elsewhere is tried first, and saved only when it takes the hub.
    """

    name: str
    url: str | None = None
    token: str | None = None
    keep: bool = True
    test: bool = True
    managed: bool = False
    port: Port | None = None
    command: list[str] = []
    env: dict[str, str] = {}


class GatewayChanges(msgspec.Struct, forbid_unknown_fields=True):
    """What changes; what is left out stays. Another url drops the token, unless one comes with it."""

    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    token: str | UnsetType | None = UNSET
    keep: bool | UnsetType = UNSET
    command: list[str] | UnsetType = UNSET
    env: dict[str, str] | UnsetType = UNSET


@calls.call("GET", "/gateways", takes=Page, gives=objects.Gateways, role=Role.OPERATOR)
def list_gateways(ask: Ask[Page]) -> objects.Gateways:
    """All gateways."""
    rows, more = listing.page(ask.session, gateway_reading.gateways(), Row.id, ask.given.limit, ask.given.after)
    return objects.Gateways([objects.shown(row, ask.now) for row in rows], more)


def draft(ask: Ask[NewGateway]) -> GatewayRequest | None:
    """A gateway elsewhere is tried before it is saved; what can be refused at once is refused here."""
    given = ask.given
    if given.managed or not given.test:
        return None
    gateway_checks.free_name(ask.session, given.name, None)
    address = gateway_address.check(_url(given), hub().config.gateway_hosts)
    token = gateway_checks.check_token(given.token)
    gateway_checks.check_key(ask.session, address, token, None)
    return GatewayRequest.ask(
        ask.session, Verb.TEST, None, ask.user, ask.now, url=address, token=token, name=given.name
    )


@calls.call("POST", "/gateways", takes=NewGateway, gives=objects.Gateway, status=201, role=Role.OPERATOR, asks=draft)
def make_gateway(ask: Ask[NewGateway]) -> objects.Gateway:
    """Adds a gateway. One elsewhere is wanted at once; of one that this hub starts nothing starts before `start`."""
    given, hosts = ask.given, hub().config.gateway_hosts
    if ask.heard is not None:
        ask.heard.raise_refusal()
    if given.managed:
        made = gateway_changes.add_managed(
            ask.session,
            ask.user,
            given.name,
            given.port,
            given.command,
            given.env,
            hosts,
            ask.now,
            token=given.token,
            keep=given.keep,
        )
    else:
        made = gateway_changes.add(
            ask.session, ask.user, given.name, _url(given), hosts, ask.now, given.token, given.keep
        )
    return _shown(ask, made.id)


@calls.call("GET", "/gateways/<int:gateway_id>", gives=objects.Gateway, role=Role.OPERATOR)
def show_gateway(ask: Ask[None], gateway_id: int) -> objects.Gateway:
    """One gateway."""
    return _shown(ask, gateway_id)


@calls.call("PATCH", "/gateways/<int:gateway_id>", takes=GatewayChanges, gives=objects.Gateway, role=Role.OPERATOR)
def change_gateway(ask: Ask[GatewayChanges], gateway_id: int) -> objects.Gateway:
    """Renames, moves or keeps a gateway, or gives it another token."""
    given, session, by, now = ask.given, ask.session, ask.user, ask.now
    row = gateway_changes.locked(session, gateway_id)
    if given.name is not UNSET:
        gateway_changes.rename(session, row, by, given.name)
    token = None if given.token is UNSET else given.token
    if given.url is not UNSET and given.url != row.url:
        gateway_changes.move(session, row, by, given.url, hub().config.gateway_hosts, now, token)
    elif given.token is not UNSET:
        gateway_changes.rotate(session, row, by, token, now)
    if given.keep is not UNSET:
        gateway_changes.keep(session, row, by, given.keep)
    if given.command is not UNSET or given.env is not UNSET:
        command = None if given.command is UNSET else given.command
        gateway_changes.change_process(session, row, by, command, None if given.env is UNSET else given.env)
    return _shown(ask, gateway_id)


@calls.call("DELETE", "/gateways/<int:gateway_id>", advances=True, role=Role.OPERATOR)
def remove_gateway(ask: Ask[None], gateway_id: int) -> None:
    """Removes a gateway, the agents behind it, and their open work."""
    gateway_removal.remove(ask.session, gateway_id, ask.user, ask.now)


@calls.call("GET", "/gateways/<int:gateway_id>/timeline", takes=Page, gives=objects.GatewayTimeline, role=Role.OPERATOR)
def gateway_timeline(ask: Ask[Page], gateway_id: int) -> objects.GatewayTimeline:
    """Every change of a gateway's state, its cause, who was affected; the newest first."""
    gateway_changes.found(ask.session, gateway_id)
    query = gateway_reading.timeline(gateway_id)
    rows, more = listing.page(ask.session, query, Activity.id, ask.given.limit, ask.given.after)
    return objects.GatewayTimeline([objects.event(row[0]) for row in rows], more)


@calls.call(
    "GET", "/gateways/<int:gateway_id>/requests/<int:request_id>", gives=objects.GatewayAsked, role=Role.OPERATOR
)
def gateway_request(ask: Ask[None], gateway_id: int, request_id: int) -> objects.GatewayAsked:
    """What was asked of a gateway, and what came of it."""
    found = waiting.standing(request_id)
    if found.gateway_id != gateway_id:
        raise NotFound("There is no such request of this gateway.")
    return objects.asked(found)


def question(ask: Ask[Any], gateway_id: int) -> GatewayRequest:
    """A test is asked of whoever holds the gateway."""
    gateway_changes.found(ask.session, gateway_id)
    return GatewayRequest.ask(ask.session, Verb.TEST, gateway_id, ask.user, ask.now, within=waiting.PATIENCE)


@calls.call("POST", "/gateways/<int:gateway_id>/test", gives=objects.Gateway, role=Role.OPERATOR, asks=question)
def test_gateway(ask: Ask[None], gateway_id: int) -> objects.Gateway | Later:
    """Tries the connection now, reads which agents there are, and marks seats whose agent has vanished."""
    heard = ask.heard
    if heard is not None and not heard.is_over:
        return Later(heard.id)
    if heard is not None:
        heard.raise_refusal()
    return _shown(ask, gateway_id)


@calls.call("POST", "/gateways/<int:gateway_id>/connect", gives=objects.Gateway, role=Role.OPERATOR)
def connect_gateway(ask: Ask[None], gateway_id: int) -> objects.Gateway:
    """Wants the gateway: it is connected, and again whenever it was lost."""
    gateway_changes.connect(ask.session, gateway_changes.locked(ask.session, gateway_id), ask.user, ask.now)
    return _shown(ask, gateway_id)


@calls.call("POST", "/gateways/<int:gateway_id>/disconnect", gives=objects.Gateway, role=Role.OPERATOR)
def disconnect_gateway(ask: Ask[None], gateway_id: int) -> objects.Gateway:
    """Wants the gateway no more."""
    gateway_changes.disconnect(ask.session, gateway_changes.locked(ask.session, gateway_id), ask.user, ask.now)
    return _shown(ask, gateway_id)


@calls.call("POST", "/gateways/<int:gateway_id>/drain", gives=objects.Gateway, role=Role.OPERATOR)
def drain_gateway(ask: Ask[None], gateway_id: int) -> objects.Gateway:
    """Gives it no new work; what runs is finished."""
    gateway_changes.drain(ask.session, gateway_changes.locked(ask.session, gateway_id), ask.user)
    return _shown(ask, gateway_id)


@calls.call("POST", "/gateways/<int:gateway_id>/resume", gives=objects.Gateway, advances=True, role=Role.OPERATOR)
def resume_gateway(ask: Ask[None], gateway_id: int) -> objects.Gateway:
    """Gives it work again."""
    gateway_changes.resume(ask.session, gateway_changes.locked(ask.session, gateway_id), ask.user)
    return _shown(ask, gateway_id)


@calls.call("POST", "/gateways/<int:gateway_id>/start", gives=objects.Gateway, role=Role.OPERATOR)
def start_gateway(ask: Ask[None], gateway_id: int) -> objects.Gateway:
    """Starts a gateway on this machine."""
    gateway_changes.start(ask.session, gateway_changes.locked(ask.session, gateway_id), ask.user, ask.now)
    return _shown(ask, gateway_id)


@calls.call("POST", "/gateways/<int:gateway_id>/stop", gives=objects.Gateway, role=Role.OPERATOR)
def stop_gateway(ask: Ask[None], gateway_id: int) -> objects.Gateway:
    """Stops a gateway on this machine."""
    gateway_changes.stop(ask.session, gateway_changes.locked(ask.session, gateway_id), ask.user, ask.now)
    return _shown(ask, gateway_id)


@calls.call("POST", "/gateways/<int:gateway_id>/restart", gives=objects.Gateway, role=Role.OPERATOR)
def restart_gateway(ask: Ask[None], gateway_id: int) -> objects.Gateway:
    """Stops a gateway on this machine and starts it again."""
    gateway_changes.restart(ask.session, gateway_changes.locked(ask.session, gateway_id), ask.user, ask.now)
    return _shown(ask, gateway_id)


def _url(given: NewGateway) -> str:
    if given.port is not None or given.command or given.env:
        raise Invalid(managed="managed: set it to true for a gateway with a port and a command, or leave those out.")
    return given.url or ""


def _shown(ask: Ask[Any], id: int) -> objects.Gateway:
    session: Session = ask.session
    session.flush()
    row = gateway_reading.one(session, id)
    if row is None:
        raise NotFound("There is no such gateway here.")
    return objects.shown(row, ask.now)
