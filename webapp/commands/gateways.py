"""Gateways and the agents behind them, from the command line. What is made here is found by a running hub at once."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import click
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from models import gateway_address, gateway_agents, gateway_changes, gateway_checks, gateway_removal
from models.base import database_time
from models.database import transaction
from models.gateway import Gateway
from models.gateway_request import GatewayRequest, Verb
from webapp import beside
from webapp.commands import asking
from webapp.commands.accounts import person
from webapp.commands.terminal import read_secret
from webapp.config import Config

KEY_HELP = "Read the gateway's token, one line, from standard input."


@click.group()
def gateway() -> None:
    """OpenClaw gateways."""


@gateway.command("add")
@click.argument("name")
@click.argument("given", nargs=-1, metavar="URL | -- COMMAND...")
@click.option("--managed", is_flag=True, help="Started and watched by this hub, with the command behind --.")
@click.option("--port", type=click.IntRange(1, 65535), help="Where a managed one listens.")
@click.option("--env", multiple=True, metavar="K=V", help="What a managed one finds in its environment.")
@click.option("--token-stdin", is_flag=True, help=KEY_HELP)
@click.option("--no-test", is_flag=True, help="Save without trying the connection.")
def add(
    name: str,
    given: tuple[str, ...],
    managed: bool,
    port: int | None,
    env: tuple[str, ...],
    token_stdin: bool,
    no_test: bool,
) -> None:
    """Add a gateway by its URL, tried before it is saved, or one that this hub starts; prints its id."""
    config = Config.from_env(os.environ)
    if managed:
        if port is None or not given:
            raise click.UsageError("Give --port PORT, and the command behind --.")
        _print_id(config, lambda session, now: _managed(session, config, name, port, given, env, token_stdin, now))
        return
    if len(given) != 1 or port is not None or env:
        raise click.UsageError("Give one URL, or --managed with --port PORT and the command behind --.")
    token = read_secret("token") if token_stdin else None
    with beside.joined(config) as engine:
        if not no_test:
            _try(engine, config, name, given[0], token)
        with transaction() as session:
            now = database_time(session)
            made = gateway_changes.add(session, None, name, given[0], config.gateway_hosts, now, token).id
    click.echo(made)


def _managed(
    session: Session,
    config: Config,
    name: str,
    port: int,
    command: Sequence[str],
    env: Sequence[str],
    token_stdin: bool,
    now: datetime,
) -> int:
    token = read_secret("token") if token_stdin else None
    made = gateway_changes.add_managed(
        session, None, name, port, command, variables(env), config.gateway_hosts, now, token
    )
    return made.id


def variables(pairs: Sequence[str]) -> dict[str, str]:
    """K=V as a dict. Raises UsageError."""
    found = dict(pair.partition("=")[::2] for pair in pairs)
    if any("=" not in pair for pair in pairs):
        raise click.UsageError("Write --env NAME=VALUE.")
    return found


def _try(engine: Engine, config: Config, name: str, url: str, token: str | None) -> None:
    """What can be refused at once is; then the connection is tried. Raises CommandError."""

    def draft(session: Session, now: datetime, within: timedelta) -> GatewayRequest:
        gateway_checks.free_name(session, name, None)
        address = gateway_address.check(url, config.gateway_hosts)
        key = gateway_checks.check_token(token)
        gateway_checks.check_key(session, address, key, None)
        return GatewayRequest.ask(session, Verb.TEST, None, None, now, within, url=address, token=key, name=name)

    _tell(asking.ask(engine, draft))


def _tell(answer: dict[str, Any]) -> None:
    if answer.get("words"):
        click.echo(answer["words"], err=True)


@gateway.command("test")
@click.argument("name")
def test(name: str) -> None:
    """Try the connection now, read which agents there are, and mark seats whose agent has vanished."""

    def question(session: Session, now: datetime, within: timedelta) -> GatewayRequest:
        return GatewayRequest.ask(session, Verb.TEST, gateway_changes.named(session, name).id, None, now, within)

    with beside.joined(Config.from_env(os.environ)) as engine:
        _tell(asking.ask(engine, question))


@gateway.command("start")
@click.argument("name")
def start(name: str) -> None:
    """Start a managed gateway."""
    _change(name, lambda session, found, now: gateway_changes.start(session, found, None, now))


@gateway.command("stop")
@click.argument("name")
def stop(name: str) -> None:
    """Stop a managed gateway."""
    _change(name, lambda session, found, now: gateway_changes.stop(session, found, None, now))


@gateway.command("restart")
@click.argument("name")
def restart(name: str) -> None:
    """Stop a managed gateway and start it again."""
    _change(name, lambda session, found, now: gateway_changes.restart(session, found, None, now))


@gateway.command("token")
@click.argument("name")
@click.option("--token-stdin", is_flag=True, help=KEY_HELP)
def token(name: str, token_stdin: bool) -> None:
    """Replace a gateway's token; it is tried at once."""
    if not token_stdin:
        raise click.UsageError("Pipe the token into --token-stdin.")
    given = read_secret("token")
    _change(name, lambda session, found, now: gateway_changes.rotate(session, found, None, given, now))


@gateway.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove a gateway, the agents behind it, and their open work."""
    _change(name, lambda session, found, now: gateway_removal.remove(session, found.id, None, now))


@click.group()
def agent() -> None:
    """Agents behind a gateway."""


@agent.command("add")
@click.argument("name")
@click.option("--owner", required=True, metavar="EMAIL", help="Whose agent it is.")
@click.option("--gateway", "gateway_name", required=True, metavar="NAME", help="Behind which gateway it lives.")
@click.option("--gateway-agent", required=True, metavar="ID", help="Which of the gateway's agents it is.")
@click.option("--token-stdin", is_flag=True, help="Give it a key of its own, one line from standard input.")
def add_agent(name: str, owner: str, gateway_name: str, gateway_agent: str, token_stdin: bool) -> None:
    """Put an agent behind a gateway; prints its id."""
    own = read_secret("token") if token_stdin else None

    def made(session: Session, now: datetime) -> int:
        whose = person(session, owner)
        found = gateway_changes.locked(session, gateway_changes.named(session, gateway_name).id)
        return gateway_agents.add(session, None, whose, name, found, gateway_agent, own).id

    _print_id(Config.from_env(os.environ), made)


def _print_id(config: Config, make: Callable[[Session, datetime], int]) -> None:
    with beside.joined(config), transaction() as session:
        id = make(session, database_time(session))
    click.echo(id)


def _change(name: str, verb: Callable[[Session, Gateway, datetime], Any]) -> None:
    with beside.joined(Config.from_env(os.environ)), transaction() as session:
        found = gateway_changes.locked(session, gateway_changes.named(session, name).id)
        verb(session, found, database_time(session))
