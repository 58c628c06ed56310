"""The seats of a gateway, from the command line."""

import os

import click
from sqlalchemy import func, select

from models import pool_changes
from models.base import database_time
from models.chat_pool import WhenFull
from models.database import transaction
from models.errors import NotFound
from models.gateway import Gateway
from models.gateway_request import GatewayRequest, Verb
from webapp import beside
from webapp.config import Config


@click.group()
def slots() -> None:
    """The seats on which chats are answered."""


@slots.command("set")
@click.argument("gateway")
@click.argument("ids", nargs=-1, required=True)
@click.option("--agent", help="The workspace agent they are for; all that have no seats of their own if left out.")
@click.option(
    "--when-full",
    type=click.Choice([str(word) for word in WhenFull]),
    default=str(WhenFull.FALLBACK),
    help="Whether the workspace agent answers when all are taken (fallback, the default), or chats wait in line.",
)
def set_slots(gateway: str, ids: tuple[str, ...], agent: str | None, when_full: str) -> None:
    """Replace the pool of a gateway with these agents of it; prints the id of each seat."""
    with beside.joined(Config.from_env(os.environ)), transaction() as session:
        named = (func.lower(Gateway.name) == gateway.lower(), Gateway.removed_at.is_(None))
        found = session.scalars(select(Gateway).where(*named)).first()
        if found is None:
            raise NotFound(f"There is no gateway called {gateway}.")
        now = database_time(session)
        made = [slot.id for slot in pool_changes.set_pool(session, found.id, agent, when_full, ids, now)]
        if found.wanted:
            GatewayRequest.ask(session, Verb.LIST_AGENTS, found.id, None, now)
    click.echo("\n".join(str(id) for id in made))
