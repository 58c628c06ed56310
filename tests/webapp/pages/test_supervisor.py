"""The page Supervisor: how the gateways of this machine stand, the buttons, and the form for another one."""

from datetime import timedelta
from typing import Any

import pytest

from models import gateway_changes
from models.base import database_time
from models.database import transaction
from models.gateway import Gateway
from models.gateway_states import FAST_TRIES, Happening, Problem
from models.user import Role
from tests.stage import Stage
from tests.visitor import Visitor, newcomer, words
from webapp import gateway_logs
from webapp.hub import EXTENSION

FIELDS = {"name": "office", "port": "18801", "program": "openclaw", "profile": "", "state_dir": "", "command": ""}


@pytest.fixture
def operator(stage: Stage) -> Visitor:
    with transaction() as session:
        for old in session.query(Gateway):
            old.removed_at = database_time(session)
    return stage.visitor(newcomer(Role.OPERATOR, "Olga"))


def office() -> Gateway:
    with transaction() as session:
        return session.query(Gateway).filter_by(name="office", removed_at=None).one()


def happened(happening: Happening, said: str, **about: Any) -> None:
    with transaction() as session:
        gateway = gateway_changes.locked(session, office().id)
        gateway.happened(session, happening, database_time(session), said, **about)


def test_only_operators_see_it(stage: Stage) -> None:
    assert stage.visitor(newcomer(Role.MEMBER, "Nora")).get("/supervisor").status_code in (403, 404)
    assert stage.visitor(newcomer(Role.OPERATOR, "Olga")).get("/").text.count('href="/supervisor"') == 1


def test_without_a_gateway_the_page_says_the_next_step(operator: Visitor) -> None:
    page = operator.get("/supervisor")
    assert "No gateway runs here yet" in words(page) and 'href="#add"' in page.text


def test_the_preset_makes_command_and_environment(operator: Visitor) -> None:
    operator.get("/supervisor")
    given = {**FIELDS, "profile": "rescue", "state_dir": "/srv/rescue"}
    assert operator.post("/supervisor", **given).status_code == 303
    made = office()
    assert made.command == [
        "openclaw", "--profile", "rescue", "gateway", "run", "--port", "18801", "--bind", "loopback",
        "--allow-unconfigured",
    ]  # fmt: skip
    assert '"OPENCLAW_STATE_DIR":"/srv/rescue"' in (made.env or "") and '"OPENCLAW_NO_RESPAWN":"1"' in (made.env or "")
    assert made.token and not made.wanted and made.address == "ws://127.0.0.1:18801"


def test_another_command_is_one_word_a_line_and_started_at_once_when_asked(operator: Visitor) -> None:
    operator.get("/supervisor")
    assert operator.post("/supervisor", **{**FIELDS, "command": "sh\n-c\nexit 1", "start": "yes"}).status_code == 303
    assert office().command == ["sh", "-c", "exit 1"] and office().wanted and office().state == "starting"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("port", "none", "Give the port it listens on"),
        ("profile", "../etc", "Use letters, digits"),
        ("state_dir", "var", "Give the whole path"),
        ("name", "", "name"),
    ],
)
def test_a_refused_form_loses_nothing(operator: Visitor, field: str, value: str, said: str) -> None:
    operator.get("/supervisor")
    refused = operator.post("/supervisor", **{**FIELDS, "program": "/opt/openclaw", field: value})
    assert refused.status_code == 422 and said in refused.text and 'value="/opt/openclaw"' in refused.text


def test_the_buttons_write_what_is_wanted(operator: Visitor) -> None:
    operator.get("/supervisor")
    operator.post("/supervisor", **FIELDS)
    id = office().id
    assert operator.post(f"/supervisor/{id}/start").headers["Location"].endswith(f"/supervisor#gateway-{id}")
    assert office().wanted and "Starting" in words(operator.get("/supervisor"))
    operator.post(f"/supervisor/{id}/restart")
    assert office().restart_wanted_at is not None
    operator.post(f"/supervisor/{id}/stop")
    assert not office().wanted and "Stopped" in words(operator.get("/supervisor"))
    assert operator.post("/supervisor/987654/start").status_code == 404


