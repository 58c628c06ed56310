"""Gateways and agents from the command line, as processes, with and without a hub that answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from models.agent import Agent
from models.base import database_time
from models.database import transaction
from models.gateway import Gateway
from models.gateway_request import GatewayRequest
from models.process import Process
from models.user import Role
from tests.conditions import until
from tests.conftest import KEYS
from tests.visitor import newcomer
from tests.webapp.test_cli import Command, sentences
from tests.webapp.test_cli import command as in_another_folder

__all__ = ["in_another_folder"]
URL = "ws://127.0.0.1:18789"


@pytest.fixture
def command(in_another_folder: Command) -> Command:
    """Commands that know the key with which this process seals."""
    return partial(in_another_folder, SECRET_KEY=KEYS[0])


@pytest.fixture(autouse=True)
def nothing_there(database_url: str) -> None:
    """No gateway, no wish, no hub that runs."""
    with transaction() as session:
        session.execute(update(Gateway).where(Gateway.removed_at.is_(None)).values(removed_at=database_time(session)))
        session.execute(delete(GatewayRequest))
        session.execute(delete(Process))


def only() -> Gateway:
    with transaction() as session:
        return session.scalars(select(Gateway).where(Gateway.removed_at.is_(None))).one()


@contextmanager
def a_hub_answers(refusal: str | None = None, gateway_id: int | None = None) -> Iterator[list[dict[str, Any]]]:
    """A hub that runs and answers one wish; what it was given."""
    given: list[dict[str, Any]] = []
    with transaction() as session:
        Process.start(session, database_time(session))

    def answer() -> bool:
        with transaction() as session:
            now = database_time(session)
            found = GatewayRequest.claim(session, gateway_id, 1, now)
            if found is None:
                return False
            given.append(found.given)
            if refusal is None:
                found.done(session, {"words": "It works: protocol 4."}, now)
            else:
                found.refuse(session, "token_refused", refusal, now)
            return True

    thread = threading.Thread(target=lambda: until(answer, seconds=20))
    thread.start()
    try:
        yield given
    finally:
        thread.join()


def test_add_tests_the_connection_before_it_saves_and_prints_the_id_alone(command: Command) -> None:
    with a_hub_answers() as given:
        done = command("gateway", "add", "office", URL, "--token-stdin", stdin="key\n")
    assert given == [{"url": URL, "token": "key", "name": "office"}]
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{only().id}\n", "It works: protocol 4.\n")
    assert (only().token, only().wanted, only().url) == ("key", True, URL)


def test_what_the_gateway_refuses_is_a_sentence_and_nothing_is_saved(command: Command) -> None:
    with a_hub_answers("The gateway refused the token."):
        done = command("gateway", "add", "office", URL, "--token-stdin", stdin="wrong")
    assert sentences(done, 1) == "The gateway refused the token.\n"
    with transaction() as session:
        assert session.scalars(select(Gateway).where(Gateway.removed_at.is_(None))).all() == []


def test_without_a_hub_the_connection_is_tried_all_the_same(command: Command) -> None:
    done = command("gateway", "add", "office", "ws://127.0.0.1:9")
    assert "127.0.0.1" in sentences(done, 1)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["far", "ws://example.org"], 1, "Use wss:// for example.org"),
        (["far", "http://127.0.0.1"], 1, "must begin with ws://"),
        (["OFFICE", "ws://127.0.0.1:1"], 1, "There is a gateway named OFFICE here."),
        (["twin", URL], 1, "office uses this address with another token."),
        (["far"], 2, "Give one URL"),
        (["far", URL, "--port", "5"], 2, "Give one URL"),
        (["far", "--managed", "--port", "5"], 2, "the command behind --"),
        (["far", "--managed", "--", "run"], 2, "Give --port PORT"),
        (["far", "--managed", "--port", "5", "--env", "A", "--", "run"], 2, "Write --env NAME=VALUE."),
    ],
)
def test_what_cannot_be_added_says_why(command: Command, arguments: list[str], code: int, sentence: str) -> None:
    command("gateway", "add", "office", URL, "--token-stdin", "--no-test", stdin="key")
    assert sentence in sentences(command("gateway", "add", *arguments), code)


def test_a_managed_one_is_saved_with_its_command_and_nothing_starts(command: Command) -> None:
    options = ["--managed", "--port", "18802", "--token-stdin", "--env", "A=1", "--env", "B=x=y"]
    done = command("gateway", "add", "lab", *options, "--", "openclaw", "gateway", "--verbose", stdin="key\n")
    lab = only()
    assert (done.returncode, done.stdout) == (0, f"{lab.id}\n"), done.stderr
    assert (lab.command, lab.env) == (["openclaw", "gateway", "--verbose"], '{"A":"1","B":"x=y"}')
    assert (lab.token, lab.port, lab.wanted, lab.managed) == ("key", 18802, False, True)
    for verb, wanted in (("start", True), ("restart", True), ("stop", False)):
        assert (command("gateway", verb, "LAB").returncode, only().wanted) == (0, wanted)


def test_verbs_of_a_process_are_refused_for_one_that_runs_elsewhere(command: Command) -> None:
    command("gateway", "add", "office", URL, "--no-test")
    assert "office is not started by this hub" in sentences(command("gateway", "stop", "office"), 1)


def test_a_token_comes_from_standard_input_only(command: Command) -> None:
    command("gateway", "add", "office", URL, "--no-test")
    assert command("gateway", "token", "office", "--token-stdin", stdin="new\n").returncode == 0
    assert only().token == "new"
    assert "Pipe the token into --token-stdin." in sentences(command("gateway", "token", "office"), 2)


def test_test_says_what_was_found(command: Command) -> None:
    command("gateway", "add", "office", URL, "--no-test")
    with a_hub_answers(gateway_id=only().id):
        done = command("gateway", "test", "office")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "It works: protocol 4.\n")
    with a_hub_answers("office refused the token.", only().id):
        assert sentences(command("gateway", "test", "office"), 1) == "office refused the token.\n"
    assert sentences(command("gateway", "test", "nowhere"), 1) == "There is no gateway named nowhere here.\n"


def test_an_agent_is_put_behind_a_gateway_for_its_owner(command: Command) -> None:
    nora = newcomer(name="Nora")
    command("gateway", "add", "office", URL, "--token-stdin", "--no-test", stdin="key")
    options = ["--owner", nora.email, "--gateway", "office", "--gateway-agent", "main"]
    done = command("agent", "add", "scout", *options)
    with transaction() as session:
        scout = session.scalars(select(Agent).where(Agent.owner_id == nora.id)).one()
        assert (done.returncode, done.stdout) == (0, f"{scout.id}\n"), done.stderr
        assert (scout.gateway_id, scout.gateway_agent_id, scout.key_differs) == (only().id, "main", False)
        assert scout.routable(session, database_time(session))
    command("agent", "add", "own", *options, "--token-stdin", stdin="other")
    with transaction() as session:
        own = session.scalars(select(Agent).where(Agent.handle == "own")).one()
        assert (own.own_token, own.key_differs) == ("other", True)
    assert "Nora has an agent named Scout." in sentences(command("agent", "add", "Scout", *options), 1)
    viewer = newcomer(Role.VIEWER, "Vera")
    options[1] = viewer.email
    assert "Vera is a viewer" in sentences(command("agent", "add", "x", *options), 1)
    assert "Missing option" in sentences(command("agent", "add", "x", "--owner", nora.email), 2)


def test_a_removed_gateway_takes_its_agents_with_it(command: Command) -> None:
    nora = newcomer(name="Nora")
    command("gateway", "add", "office", URL, "--no-test")
    command("agent", "add", "scout", "--owner", nora.email, "--gateway", "office", "--gateway-agent", "main")
    assert command("gateway", "remove", "office").returncode == 0
    with transaction() as session:
        assert session.scalars(select(Agent.removed_at).where(Agent.owner_id == nora.id)).one() is not None
    assert "There is no gateway named office here." in sentences(command("gateway", "remove", "office"), 1)
