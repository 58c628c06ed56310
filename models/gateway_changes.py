"""What people decide about gateways: to add one, change it, connect it, drain it. Each verb is a line in its timeline.

A verb only says what is *wanted*; whoever holds the gateway makes it so. `by` is who decides, None at the command line.
"""

import secrets
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models import gateway_address, gateway_checks
from models.agent import Agent
from models.errors import Invalid, NotFound, WrongState
from models.gateway import Gateway
from models.gateway_states import GatewayState, Happening
from models.user import User

NOBODY = "The command line"
# A gateway whose secrets cannot be opened can be given others all the same.
CLOSED = gateway_checks.CLOSED


# -- finding -----------------------------------------------------------------------------------------------------------


def found(session: Session, id: int) -> Gateway:
    """The gateway with this id. Raises NotFound."""
    gateway = session.get(Gateway, id, options=CLOSED)
    if gateway is None or gateway.removed_at is not None:
        raise NotFound("There is no such gateway here.")
    return gateway


def locked(session: Session, id: int) -> Gateway:
    """The gateway under its row lock, so that two people change it one after the other. Raises NotFound."""
    query = select(Gateway).where(Gateway.id == id, Gateway.removed_at.is_(None)).options(*CLOSED)
    gateway = session.scalars(query.with_for_update(key_share=True).execution_options(populate_existing=True)).first()
    if gateway is None:
        raise NotFound("There is no such gateway here.")
    return gateway


def named(session: Session, name: str) -> Gateway:
    """The gateway of this name, in any case. Raises NotFound."""
    mine = (func.lower(Gateway.name) == name.strip().lower(), Gateway.removed_at.is_(None))
    gateway = session.scalars(select(Gateway).where(*mine).options(*CLOSED)).first()
    if gateway is None:
        raise NotFound(f"There is no gateway named {name.strip()[:80]} here.")
    return gateway


# -- adding ------------------------------------------------------------------------------------------------------------


def add(
    session: Session,
    by: User | None,
    name: str,
    url: str,
    hosts: Container[str],
    now: datetime,
    token: str | None = None,
    keep: bool = True,
) -> Gateway:
    """A gateway that runs elsewhere; it is wanted at once.

    `hosts` is what SWITCHYARD_GATEWAY_HOSTS lists. Raises Invalid, NameTaken, UrlRefused, KeyDiffers.
    """
    address = gateway_address.check(url, hosts)
    gateway = _new(session, by, name, url.strip(), address, gateway_checks.check_token(token), now)
    gateway.keep, gateway.wanted = keep, True
    gateway.happened(session, Happening.WANTED, now, f"{_name(by)} added it, at {address}.", actor=_name(by))
    return gateway


def add_managed(
    session: Session,
    by: User | None,
    name: str,
    port: int | None,
    command: Sequence[str],
    env: Mapping[str, str],
    hosts: Container[str],
    now: datetime,
    token: str | None = None,
    keep: bool = True,
) -> Gateway:
    """A gateway that runs here as a process of ours; nothing starts until `start`.

    Without a token it is given one that nobody has chosen. Raises Invalid, NameTaken, KeyDiffers.
    """
    port, key = gateway_checks.check_port(port), gateway_checks.check_token(token) or secrets.token_urlsafe(32)
    words, variables = gateway_checks.check_command(command, key), gateway_checks.check_env(env)
    taken = (Gateway.managed, Gateway.port == port, Gateway.removed_at.is_(None))
    other = session.scalars(select(Gateway).where(*taken)).first()
    if other is not None:
        raise Invalid(port=f"Port {port} is {other.name}’s. Choose another port.")
    address = gateway_address.check(f"ws://127.0.0.1:{port}", hosts)
    gateway = _new(session, by, name, address, address, key, now)
    gateway.managed, gateway.port, gateway.command, gateway.env = True, port, words, _sealed(variables)
    gateway.keep, gateway.wanted = keep, False
    gateway.note(session, "added", f"{_name(by)} added it, on port {port}. Nothing was started.", **_about(by))
    gateway.changed(session)
    return gateway