def test_a_reconnecting_one_says_which_try_and_when_the_next_is(operator: Visitor) -> None:
    operator.get("/supervisor")
    operator.post("/supervisor", **{**FIELDS, "start": "yes"})
    happened(Happening.FAILED, "It ended.", problem=Problem.CRASHED, retry_in=timedelta(seconds=30))
    happened(Happening.FAILED, "It ended.", problem=Problem.CRASHED, retry_in=timedelta(seconds=30))
    page = operator.get("/supervisor")
    assert "Reconnecting" in words(page) and "try 2 of 10" in words(page) and "next try in" in words(page)
    assert "office ended by itself" in words(page) and "It is tried again by itself." in words(page)


def test_a_button_is_confirmed_in_words_for_whom_nothing_moves_by_itself(operator: Visitor) -> None:
    operator.get("/supervisor")
    operator.post("/supervisor", **FIELDS)
    for place in ("supervisor", "gateways"):
        for verb, said in (("start", "started"), ("restart", "restarted"), ("stop", "stopped")):
            page = operator.post(f"/{place}/{office().id}/{verb}", follow=True)
            assert f"office is being {said}." in words(page)


def test_after_ten_tries_there_is_an_alert(operator: Visitor) -> None:
    operator.get("/supervisor")
    operator.post("/supervisor", **{**FIELDS, "start": "yes"})
    for _ in range(FAST_TRIES):
        happened(Happening.FAILED, "It ended.", problem=Problem.CRASHED)
    page = operator.get("/supervisor")
    assert 'role="alert"' in page.text and "every five minutes now, until you stop it" in words(page)
    assert "0 of 1 are running. 1 needs somebody." in words(page)


def test_bad_settings_show_the_line_at_fault_and_wait(operator: Visitor) -> None:
    operator.get("/supervisor")
    operator.post("/supervisor", **{**FIELDS, "start": "yes"})
    facts = {"line": 14, "line_text": "Invalid config: <b>gateway.port</b>"}
    happened(Happening.REFUSED, "office does not start.", problem=Problem.CONFIG_ERROR, problem_facts=facts)
    page = operator.get("/supervisor")
    assert "office does not start: line 14 of its settings" in words(page)
    assert "&lt;b&gt;gateway.port&lt;/b&gt;" in page.text and "It is not tried again until you start it." in words(page)


def test_who_holds_the_port_is_named_and_may_be_adopted(operator: Visitor) -> None:
    operator.get("/supervisor")
    operator.post("/supervisor", **{**FIELDS, "start": "yes"})
    with transaction() as session:
        gateway_changes.locked(session, office().id).port_holder = {"pid": 4121, "name": "node"}
    happened(Happening.REFUSED, "It is held.", problem=Problem.PORT_TAKEN)
    page = operator.get("/supervisor")
    assert "Port 18801 is held by node (pid 4121)" in words(page) and "Adopt it" in words(page)
    before = office().token
    operator.post(f"/supervisor/{office().id}/adopt", token="")
    assert office().token == before and office().state == "starting"
    operator.post(f"/supervisor/{office().id}/adopt", token="the-token-it-has-0123456789")
    assert office().token == "the-token-it-has-0123456789"


def test_the_log_is_shown_as_text_and_can_be_taken_away(operator: Visitor, stage: Stage) -> None:
    operator.get("/supervisor")
    operator.post("/supervisor", **FIELDS)
    id = office().id
    folder = gateway_logs.folder(stage.app.extensions[EXTENSION].config.data_dir, id)
    folder.mkdir(parents=True)
    (folder / "output.log.1").write_text("2026-01-01T00:00:00Z first\n")
    (folder / "output.log").write_text("2026-01-01T00:00:01Z <script>alert(1)</script>\n")
    page = operator.get("/supervisor")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text and f'data-tail="/supervisor/{id}/tail"' in page.text
    assert operator.get(f"/supervisor/{id}/tail").text.splitlines()[0].endswith("first")
    whole = operator.get(f"/supervisor/{id}/log")
    assert whole.text.count("\n") == 2 and "attachment" in whole.headers["Content-Disposition"]
    assert whole.mimetype == "text/plain"
    member = stage.visitor(newcomer(Role.MEMBER, "Nora"))
    assert member.get(f"/supervisor/{id}/log").status_code in (403, 404)
