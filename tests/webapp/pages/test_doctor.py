"""Doctor: what is checked, what it says, and who may read it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import flask
import pytest

from models.base import database_time
from models.database import transaction
from models.gateway import Gateway
from models.gateway_states import Happening, Problem
from models.process import Process
from models.user import Role
from tests.conftest import configured
from tests.visitor import Visitor, newcomer, words
from webapp import checks
from webapp.checks import Check
from webapp.config import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path)


def named(found: list[Check], name: str) -> Check:
    return next(check for check in found if check.name == name)


def rows(config: Config) -> list[Check]:
    with transaction() as session:
        return list(checks.of_rows(session, database_time(session), config))


def test_operators_read_the_checks_and_only_admins_the_settings(app: flask.Flask) -> None:
    assert Visitor(app).sign_in(newcomer()).get("/doctor").status_code == 403
    page = words(Visitor(app).sign_in(newcomer(Role.OPERATOR, "Olga")).get("/doctor"))
    assert "Migrations The schema is current" in page and "SWITCHYARD_DATABASE_URL" not in page
    page = words(Visitor(app).sign_in(newcomer(Role.ADMIN, "Ada")).get("/doctor"))
    assert "SWITCHYARD_GRACE_SECONDS" in page


def test_a_gateway_in_trouble_is_named_with_its_fix(app: flask.Flask, config: Config) -> None:
    with transaction() as session:
        office = Gateway(name="office", url="wss://o.example", address="wss://o.example:443", token="t0p-s3cret")
        session.add(office)
        session.flush()
        now = database_time(session)
        office.happened(session, Happening.WANTED, now, "Mira started it.")
        office.happened(session, Happening.REFUSED, now, "It refused the token.", problem=Problem.TOKEN_REFUSED)
    found = named(rows(config), "gateway office")
    assert found.level == "fail" and found.text == "office refused the token." and found.fix is not None
    assert "t0p-s3cret" not in words(Visitor(app).sign_in(newcomer(Role.ADMIN, "Ada")).get("/doctor"))


def test_a_job_that_failed_fails_and_one_that_is_late_is_said_to_be(app: flask.Flask, config: Config) -> None:
    with transaction() as session:
        now = database_time(session)
        line = {"every_seconds": 5.0, "last_seconds": 0.01, "last_error": None}
        on_time, late = now.isoformat(), (now - timedelta(minutes=5)).isoformat()
        process = Process.start(session, now)
        process.holds = {
            "timetable": [
                {**line, "job": "advance_topics", "last_run_at": on_time},
                {**line, "job": "prune", "last_run_at": late},
                {**line, "job": "resume_suspended", "last_run_at": on_time, "last_error": "KeyError"},
            ]
        }
    found = rows(config)
    assert named(found, "job advance_topics").level == "pass"
    assert named(found, "job prune").level == "warn" and "Late." in named(found, "job prune").text
    assert named(found, "job resume_suspended").text == "It failed: KeyError."


def test_plain_http_across_a_network_is_worth_a_look(config: Config) -> None:
    assert named(list(checks.of_settings(config)), "TLS").level == "pass"
    open_hub = replace(config, public_url="http://hub.example.org")
    assert named(list(checks.of_settings(open_hub)), "TLS").level == "warn"
    safe = replace(config, public_url="https://hub.example.org")
    assert named(list(checks.of_settings(safe)), "TLS").level == "pass"


def test_a_full_disk_fails(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, level in ((100 << 20, "fail"), (500 << 20, "warn"), (5000 << 20, "pass")):
        monkeypatch.setattr(checks.shutil, "disk_usage", lambda _, free=free: type("Usage", (), {"free": free}))
        assert named(list(checks.of_settings(config)), "disk").level == level