def _new(
    session: Session, by: User | None, name: str, url: str, address: str, token: str | None, now: datetime
) -> Gateway:
    name = gateway_checks.free_name(session, name, None)
    gateway_checks.check_key(session, address, token, None)
    gateway = Gateway(
        name=name,
        url=url,
        address=address,
        token=token,
        token_set_at=now if token else None,
        created_by=None if by is None else by.id,
        changed_at=now,
        state=GatewayState.STOPPED,
        open_runs=0,
        buffered_bytes=0,
    )
    session.add(gateway)
    session.flush()
    return gateway


# -- changing ----------------------------------------------------------------------------------------------------------


def rename(session: Session, gateway: Gateway, by: User | None, name: str) -> None:
    """Another name. Raises Invalid, NameTaken."""
    before, name = gateway.name, gateway_checks.free_name(session, name, gateway.id)
    if name == before:
        return
    gateway.name = name
    gateway.note(session, "renamed", f"{_name(by)} renamed it: it was {before}.", **_about(by))
    gateway.changed(session)


def move(
    session: Session,
    gateway: Gateway,
    by: User | None,
    url: str,
    hosts: Container[str],
    now: datetime,
    token: str | None = None,
) -> None:
    """Another address. Token and device belong to the old one and are dropped; `token` is for the new one.

    Raises UrlRefused, KeyDiffers, Invalid; WrongState for a managed one, whose address follows from its port.
    """
    if gateway.managed:
        raise WrongState(f"{gateway.name} runs on this machine: its address follows from its port.")
    address, token = gateway_address.check(url, hosts), gateway_checks.check_token(token)
    if address == gateway.address:
        gateway.url = url.strip()
        if token is not None:
            rotate(session, gateway, by, token, now)
        return
    gateway_checks.check_key(session, address, token, gateway.id)
    gateway.url, gateway.address = url.strip(), address
    _forget(gateway)
    gateway.token, gateway.token_set_at = token, now if token else None
    Agent.judge_keys(session, gateway)
    saved = "a new one was saved" if token else "a new one is needed"
    _try_again(
        session, gateway, by, now, "moved", f"replaced the address: {address}. The old token was dropped, {saved}."
    )


def rotate(session: Session, gateway: Gateway, by: User | None, token: str | None, now: datetime) -> None:
    """Another token, None for none; also for those that share its address, and with it one socket. Raises Invalid."""
    token = gateway_checks.check_token(token)
    for one in gateway_checks.sharing(session, gateway.address):
        one.token, one.token_set_at = token, now if token else None
        gateway_checks.drop_device_token(one)
        Agent.judge_keys(session, one)
        _try_again(session, one, by, now, "token", "replaced the token." if token else "removed the token.")


def keep(session: Session, gateway: Gateway, by: User | None, kept: bool) -> None:
    """Whether it stays connected while nobody uses it."""
    if gateway.keep == kept:
        return
    gateway.keep = kept
    words = "keeps it connected." if kept else "lets it go when nobody uses it."
    gateway.note(session, "kept" if kept else "not_kept", f"{_name(by)} {words}", **_about(by))
    gateway.changed(session)


def change_process(
    session: Session, gateway: Gateway, by: User | None, command: Sequence[str] | None, env: Mapping[str, str] | None
) -> None:
    """Another command, another environment, for the next start. Raises Invalid, WrongState."""
    _check_managed(gateway)
    if command is not None:
        gateway.command = gateway_checks.check_command(command, gateway.token)
    if env is not None:
        gateway.env = _sealed(gateway_checks.check_env(env))
    gateway.note(session, "command", f"{_name(by)} changed how it is started.", **_about(by))
    gateway.changed(session)


