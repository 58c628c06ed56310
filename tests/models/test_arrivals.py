"""Many who come or go in one statement: each as if it had come alone, and nobody waits for another's lock."""

import uuid

import pytest
from sqlalchemy import select

from models import arrivals
from models.agent import CHANNEL_MODEL, CHANNEL_VENDOR, Agent, AgentKind
from models.agent_subscription import AgentSubscription
from models.arrivals import Arrival, Arrived, Outcome
from models.base import database_time
from models.database import at_once, transaction
from models.user import User
from tests.cast import Cast
from tests.races import Scene


@pytest.fixture(scope="module")
def scene(database_url: str) -> Scene:
    """Committed, for what two connections do to each other."""
    return Scene.enter(database_url)


def arrival(cast: Cast, agent: Agent | None = None, session_id: str | None = "laptop", user_id: int = 0) -> Arrival:
    agent = agent or cast.scout
    return Arrival(agent.id, user_id or cast.alice.id, session_id, uuid.uuid4().hex, None)


def live(cast: Cast, agent: Agent) -> list[str]:
    return [row.token for row in AgentSubscription.live_of(cast.session, agent.id, database_time(cast.session))]


def test_each_of_many_gets_its_row_whatever_the_order_they_are_named_in(cast: Cast) -> None:
    scribe = Agent.new_channel_agent(cast.session, cast.alice, "scribe")
    coming = [arrival(cast, scribe), arrival(cast), arrival(cast, session_id="desk"), arrival(cast, session_id=None)]
    assert arrivals.subscribe(cast.session, coming) == [Arrived(Outcome.LIVE)] * 4
    assert live(cast, scribe) == [coming[0].token]
    assert live(cast, cast.scout) == [one.token for one in coming[1:]]


def test_of_one_session_that_comes_twice_at_once_the_later_row_stays(cast: Cast) -> None:
    older, newer = arrival(cast), arrival(cast)
    arrivals.subscribe(cast.session, [older, newer])
    assert live(cast, cast.scout) == [newer.token]


def test_what_is_not_the_persons_own_is_refused_and_the_others_come(cast: Cast) -> None:
    removed = Agent.new_channel_agent(cast.session, cast.alice, "removed")
    removed.removed_at = cast.now
    cast.session.flush()
    coming = [
        arrival(cast, user_id=cast.mallory.id),
        Arrival(1 << 52, cast.alice.id, None, "no such agent", None),
        arrival(cast, removed),
        arrival(cast),
    ]
    found = arrivals.subscribe(cast.session, coming)
    assert [one.outcome for one in found] == ["refused", "refused", "refused", "live"]
    assert live(cast, cast.scout) == [coming[3].token] and live(cast, removed) == []


@pytest.mark.parametrize(
    ("field", "value"), [("kind", AgentKind.GATEWAY), ("vendor", "another"), ("model", "another"), (None, None)]
)
def test_only_agents_of_plugins_have_presence(cast: Cast, field: str | None, value: str | None) -> None:
    other = Agent.new_channel_agent(cast.session, cast.alice, "other")
    assert (other.kind, other.vendor, other.model) == (AgentKind.PLUGIN, CHANNEL_VENDOR, CHANNEL_MODEL)
    if field is not None:
        setattr(other, field, value)
    cast.session.flush()
    [found] = arrivals.subscribe(cast.session, [arrival(cast, other)])
    assert (found.outcome != Outcome.LISTENS) == other.is_channel_agent
    assert bool(live(cast, other)) == other.is_channel_agent


def test_an_agent_with_open_work_is_left_to_the_caller(cast: Cast) -> None:
    cast.topic.post(cast.session, cast.alice, "work", cast.now)
    assert arrivals.subscribe(cast.session, [arrival(cast)]) == [Arrived(Outcome.WORK)]
    assert live(cast, cast.scout) == []


def test_those_who_go_at_once_start_a_window_each_and_a_stranger_changes_nothing(cast: Cast) -> None:
    scribe = Agent.new_channel_agent(cast.session, cast.alice, "scribe")
    laptop, desk, other = (cast.connect(), cast.connect(session_id="desk"), cast.connect(scribe))
    assert arrivals.unsubscribe(cast.session, [other, "superseded", laptop]) == [True] * 3
    assert live(cast, cast.scout) == [desk] and live(cast, scribe) == []
    cast.session.refresh(scribe)
    assert scribe.away_since is not None and cast.scout.away_since is None


def test_nobody_waits_for_an_agent_that_somebody_holds(scene: Scene) -> None:
    """The other one comes and goes meanwhile; who is told to wait gets in when the agent is free."""
    with transaction() as session:
        user = session.get_one(User, scene.user.id)
        scribe_id = Agent.new_channel_agent(session, user, "scribe").id
    ids = (scene.agent_id, scribe_id, scene.agent_id)
    here, there, more = (Arrival(id, scene.user.id, None, uuid.uuid4().hex, None) for id in ids)
    with at_once() as session:
        arrivals.subscribe(session, [here])
    with transaction() as holder:
        Agent.locked(holder, scene.agent_id)
        with at_once() as session:
            found = arrivals.subscribe(session, [there, more])
            assert [one.outcome for one in found] == [Outcome.LIVE, Outcome.BUSY]
            assert arrivals.unsubscribe(session, [here.token, there.token]) == [False, True]
    with at_once() as session:
        assert arrivals.subscribe(session, [more], wait=True) == [Arrived(Outcome.LIVE)]
    assert scene.live() == 2


def test_a_beat_waits_for_no_row_that_is_held_and_does_not_take_it_for_lost(scene: Scene) -> None:
    scene.clear()
    laptop, desk = scene.subscribe("laptop"), scene.subscribe("desk")
    with transaction() as holder:
        holder.execute(select(AgentSubscription).where(AgentSubscription.token == laptop).with_for_update())
        with transaction() as session:
            assert AgentSubscription.touch(session, [laptop, "vanished", desk]) == ["vanished"]
    scene.leave(laptop)
    with transaction() as session:
        assert AgentSubscription.touch(session, [laptop, desk]) == [laptop]
