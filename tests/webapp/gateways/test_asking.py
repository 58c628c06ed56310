"""What is asked of a gateway that is lost meanwhile: what a person has decided is told on its return."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from models.base import database_time
from models.database import transaction
from models.gateway_request import GatewayRequest, RequestStatus, Verb
from tests.cast import Cast
from tests.models.test_behind_gateway import Harbor
from webapp.gateways import asking, frames
from webapp.gateways.asking import Asking
from webapp.gateways.refusals import ConnectionLost

GATEWAY = 4711


class Line:
    """A line whose connection is lost with the first question, and takes all later ones."""

    is_open = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.connection = SimpleNamespace(request=self.request, is_open=True, dialect=frames, hello=None)

    def request(self, method: str, params: dict[str, Any], timeout: float = 0) -> Any:
        self.asked.append(method)
        if len(self.asked) == 1:
            raise ConnectionLost("the connection broke off")
        return {"aborted": True, "runIds": [params["runId"]]}


def wish(verb: Verb) -> int:
    with transaction() as session:
        asked = {"run_id": "r-1", "session_key": "agent:main:x", "task_id": None}
        return GatewayRequest.ask(session, verb, GATEWAY, None, database_time(session), **asked).id


def status(id: int) -> str:
    with transaction() as session:
        return session.get_one(GatewayRequest, id).status


def carry_out(line: Any) -> None:
    asking = Asking(1, ())
    claimed = asking.claim(GATEWAY)
    assert claimed is not None
    asking.carry_out(claimed, line)


def test_a_stop_that_a_lost_connection_swallowed_is_told_on_the_next(database_url: str) -> None:
    stop, line = wish(Verb.ABORT), Line()
    carry_out(line)
    assert status(stop) == RequestStatus.PENDING
    carry_out(line)
    assert (status(stop), line.asked) == (RequestStatus.DONE, ["chat.abort", "chat.abort"])


def test_what_nobody_holds_or_a_page_waits_for_is_answered_at_once(database_url: str) -> None:
    stop = wish(Verb.ABORT)
    carry_out(None)
    listed = wish(Verb.RESET_SESSION)
    carry_out(Line())
    assert (status(stop), status(listed)) == (RequestStatus.REFUSED, RequestStatus.REFUSED)


def test_a_late_stop_does_not_end_what_was_tried_again_since(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    harbor, stopped = Harbor(cast), []
    harbor.post("a long story")
    task = harbor.claim()
    assert task is not None
    monkeypatch.setattr(asking, "reading", lambda: nullcontext(harbor.session))
    connection = SimpleNamespace(is_open=True, dialect=frames, request=lambda method, params: stopped.append(params))
    run = SimpleNamespace(session_key=task.session_key, run_id="goes on")
    line: Any = SimpleNamespace(connection=connection, buffer=SimpleNamespace(runs=lambda: [run]))
    Asking(1, ())._abort_what_goes_on(line, str(task.session_key), "the run before")
    assert stopped == []
    Asking(1, ())._abort_what_goes_on(line, str(task.session_key), str(task.run_id))
    assert [one["runId"] for one in stopped] == ["goes on"]


def test_a_stop_that_was_claimed_by_a_hub_that_was_killed_is_told_by_the_next(database_url: str) -> None:
    stop, reset = wish(Verb.ABORT), wish(Verb.RESET_SESSION)
    assert [Asking(1, ()).claim(GATEWAY) is None for _ in range(2)] == [False, False]
    with transaction() as session:
        assert GatewayRequest.put_back_all(session, GATEWAY, database_time(session)) == 1
    assert (status(stop), status(reset)) == (RequestStatus.PENDING, RequestStatus.CLAIMED)
    carry_out(None)
