"""Agents that name agents: handed over, and cut before it goes on for ever."""

from models.agent import Agent
from models.listeners import called
from models.message import Delivery, Source
from models.task import Task, TaskStatus
from models.topic import Topic
from tests.cast import Cast
from tests.statements import counted


def scribe_of(cast: Cast, name: str = "scribe") -> Agent:
    agent = Agent.new_channel_agent(cast.session, cast.alice, name)
    cast.connect(agent)
    return agent


def say(cast: Cast, agent: Agent, task: Task | None, text: str) -> Task | None:
    """The agent answers; the task that came of it, let go."""
    before = cast.session.query(Task.id).order_by(Task.id.desc()).limit(1).scalar() or 0
    cast.topic.reply(cast.session, agent, text, task, task.generation if task else None, cast.now)
    for topic_id in Topic.due(cast.session, cast.now):
        topic = Topic.locked(cast.session, topic_id)
        assert topic is not None
        topic.advance(cast.session, cast.now)
    return cast.session.query(Task).filter(Task.id > before).one_or_none()


def notices(cast: Cast) -> list[str]:
    return [message.text for message in cast.topic.messages(cast.session, 100) if message.source == Source.NOTICE]


def test_an_agent_named_in_an_answer_gets_it_as_its_task(cast: Cast) -> None:
    cast.connect()
    scribe = scribe_of(cast)
    [task] = cast.topic.post(cast.session, cast.alice, "go", cast.now).tasks
    handed = say(cast, cast.scout, task, "Done. @scribe, translate it")
    assert handed is not None and (handed.agent_id, handed.hops) == (scribe.id, 1)
    assert handed.status == TaskStatus.DELEGATED and handed.content == "Done. @scribe, translate it"
    said = cast.topic.messages(cast.session, 1)[0]
    assert (said.source, said.delivery) == (Source.REPLY, Delivery.ACCEPTED)


def test_an_answer_that_names_nobody_or_its_own_author_is_given_to_nobody(cast: Cast) -> None:
    cast.connect()
    scribe_of(cast)
    [task] = cast.topic.post(cast.session, cast.alice, "go", cast.now).tasks
    assert say(cast, cast.scout, task, "I am @scout, and `@scribe` is code") is None


def test_nobody_is_looked_for_when_nobody_is_named(cast: Cast) -> None:
    with counted() as statements:
        assert called(cast.session, cast.topic, "x" * 200_000, cast.scout, cast.now).agents == []
    assert statements == []


def test_an_agent_that_is_away_gets_it_when_it_is_back(cast: Cast) -> None:
    cast.connect()
    scribe = Agent.new_channel_agent(cast.session, cast.alice, "scribe")
    [task] = cast.topic.post(cast.session, cast.alice, "go", cast.now).tasks
    handed = say(cast, cast.scout, task, "@scribe over to you")
    assert handed is not None and handed.status == TaskStatus.QUEUED and handed.why == "scribe is not connected."
    assert handed.agent_id == scribe.id


def test_two_agents_that_name_each_other_are_stopped(cast: Cast) -> None:
    cast.connect()
    scribe = scribe_of(cast)
    [task] = cast.topic.post(cast.session, cast.alice, "go", cast.now).tasks
    authors, rounds, current = (cast.scout, scribe), 0, task
    while current is not None and rounds < 20:
        author, other = authors[rounds % 2], authors[(rounds + 1) % 2]
        handed = say(cast, author, current, f"@{other.handle} your turn")
        rounds, current = rounds + 1, handed
    assert rounds == 4
    assert [said for said in notices(cast) if "to each other 3 times" in said] == notices(cast) != []


def test_a_chain_of_many_agents_is_stopped(cast: Cast) -> None:
    cast.connect()
    ring = [cast.scout, *(scribe_of(cast, f"writer{number}") for number in range(8))]
    [task] = cast.topic.post(cast.session, cast.alice, "go", cast.now).tasks
    current: Task | None = task
    hops = 0
    while current is not None:
        current = say(cast, ring[hops], current, f"@{ring[hops + 1].handle} next")
        hops += current is not None
    assert hops == 6 and "handed this on 6 times" in notices(cast)[0]


def test_a_person_in_between_begins_a_new_chain(cast: Cast) -> None:
    cast.connect()
    scribe_of(cast)
    [task] = cast.topic.post(cast.session, cast.alice, "go", cast.now).tasks
    handed = say(cast, cast.scout, task, "@scribe your turn")
    assert handed is not None
    [asked] = cast.topic.post(cast.session, cast.alice, "@scribe and that", cast.now).tasks
    assert asked.hops == 0 and handed.hops == 1
