"""What a gateway tells of its channels, and who hears of it."""

import gevent
import pytest

from models.activity import Activity
from models.broadcast import noted
from models.database import transaction
from models.gateway import Gateway
from models.gateway_states import told_as
from models.proactive_message_buffer import ProactiveMessageBuffer
from webapp.gateways.channels import Channels, news
from webapp.gateways.line import Line
from webapp.gateways.wire import Event


@pytest.mark.parametrize(
    ("event", "problem", "kind"),
    [
        ("exit", None, "exit"),
        ("exit", "crashed", "exit"),
        ("failed", "crashed", "error"),
        ("connected", None, "status"),
        ("notification", None, "notification"),
    ],
)
def test_each_line_is_told_as_one_of_four_kinds(event: str, problem: str | None, kind: str) -> None:
    assert told_as(event, problem) == kind


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (
            Event("channel.statusChanged", {"channel": "telegram", "status": "connected"}, None),
            ("telegram", "connected"),
        ),
        (Event("channels_status_changed", {"name": "irc", "state": "down"}, None), ("irc", "down")),
        (Event("channel.statusChanged", {"channel": 5}, None), None),
        (Event("chat", {"channel": "telegram", "status": "connected"}, None), None),
    ],
)
def test_only_news_of_channels_is_news(event: Event, found: tuple[str, str] | None) -> None:
    assert news(event) == found


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two looks."""
    monkeypatch.setattr("webapp.gateways.channels.PAUSE_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_change_is_a_line_of_the_timeline_and_the_same_again_is_not(database_url: str) -> None:
    with transaction() as session:
        gateway = Gateway(name="home", url="ws://127.0.0.1:1", address="ws://127.0.0.1:1")
        session.add(gateway)
        session.flush()
        gateway.note(session, "notification", "Its channel irc is up.")
        assert any(told.event == "notification" and told.stream == gateway.stream for told in noted(session))
        epoch = Gateway.hold(session, gateway.id, 1)
    line = Line(gateway.address, "jsonrpc", ProactiveMessageBuffer(60))
    line.epochs[gateway.id] = epoch or 0
    channels = Channels(line)
    for status in ("connected", "connected", "down"):
        channels.receive(Event("channel.status.changed", {"channel": "telegram", "status": status}, None))
        gevent.get_hub().join(0.5)
    with transaction() as session:
        lines = session.query(Activity).filter_by(gateway_id=gateway.id).order_by(Activity.id)
        assert [one.text for one in lines][1:] == [
            "Its channel telegram is connected.",
            "Its channel telegram is down.",
        ]


@pytest.mark.usefixtures("at_once")
def test_a_channel_that_flutters_is_written_by_one_greenlet_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    channels, written = Channels(Line("ws://127.0.0.1:1", "jsonrpc", ProactiveMessageBuffer(60))), []
    monkeypatch.setattr(channels, "_note", written.append)
    for number in range(1_001):
        status = "down" if number % 2 else "connected"
        channels.receive(Event("channel.status.changed", {"channel": "telegram", "status": status}, None))
    gevent.get_hub().join(0.5)
    assert written == ["Its channel telegram is connected."]
