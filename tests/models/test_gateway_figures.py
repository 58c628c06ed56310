"""How quick gateways answer is noted once in ten minutes, of those that are connected."""

from datetime import UTC, timedelta

from models.base import database_time
from models.gateway_figures import GatewayFigures
from models.gateway_states import ConnectionState
from models.hub_figures import EVERY, last_end
from tests.cast import Cast
from tests.models.test_behind_gateway import Harbor
from webapp.pages import charts


def test_ten_minutes_are_noted_once_and_a_gap_is_a_gap(cast: Cast) -> None:
    harbor = Harbor(cast)
    gateway, session, now = harbor.gateway, cast.session, database_time(cast.session).astimezone(UTC)
    gateway.connection, gateway.latency_ms = ConnectionState.CONNECTED, 18.4
    session.flush()
    assert GatewayFigures.take(session, now) >= 1
    gateway.latency_ms = 900.0
    session.flush()
    assert GatewayFigures.take(session, last_end(now)) == 0
    gateway.connection = ConnectionState.DISCONNECTED
    session.flush()
    GatewayFigures.take(session, now + EVERY)
    gateway.connection, gateway.latency_ms = ConnectionState.CONNECTED, 40.0
    session.flush()
    GatewayFigures.take(session, now + 2 * EVERY)
    later = now + 2 * EVERY
    noted = GatewayFigures.between(session, gateway.id, now - EVERY, later)
    assert noted == {last_end(now): 18.4, last_end(later): 40.0}
    chart = charts.of_latency(noted, later)
    assert (chart.answer, chart.top, len(chart.lines[0].pieces)) == ("median 29 ms, worst 40 ms", "50 ms", 2)
    assert [gap["word"] for gap in chart.gaps] == ["Not connected"]
    assert GatewayFigures.forget_old(session, now + timedelta(days=9)) >= 2


def test_without_figures_it_says_when_the_first_ones_come(cast: Cast) -> None:
    chart = charts.of_latency({}, cast.now)
    assert chart.empty is not None and chart.empty.startswith("The first figures come at")
