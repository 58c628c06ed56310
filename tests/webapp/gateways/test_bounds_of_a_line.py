"""What a line holds of a gateway that never stops, and what it writes when the gateway is somebody else's by now."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import gevent
import gevent.event
import pytest

from models import exec_approvals
from models.database import Rules, transaction
from models.gateway import Gateway
from models.message import TEXT_LIMIT
from models.proactive_message_buffer import BufferedRun, ProactiveMessageBuffer
from webapp.gateways import courier, inbox
from webapp.gateways.chat import chat_event
from webapp.gateways.consent import Approvals
from webapp.gateways.courier import Courier
from webapp.gateways.fleet import Fleet
from webapp.gateways.inbox import Inbox
from webapp.gateways.line import About, Line, NotHeld, now_utc
from webapp.gateways.refusals import MethodRefused
from webapp.gateways.speaking import Speaking
from webapp.gateways.wire import Event, GatewayError

NOBODY = cast(Any, None)


def line(**epochs: int) -> Line:
    return Line("ws://127.0.0.1:1", "openclaw", ProactiveMessageBuffer(60), {int(id[1:]): epochs[id] for id in epochs})


@pytest.fixture
def taken(database_url: str) -> Line:
    """The line of a gateway that another process has taken since."""
    with transaction() as session:
        name = f"office-{uuid4()}"
        gateway = Gateway(name=name, url="ws://127.0.0.1:1", address="ws://127.0.0.1:1", wanted=False)
        session.add(gateway)
        session.flush()
        epoch = Gateway.hold(session, gateway.id, 1) or 0
    return line(**{f"g{gateway.id}": epoch - 1})


def test_so_many_commands_wait_for_the_database_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_WAITING", 10)
    monkeypatch.setattr(inbox, "MOST_WAITING_BYTES", 1_000)
    box = Inbox(line(), NOBODY, NOBODY, NOBODY)
    for number in range(50):
        asked = {"id": f"a-{number}", "request": {"command": "ls", "sessionKey": "s"}}
        box.receive(NOBODY, Event("exec.approval.requested", asked))
    assert box.open_runs == 10
    assert box.line.buffer.figures.overflowed == 40
    box = Inbox(line(), NOBODY, NOBODY, NOBODY)
    box.receive(NOBODY, Event("exec.approval.requested", {"id": "a", "request": {"command": "l" * 2_000}}))
    assert (box.open_runs, box.buffered_bytes) == (0, 0)


def test_who_lost_the_gateway_ends_no_question(taken: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec_approvals, "decided_elsewhere", lambda *given: True)
    with pytest.raises(NotHeld):
        Approvals(taken)._resolved("a-1", None)


def test_who_lost_the_gateway_says_nothing_of_its_tasks(taken: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    task = SimpleNamespace(is_open=True, why=None, changed=lambda session: None)
    monkeypatch.setattr(courier.Task, "locked", lambda session, ids: [task])
    [id] = taken.gateway_ids
    with pytest.raises(NotHeld):
        Courier(taken, id, "office", NOBODY, NOBODY)._say(1, "It does not tell.")
    assert task.why is None


def test_a_lease_is_not_kept_for_a_supervisor_that_could_not_be_dropped(tmp_path: Path) -> None:
    def drop(reason: str) -> None:
        raise RuntimeError("no")

    streams = cast(Any, SimpleNamespace(leave=lambda *given: None))
    fleet = Fleet(streams, Rules(), frozenset(), tmp_path, False)
    mine = line(g1=5, g2=6)
    fleet.supervisors[1] = cast(Any, SimpleNamespace(drop=drop, line=mine, crew=None))
    fleet._drop(1, "lost")
    assert mine.epochs == {2: 6}


def test_pages_are_sent_no_more_of_an_answer_than_its_message_will_hold() -> None:
    passed: list[Any] = []
    speaking = Speaking(line(), cast(Any, SimpleNamespace(pass_on=lambda told, answer: passed.append(answer))))
    about = About(1, "office", None, 2, 3, "pilot", now_utc())
    speaking._pass("r-1", about, "a" * (TEXT_LIMIT + 5), [], 1)
    assert passed[0].text == "a" * TEXT_LIMIT


def test_the_reason_of_an_end_is_kept_short() -> None:
    payload = {"runId": "r", "sessionKey": "s", "state": "error", "errorMessage": "e" * 90_000}
    step = chat_event(Event("chat", payload))
    assert step is not None and step.error_message == "e" * 4_000


def test_a_run_that_ends_while_it_is_being_stored_keeps_no_other_from_it(taken: Line) -> None:
    over = BufferedRun("r-1", "s", None, 0.0, 0.0)
    Speaking(taken, NOBODY)._store([over])  # nothing is known of it any more


def test_a_busy_gateway_is_asked_again_in_time_and_nothing_is_kept_of_what_it_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office, asked = line(g1=1), []
    speaking = Speaking(office, NOBODY)
    brings = Courier(office, 1, "office", speaking, NOBODY)
    monkeypatch.setattr(brings, "_put_back", lambda id, why: None)
    monkeypatch.setattr(Line, "is_open", True)
    office.nudge = lambda: asked.append(brings._refusals) or brings.run()
    refused = MethodRefused(GatewayError("UNAVAILABLE", "busy", retryable=True, retry_after=3600.0))
    for number in range(3):
        speaking.known(f"r-{number}", About(1, "office", number, 2, 3, "pilot", now_utc()))
        brings._refused(cast(Any, SimpleNamespace(id=number, run_id=f"r-{number}")), refused)
    assert speaking._about == {} and asked == [1, 1, 1]
    alarm = brings._alarm
    assert alarm is not None and not alarm.dead  # without another nudge
    brings.stop()
    gevent.joinall([alarm], timeout=10)
    assert alarm.dead


def test_nothing_is_kept_of_a_run_that_goes_on_under_another_id(taken: Line) -> None:
    speaking = Speaking(taken, NOBODY)
    taken.buffer.hear("r-1", "agent:main:s", "main", 0.0, text="so far")
    speaking.known("r-1", About(1, "office", None, 2, 3, "pilot", now_utc()))
    speaking._to_store.add("r-1")
    speaking._store_all()
    assert list(speaking._stored_at) == ["r-1"]
    speaking.forget("r-1")
    assert speaking._stored_at == {} and speaking._about == {}


def test_no_more_runs_are_known_than_a_line_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.gateways.speaking.MOST_KNOWN", 3)
    speaking = Speaking(line(), NOBODY)
    for number in range(9):
        speaking.known(f"r-{number}", About(1, "office", number, 2, 3, "pilot", now_utc()))
    assert list(speaking._about) == ["r-6", "r-7", "r-8"]


def test_what_did_not_fit_is_asked_of_the_histories_once_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_WAITING", 1)
    mine, looked = line(), gevent.event.Event()
    mine.missed = looked.set
    box = Inbox(mine, NOBODY, NOBODY, NOBODY)
    monkeypatch.setattr(box, "_take", lambda item: None)
    for run_id in ("r-1", "r-2"):
        payload = {"runId": run_id, "sessionKey": "s", "state": "final", "message": {"content": "words"}}
        box.receive(NOBODY, Event("chat", payload))
    assert mine.buffer.figures.overflowed == 1 and not looked.is_set()
    box.start()
    try:
        assert looked.wait(timeout=20)
    finally:
        box.stop()
