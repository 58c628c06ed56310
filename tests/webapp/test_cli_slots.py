"""`switchyard slots set`, as somebody at a terminal starts it."""

import os
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import select

from models.base import database_time
from models.chat_pool import ChatPool
from models.chat_slot import ChatSlot
from models.database import transaction
from models.gateway_request import GatewayRequest, Verb
from models.user import Role
from tests import warm
from tests.seats import Seats
from tests.visitor import newcomer


@pytest.fixture
def gateway(database_url: str) -> str:
    """The name of a gateway without seats."""
    owner = newcomer(Role.OPERATOR, "Jonas")
    with transaction() as session:
        return Seats.enter(session, owner, database_time(session)).gateway.name


def slots(database_url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHYARD_")}
    given = {**plain, "SWITCHYARD_DATABASE_URL": database_url, "SWITCHYARD_DATA_DIR": str(folder / "data")}
    return warm.run("webapp.cli", ["slots", "set", *arguments], cwd=folder, env=given)


def test_it_replaces_the_pool_and_prints_the_id_of_each_seat(database_url: str, tmp_path: Path, gateway: str) -> None:
    for ids, options in ((["slot-1"], ["--when-full", "wait"]), (["slot-2", "slot-1"], ["--agent", "main"])):
        done = slots(database_url, tmp_path, gateway.upper(), *options, *ids)
        assert (done.returncode, done.stderr) == (0, "")
        with transaction() as session:
            made = session.scalars(
                select(ChatSlot).where(ChatSlot.id.in_([int(id) for id in done.stdout.split()]))
            ).all()
            assert sorted(slot.name for slot in made) == sorted(ids)
            pools = {(pool.workspace_agent, pool.when_full) for pool in session.scalars(select(ChatPool))}
    assert {(None, "wait"), ("main", "fallback")} <= pools, "the default is to fall back"
    with transaction() as session:
        asked = session.scalars(select(GatewayRequest.id).where(GatewayRequest.verb == Verb.LIST_AGENTS)).all()
        assert len(asked) == 2, "the gateway is asked which of them it knows"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{gateway}"], 2, "Missing argument 'IDS...'"),
        (["{gateway}", "--when-full", "never", "slot-1"], 2, "Invalid value for '--when-full'"),
        (["nowhere", "slot-1"], 1, "There is no gateway called nowhere."),
        (["{gateway}", "slot-1", "SLOT-1"], 1, "SLOT-1 stands there twice. One agent is one seat."),
        (
            ["{gateway}", "--agent", "main", "main"],
            1,
            "main is the workspace agent itself.",
        ),
    ],
)
def test_what_is_no_pool_is_refused(
    database_url: str, tmp_path: Path, gateway: str, arguments: list[str], code: int, words: str
) -> None:
    done = slots(database_url, tmp_path, *(one.format(gateway=gateway) for one in arguments))
    assert (done.returncode, done.stdout) == (code, "") and words in done.stderr
