"""Lists that are longer than a page: every row is on one of the pages, once, and no figure is said of a part."""

import re

import pytest

from models import registration
from models.base import database_time
from models.creative import Creative
from models.database import transaction
from models.user import Role, User
from tests.seats import Seats
from tests.stage import Stage
from tests.visitor import Visitor, newcomer, words


def pages(visitor: Visitor, path: str, row: str) -> list[str]:
    """The ids of all rows, page by page, as far as the pages lead."""
    found: list[str] = []
    while path:
        text = visitor.get(path).text.split("<main")[1]
        found += re.findall(rf'id="{row}-(\d+)"', text)
        older = re.search(r'href="([^"]+[?&;](?:after|before)=[^"]+)"', text)
        path = older[1].replace("&amp;", "&") if older else ""
    return found


@pytest.mark.parametrize("show", ["", "?show=mine"])
def test_agents(stage: Stage, monkeypatch: pytest.MonkeyPatch, show: str) -> None:
    monkeypatch.setattr("webapp.pages.agents.MOST", 2)
    with transaction() as session:
        for name in ("anna", "Bert", "zoe", "scout-2"):
            registration.register(session, stage.alice, name, name, None, database_time(session))
    alice = stage.visitor(stage.alice)
    found = pages(alice, f"/agents{show}", "agent")
    assert len(found) == len(set(found)) == 5
    assert "All 2" not in words(alice.get(f"/agents{show}"))
    assert alice.get("/agents?after=x").status_code == alice.get("/agents?after=999999").status_code == 200


def test_plugins(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.pages.plugins.MOST", 2)
    stage.connect()
    with transaction() as session:
        for name in ("anna", "Bert", "zoe", "scout"):
            registration.register(session, stage.alice, name, "other", None, database_time(session))
    alice = stage.visitor(stage.alice)
    found = pages(alice, "/plugins", "plugin")
    assert len(found) == len(set(found)) == 5
    assert "are connected" not in words(alice.get("/plugins"))
    assert alice.get("/plugins?before=live-x").status_code == 200


def test_creatives(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.pages.creatives.MOST", 2)
    with transaction() as session:
        Creative.inbox_of(session, stage.alice.id)
        for name in ("Attic", "cellar", "Docs", "Yard"):
            Creative.create(session, stage.alice, name)
    alice = stage.visitor(stage.alice)
    found = pages(alice, "/creatives", "creative")
    assert len(found) == len(set(found)) == 6
    assert "open to you" not in words(alice.get("/creatives"))


def test_people(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    root = stage.visitor(newcomer(Role.ADMIN, "Root"))
    everybody = pages(root, "/people", "user")
    monkeypatch.setattr("webapp.pages.people.PAGE", len(everybody) // 2)
    assert pages(root, "/people", "user") == everybody
    assert "people are here" not in words(root.get("/people"))


def test_chats(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.pages.chats.PAGE", 2)
    with transaction() as session:
        seats = Seats.enter(session, session.get_one(User, stage.alice.id), database_time(session), 1)
        for number in range(5):
            seats.open()
            seats.later(number % 2)  # two of them were last used in the same moment
    alice = stage.visitor(stage.alice)
    found = pages(alice, "/chats", "chat")
    assert len(found) == len(set(found)) == 5
    assert "have a seat" not in words(alice.get("/chats")) and "No chats yet" not in words(alice.get("/chats?before=0"))
