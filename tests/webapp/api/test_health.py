"""Alive, ready, in figures."""

import time

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models import database
from tests.webapp.api.conftest import Join, Person, rows, value
from webapp.hub import EXTENSION

NEIGHBOUR = {"REMOTE_ADDR": "127.0.0.1"}


@pytest.fixture
def running(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timetable runs."""
    monkeypatch.setattr(app.extensions[EXTENSION], "timetable_runs", lambda: True)


def test_a_living_process_is_healthy(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200


def test_it_is_ready_when_all_checks_pass(client: FlaskClient, running: None) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (200, {"ready": True, "failing": []})


def test_without_its_timetable_it_is_not_ready(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (503, {"ready": False, "failing": ["timetable"]})


def test_with_old_migrations_it_is_not_ready(client: FlaskClient, running: None) -> None:
    newest = value("SELECT version_num FROM alembic_version")
    rows("UPDATE alembic_version SET version_num = '0000' RETURNING version_num")
    answer = client.get("/readyz")
    rows("UPDATE alembic_version SET version_num = :newest RETURNING version_num", newest=newest)
    assert (answer.status_code, answer.get_json()["failing"]) == (503, ["migrations"])


def test_without_a_database_it_says_so_and_lives(client: FlaskClient, database_url: str, running: None) -> None:
    try:
        database.connect("postgresql+psycopg://nobody@127.0.0.1:1/nowhere", ["key"])
        started = time.monotonic()
        answer = client.get("/readyz")
        assert (answer.status_code, answer.get_json()["failing"]) == (503, ["database"])
        assert time.monotonic() - started < 3
        assert client.get("/healthz").status_code == 200
        assert client.get("/metrics", environ_base=NEIGHBOUR).status_code == 200
    finally:
        database.connect(database_url, ["a-test-key-that-is-long-enough-for-everybody"])


def test_figures_are_for_this_machine(client: FlaskClient) -> None:
    answer = client.get("/metrics", environ_base=NEIGHBOUR)
    assert answer.status_code == 200 and answer.content_type.startswith("text/plain")
    assert 'switchyard_tasks{status="queued"}' in answer.text and "switchyard_sockets_open{process=" in answer.text


@pytest.mark.parametrize("peer", ["127.0.0.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_has_more_than_one_address(client: FlaskClient, peer: str) -> None:
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": peer}).status_code == 200


@pytest.mark.parametrize("peer", ["10.0.0.1", "::2", ""])
def test_figures_are_not_for_others(client: FlaskClient, peer: str) -> None:
    answer = client.get("/metrics", environ_base={"REMOTE_ADDR": peer})
    assert answer.status_code == 403 and "switchyard_" not in answer.text


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via"])
def test_figures_are_not_for_who_comes_through_a_proxy(client: FlaskClient, header: str) -> None:
    assert client.get("/metrics", environ_base=NEIGHBOUR, headers={header: "127.0.0.1"}).status_code == 403


def test_figures_are_for_admins_from_anywhere(client: FlaskClient, alice: Person, join: Join) -> None:
    far = {"REMOTE_ADDR": "10.0.0.1"}
    for person, status in ((join("Ada", "admin"), 200), (join("Olga", "operator"), 403), (alice, 403)):
        headers = {"Authorization": f"Bearer {person.token}"}
        assert client.get("/metrics", environ_base=far, headers=headers).status_code == status
    assert client.get("/metrics", environ_base=far, headers={"Authorization": "Bearer sy_x_y"}).status_code == 403


def test_requests_are_counted_by_the_pattern_of_their_route(client: FlaskClient) -> None:
    client.get("/set-up/a-secret-nobody-may-see")
    found = client.get("/metrics").get_data(as_text=True)
    assert 'route="/set-up/<' in found and "a-secret-nobody-may-see" not in found