# -- wanting -----------------------------------------------------------------------------------------------------------


def connect(session: Session, gateway: Gateway, by: User | None, now: datetime) -> None:
    """It is wanted; what a refused secret or a bad configuration waited for is tried again."""
    gateway.wanted = True
    _try_again(session, gateway, by, now, "wanted", "started it." if gateway.managed else "connected it.")


def disconnect(session: Session, gateway: Gateway, by: User | None, now: datetime) -> None:
    """It is wanted no more. A process of ours is ended by who holds it, which then says so."""
    gateway.wanted, gateway.restart_wanted_at = False, None
    if gateway.managed and gateway.pid is not None:
        gateway.note(session, "unwanted", f"{_name(by)} stops it.", **_about(by))
        gateway.changed(session)
        return
    words = f"{_name(by)} {'stopped' if gateway.managed else 'disconnected'} it."
    gateway.happened(session, Happening.UNWANTED, now, words, actor=_name(by))


def start(session: Session, gateway: Gateway, by: User | None, now: datetime) -> None:
    """Starts a process of ours. Raises WrongState for a gateway that runs elsewhere."""
    _check_managed(gateway)
    connect(session, gateway, by, now)


def stop(session: Session, gateway: Gateway, by: User | None, now: datetime) -> None:
    """Stops a process of ours. Raises WrongState for a gateway that runs elsewhere."""
    _check_managed(gateway)
    disconnect(session, gateway, by, now)


def restart(session: Session, gateway: Gateway, by: User | None, now: datetime) -> None:
    """Stops and starts a process of ours. Raises WrongState for a gateway that runs elsewhere."""
    _check_managed(gateway)
    gateway.restart_wanted_at, gateway.wanted = now, True
    _try_again(session, gateway, by, now, "restart", "restarts it.")


def drain(session: Session, gateway: Gateway, by: User | None) -> None:
    """It takes no new work and finishes what runs."""
    _set_draining(session, gateway, by, True, "drains it: no new work, what runs is finished.")


def resume(session: Session, gateway: Gateway, by: User | None) -> None:
    """It takes new work again."""
    _set_draining(session, gateway, by, False, "lets it take work again.")


def _set_draining(session: Session, gateway: Gateway, by: User | None, draining: bool, words: str) -> None:
    if gateway.draining == draining:
        return
    gateway.draining = draining
    gateway.note(session, "draining" if draining else "resumed", f"{_name(by)} {words}", **_about(by))
    gateway.changed(session)


def _try_again(session: Session, gateway: Gateway, by: User | None, now: datetime, event: str, words: str) -> None:
    """Somebody changed something: a state that waited for a person is left, any other stays."""
    gateway.changed_at = now
    waits = gateway.state in (GatewayState.STOPPED, GatewayState.ERROR)
    if gateway.wanted and waits:
        gateway.happened(session, Happening.WANTED, now, f"{_name(by)} {words}", actor=_name(by))
        return
    gateway.note(session, event, f"{_name(by)} {words}", **_about(by))
    gateway.changed(session)


def _forget(gateway: Gateway) -> None:
    """What was known of the gateway at the old address."""
    gateway.device_key = gateway.device_token = gateway.device_scopes = None
    gateway.protocol = gateway.version = gateway.boot_id = gateway.scopes = gateway.missing_scopes = None
    gateway.latency_ms = gateway.listed_agents = gateway.listed_at = None


def _check_managed(gateway: Gateway) -> None:
    if not gateway.managed:
        raise WrongState(f"{gateway.name} is not started by this hub: it runs elsewhere. Start or stop it there.")


def _sealed(env: dict[str, str]) -> str | None:
    return msgspec.json.encode(env).decode() if env else None


def _name(by: User | None) -> str:
    return NOBODY if by is None else by.name


def _about(by: User | None) -> dict[str, Any]:
    return {"actor": _name(by), "user_id": None if by is None else by.id}
