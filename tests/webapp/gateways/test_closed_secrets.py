"""A gateway whose secrets cannot be opened: it says so, and keeps no other gateway from being held."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func

from models import gateway_changes, sealed
from models.activity import Activity
from models.base import database_time
from models.database import Rules, transaction
from models.gateway import Gateway
from tests.webapp.gateways.scripted import closed_port
from webapp.gateways.fleet import Fleet

LOST, KEPT = "the key that was lost", "the key that is kept"


class Quiet:
    """Streams on which nothing is said."""

    def follow(self, *about: Any) -> None: ...

    def leave(self, *about: Any) -> None: ...


@pytest.fixture(autouse=True)
def keys(database_url: str) -> Iterator[None]:
    before = sealed._ring
    sealed.use_keys([LOST])
    yield
    sealed._ring = before


def gateway(name: str) -> int:
    with transaction() as session:
        address = f"ws://127.0.0.1:{closed_port()}"
        made = gateway_changes.add(session, None, name, address, (), database_time(session), f"the token of {name}")
        return made.id


def row(id: int) -> Any:
    due = (Gateway.next_attempt_at <= func.now()).label("due")
    shown = (Gateway.state, Gateway.reason, Gateway.held_by, due)
    with transaction() as session:
        return session.query(*shown).filter_by(id=id).one()


def test_one_whose_secrets_cannot_be_opened_says_so_once_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.gateways.fleet.Supervisor.start", lambda supervisor: None)
    monkeypatch.setattr("webapp.gateways.fleet.Crew.start", lambda crew: None)
    shut = gateway("shut away")
    sealed.use_keys([KEPT])
    open_ = gateway("wide open")
    quiet: Any = Quiet()
    fleet = Fleet(quiet, Rules(), (), tmp_path, leave_processes=False)
    for _ in range(3):
        fleet._take()
    assert (row(shut).state, row(shut).held_by) == ("error", None)
    assert "was sealed with key" in row(shut).reason
    with transaction() as session:
        assert session.query(Activity).filter_by(gateway_id=shut, event="refused").count() == 1
    assert row(open_).held_by is not None
    sealed.use_keys([KEPT, LOST])
    fleet._take()
    assert (row(shut).held_by, row(shut).due) == (0, True)  # with the key it is tried again by itself


def test_a_new_token_is_enough_where_the_device_key_cannot_be_opened_either() -> None:
    id = gateway("half open")
    with transaction() as session:
        session.get_one(Gateway, id).device_key = "the key of this hub's device"
    sealed.use_keys([KEPT])
    with transaction() as session:
        row = gateway_changes.locked(session, id)
        gateway_changes.rotate(session, row, None, "another token", database_time(session))
    with transaction() as session:
        row = session.get_one(Gateway, id)
        assert (row.token, row.device_key) == ("another token", None)
