"""A gateway as a row: its states, its lease, its address of a conversation, and what is remembered of it."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models.activity import Activity, ActivityKind
from models.errors import Forbidden
from models.gateway import Gateway
from models.gateway_request import GatewayRequest, RequestStatus, Verb
from models.gateway_states import FAST_TRIES, GatewayState, Happening, Problem, after, retry_delay
from models.hub_identity import HubIdentity
from models.processed_run import ProcessedRun
from models.session_key import SessionKey
from models.user import Role
from tests.cast import Cast

S, H = GatewayState, Happening
NOW = datetime(2026, 1, 1, tzinfo=UTC)
# Every pair: the state that follows while tries are left, and once they are used up.
TABLE = {
    (S.STOPPED, H.WANTED): (S.STARTING, S.STARTING),
    (S.STOPPED, H.UNWANTED): (S.STOPPED, S.STOPPED),
    (S.STOPPED, H.CONNECTED): (S.STOPPED, S.STOPPED),
    (S.STOPPED, H.FAILED): (S.STOPPED, S.STOPPED),
    (S.STOPPED, H.LOST): (S.STOPPED, S.STOPPED),
    (S.STOPPED, H.REFUSED): (S.STOPPED, S.STOPPED),
    (S.STOPPED, H.RESTART): (S.STARTING, S.STARTING),
    (S.STARTING, H.WANTED): (S.STARTING, S.STARTING),
    (S.STARTING, H.UNWANTED): (S.STOPPED, S.STOPPED),
    (S.STARTING, H.CONNECTED): (S.RUNNING, S.RUNNING),
    (S.STARTING, H.FAILED): (S.RECONNECTING, S.ERROR),
    (S.STARTING, H.LOST): (S.RECONNECTING, S.ERROR),
    (S.STARTING, H.REFUSED): (S.ERROR, S.ERROR),
    (S.STARTING, H.RESTART): (S.STARTING, S.STARTING),
    (S.RUNNING, H.WANTED): (S.RUNNING, S.RUNNING),
    (S.RUNNING, H.UNWANTED): (S.STOPPED, S.STOPPED),
    (S.RUNNING, H.CONNECTED): (S.RUNNING, S.RUNNING),
    (S.RUNNING, H.FAILED): (S.RECONNECTING, S.ERROR),
    (S.RUNNING, H.LOST): (S.RECONNECTING, S.ERROR),
    (S.RUNNING, H.REFUSED): (S.ERROR, S.ERROR),
    (S.RUNNING, H.RESTART): (S.STARTING, S.STARTING),
    (S.RECONNECTING, H.WANTED): (S.RECONNECTING, S.RECONNECTING),
    (S.RECONNECTING, H.UNWANTED): (S.STOPPED, S.STOPPED),
    (S.RECONNECTING, H.CONNECTED): (S.RUNNING, S.RUNNING),
    (S.RECONNECTING, H.FAILED): (S.RECONNECTING, S.ERROR),
    (S.RECONNECTING, H.LOST): (S.RECONNECTING, S.ERROR),
    (S.RECONNECTING, H.REFUSED): (S.ERROR, S.ERROR),
    (S.RECONNECTING, H.RESTART): (S.STARTING, S.STARTING),
    (S.ERROR, H.WANTED): (S.STARTING, S.STARTING),
    (S.ERROR, H.UNWANTED): (S.STOPPED, S.STOPPED),
    (S.ERROR, H.CONNECTED): (S.RUNNING, S.RUNNING),
    (S.ERROR, H.FAILED): (S.ERROR, S.ERROR),
    (S.ERROR, H.LOST): (S.ERROR, S.ERROR),
    (S.ERROR, H.REFUSED): (S.ERROR, S.ERROR),
    (S.ERROR, H.RESTART): (S.STARTING, S.STARTING),
}


@pytest.fixture
def harbor(session: Session) -> Gateway:
    gateway = Gateway(name="harbor", url="wss://h.example", address="wss://h.example:443", token="t", created_by=1)
    session.add(gateway)
    session.flush()
    return gateway


@pytest.mark.parametrize(("state", "happening"), list(itertools.product(S, H)))
def test_every_state_knows_what_follows_from_everything_that_may_happen(state: S, happening: H) -> None:
    early, late = TABLE[state, happening]
    assert after(state, happening, 1) is early
    assert after(state, happening, FAST_TRIES) is late


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (9, 30), (10, 300), (50, 300)]
)
def test_tries_come_after_one_second_doubling_to_thirty_then_every_five_minutes(attempts: int, seconds: int) -> None:
    assert retry_delay(attempts).total_seconds() == pytest.approx(seconds)
    assert retry_delay(attempts, 0).total_seconds() == pytest.approx(0.75 * seconds)
    assert retry_delay(attempts, 1).total_seconds() == pytest.approx(1.25 * seconds)


def test_ten_failures_in_a_row_are_an_error_with_a_slow_next_try(session: Session, harbor: Gateway) -> None:
    harbor.happened(session, H.WANTED, NOW, "Mira started it.")
    for _ in range(FAST_TRIES):
        harbor.happened(session, H.FAILED, NOW, "Nothing answers.", problem=Problem.UNREACHABLE)
    assert (harbor.state, harbor.attempts, harbor.problem_code) == (S.ERROR, FAST_TRIES, "unreachable")
    assert harbor.next_attempt_at == NOW + timedelta(seconds=300)
    harbor.happened(session, H.CONNECTED, NOW, "Connected.")
    assert (harbor.state, harbor.attempts, harbor.problem_code, harbor.next_attempt_at) == (S.RUNNING, 0, None, None)


def test_a_process_that_was_not_well_for_a_minute_has_failed(session: Session, harbor: Gateway) -> None:
    harbor.managed = True
    harbor.happened(session, H.WANTED, NOW, "Mira started it.")
    for tries in range(1, FAST_TRIES):
        harbor.happened(session, H.CONNECTED, NOW, "Connected.")
        harbor.happened(session, H.LOST, NOW + timedelta(seconds=59), "It ended.", problem=Problem.CRASHED)
        assert (harbor.state, harbor.attempts) == (S.RECONNECTING, tries)
    harbor.happened(session, H.CONNECTED, NOW, "Connected.")
    harbor.happened(session, H.LOST, NOW + timedelta(seconds=59), "It ended.", problem=Problem.CRASHED)
    assert harbor.state == S.ERROR and harbor.next_attempt_at == NOW + timedelta(seconds=359)


def test_a_stable_minute_forgets_what_failed_before(session: Session, harbor: Gateway) -> None:
    harbor.managed = True
    harbor.happened(session, H.WANTED, NOW, "Mira started it.")
    harbor.happened(session, H.FAILED, NOW, "Nothing answers.", problem=Problem.NOT_READY)
    harbor.happened(session, H.CONNECTED, NOW, "Connected.")
    harbor.settle(session, NOW + timedelta(seconds=59))
    assert harbor.attempts == 1
    harbor.settle(session, NOW + timedelta(seconds=60))
    assert harbor.attempts == 0
    harbor.attempts = 3
    harbor.happened(session, H.LOST, NOW + timedelta(seconds=90), "It ended.", problem=Problem.CRASHED)
    assert (harbor.state, harbor.attempts) == (S.RECONNECTING, 0)
    harbor.happened(session, H.RESTART, NOW, "Mira restarts it.")
    assert (harbor.state, harbor.connection, harbor.attempts) == (S.STARTING, "connecting", 0)


def test_a_refused_secret_has_no_next_try(session: Session, harbor: Gateway) -> None:
    harbor.happened(session, H.WANTED, NOW, "Mira started it.")
    harbor.happened(session, H.REFUSED, NOW, "It refused the token.", problem=Problem.TOKEN_REFUSED)
    assert (harbor.state, harbor.next_attempt_at) == (S.ERROR, None)


def test_each_change_of_state_is_a_line_that_nobody_can_change(session: Session, harbor: Gateway) -> None:
    harbor.happened(session, H.WANTED, NOW, "Mira started it.", actor="Mira")
    line = session.scalars(select(Activity).where(Activity.gateway_id == harbor.id)).one()
    assert (line.kind, line.event, line.actor, line.state) == (ActivityKind.GATEWAY, "wanted", "Mira", "starting")
    with pytest.raises(DBAPIError, match="append-only"), session.begin_nested():
        session.execute(update(Activity).values(text="Nobody did."))


def test_the_same_failure_again_is_counted_and_no_line(session: Session, harbor: Gateway) -> None:
    harbor.happened(session, H.WANTED, NOW, "Mira started it.")
    for _ in range(FAST_TRIES + 2):
        harbor.happened(session, H.FAILED, NOW, "Nothing answers.", problem=Problem.UNREACHABLE)
    harbor.happened(session, H.FAILED, NOW, "The name is not known.", problem=Problem.UNREACHABLE)
    lines = session.scalars(select(Activity).where(Activity.gateway_id == harbor.id).order_by(Activity.id))
    assert [(line.text, line.state) for line in lines] == [
        ("Mira started it.", "starting"),
        ("Nothing answers.", "reconnecting"),
        ("Nothing answers.", "error"),
        ("The name is not known.", "error"),
    ]
    assert harbor.attempts == FAST_TRIES + 3


def test_a_lease_has_one_holder_and_an_old_epoch_writes_nothing(session: Session, harbor: Gateway) -> None:
    first = Gateway.hold(session, harbor.id, 1)
    assert first is not None and Gateway.hold(session, harbor.id, 2) is None
    assert Gateway.renew(session, {harbor.id: first}) == {harbor.id}
    session.execute(text("UPDATE gateways SET held_until = now() - interval '1 s'"))
    assert not Gateway.is_held(session, harbor.id, first)
    second = Gateway.hold(session, harbor.id, 2)
    assert second == first + 1
    assert Gateway.renew(session, {harbor.id: first}) == set()
    Gateway.release(session, harbor.id, first)
    assert Gateway.is_held(session, harbor.id, second) and Gateway.to_hold(session) == []
    Gateway.release(session, harbor.id, second)
    assert Gateway.to_hold(session) == [harbor.id]


def test_its_figures_are_written_by_its_holder_when_they_are_new(session: Session, harbor: Gateway) -> None:
    epoch = Gateway.hold(session, harbor.id, 1)
    assert epoch is not None
    for latency, runs, size in ((2.5, 3, 100), (None, 3, 100), (2.5, 3, 100)):
        Gateway.stands(session, harbor.id, epoch, latency, runs, size)
        session.refresh(harbor)
        assert (harbor.latency_ms, harbor.open_runs, harbor.buffered_bytes) == (2.5, 3, 100)
    Gateway.stands(session, harbor.id, epoch + 1, 9.0, 9, 9)
    session.refresh(harbor)
    assert harbor.open_runs == 3


def test_a_wish_is_claimed_once_answered_and_its_arguments_are_wiped(session: Session, cast: Cast) -> None:
    with pytest.raises(Forbidden):
        GatewayRequest.ask(session, Verb.TEST, None, cast.alice, cast.now, url="ws://127.0.0.1")
    cast.alice.role = Role.OPERATOR
    asked = GatewayRequest.ask(session, Verb.TEST, None, cast.alice, cast.now, token="secret")
    stored = session.scalar(text("SELECT arguments FROM gateway_requests"))
    assert "secret" not in stored and asked.given == {"token": "secret"}
    claimed = GatewayRequest.claim(session, None, 7, cast.now)
    assert claimed is asked and GatewayRequest.claim(session, None, 8, cast.now) is None
    asked.done(session, {"ok": True}, cast.now)
    assert (asked.status, asked.answer, asked.arguments) == (RequestStatus.DONE, {"ok": True}, None)


def test_a_wish_that_nobody_answers_expires_in_words(session: Session, cast: Cast) -> None:
    asked = GatewayRequest.ask(session, Verb.ABORT, 5, None, cast.now)
    assert GatewayRequest.expire(session, cast.now) == 0
    assert GatewayRequest.expire(session, cast.now + timedelta(seconds=10)) == 1
    session.refresh(asked)
    assert (asked.status, asked.refusal_code) == (RequestStatus.EXPIRED, "unreachable")


def test_a_run_ends_once_for_each_gateway(session: Session) -> None:
    assert ProcessedRun.claim(session, 1, "r", "final") and not ProcessedRun.claim(session, 1, "r", "error")
    assert ProcessedRun.claim(session, 2, "r", "final") and not ProcessedRun.known(session, 3, "r")


def test_a_key_of_ours_is_read_back_in_any_case(session: Session) -> None:
    name = HubIdentity.of(session)
    key = SessionKey("Main", 7, 12, 3, name)
    assert str(key) == f"agent:main:switchyard:7:creative:12:topic:3:hub:{name}"
    assert SessionKey.parse(str(key).upper()) == SessionKey("main", 7, 12, 3, name)
    assert str(SessionKey("main", 7, None, 3, name)) == f"agent:main:switchyard:7:topic:3:hub:{name}"


@pytest.mark.parametrize(
    "key",
    [
        None,
        5,
        "",
        "agent:main:main",
        "agent:main:switchyard:7:topic:3",
        "agent:main:switchyard:7:hub:0123abcd",
        "agent:main:switchyard:x:topic:3:hub:0123abcd",
        "agent:main:collavre:7:topic:3:hub:0123abcd",
        "agent:main:cron:1:run:2",
        "agent:main:switchyard:7:topic:3:hub:0123abcd:more",
    ],
)
def test_what_is_no_key_of_ours_is_none(key: object) -> None:
    assert SessionKey.parse(key) is None


def test_an_older_hubs_key_is_understood_without_topic_or_creative() -> None:
    assert SessionKey.parse("agent:main:collavre:7") == SessionKey("main", 7, None, None, None)
    assert SessionKey.parse("agent:main:collavre:7:creative:2:topic:9") == SessionKey("main", 7, 2, 9, None)
