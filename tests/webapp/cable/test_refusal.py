"""How strangers are refused: slowly, and only so many, so often."""

import pytest

from tests.webapp.cable.stage import Stage
from tests.webapp.gevent_conditions import eventually
from tests.webapp.wire import WireClient
from webapp.cable import refusal
from webapp.cable.refusal import HandshakeLimit

ONE, OTHER = '{"channel":"C","stream":"1"}', '{"channel":"C","stream":"2"}'


def test_a_stranger_is_told_at_once_and_closed_later(stage: Stage) -> None:
    stage.refuse_seconds = 0.2
    client = WireClient(stage.port, "/cable?token=stranger")
    client.sock.settimeout(0.15)
    assert client.hear() == {"type": "disconnect", "reason": "unauthorized", "reconnect": False}
    with pytest.raises(TimeoutError):
        client.read_frame()
    client.sock.settimeout(5)
    assert client.close_code() == 1000


def test_a_stranger_that_goes_by_itself_is_let_go_at_once(stage: Stage) -> None:
    client = WireClient(stage.port, "/cable?token=stranger")
    client.hear()
    client.close()
    assert stage.server is not None
    eventually(lambda: len(stage.server.pool) == 0, patience=1)


def test_only_so_many_strangers_are_kept_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "MOST_AT_ONCE", 1)
    first = WireClient(stage.port, "/cable?token=stranger")
    assert first.hear()["reason"] == "unauthorized"
    second = WireClient(stage.port, "/cable?token=stranger")
    assert second.hear()["reason"] == "unauthorized"
    assert second.close_code() == 1000
    first.close()


def test_handshakes_are_counted_by_key_in_a_window() -> None:
    now = [0.0]
    limit = HandshakeLimit(most=2, seconds=10, clock=lambda: now[0])
    assert [limit.allow("a") for _ in range(3)] == [True, True, False]
    assert limit.allow("b")
    now[0] = 10.0
    assert limit.allow("a")


def test_the_counts_of_handshakes_are_bounded_and_hold_no_token() -> None:
    limit = HandshakeLimit(most=1, keys=100)
    for number in range(1000):
        limit.allow(f"token-{number}")
    assert len(limit._windows) == 100
    assert "token" not in repr(limit._windows)
