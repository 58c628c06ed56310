"""Journey 1: a person writes, the plugin answers."""

import concurrent.futures
import threading
from collections.abc import Callable

from tests.conditions import until
from tests.hub import RunningHub
from tests.journeys.conftest import Alice
from tests.node.client import NodeClient
from webapp.playground.agent import PlaygroundAgent

Start = Callable[..., PlaygroundAgent]


def test_a_message_goes_round(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("scout")
    topic = alice.topic("Round", scout.agent_id)
    posted = alice.post(topic, "What is new?")
    [task] = posted["tasks"]
    assert (task["agent_id"], task["status"], posted["unrouted"]) == (scout.agent_id, "delegated", None)
    done = alice.wait_status(task["id"], "done")
    assert done["reply_message_id"] and len(alice.texts(topic)) == 2
    assert [event["event"] for event in done["timeline"]] == ["queued", "delegated", "sent", "done"]


def test_a_dispatch_has_exactly_the_fields_of_the_protocol(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("fields", automatic=False)
    topic = alice.topic("Fields", scout.agent_id)
    message = alice.post(topic, "exact")["message"]
    scout.wait_for(lambda: scout.dispatches, what="a dispatch")
    sent = scout.dispatches[0].raw
    assert set(sent) == {"type", "agent_id", "task_id", "execution_generation", "session_topic", "comment"}
    assert set(sent["comment"]) == {
        "id",
        "content",
        "author_id",
        "author_name",
        "topic_id",
        "creative_id",
        "created_at",
    }
    assert sent["comment"]["id"] == message["id"] and sent["comment"]["topic_id"] == topic
    assert sent["comment"]["author_name"] == "Alice" and sent["session_topic"] is False


def test_a_message_in_the_sessions_own_topic_is_marked_so(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("own", automatic=False)
    assert scout.topic_id is not None
    alice.post(scout.topic_id, "hello")
    scout.wait_for(lambda: scout.dispatches, what="a dispatch")
    assert scout.dispatches[0].session_topic is True


def test_each_of_three_messages_is_answered(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("three")
    topic = alice.topic("Three", scout.agent_id)
    tasks = {alice.post(topic, text)["tasks"][0]["id"] for text in ("one", "two", "three")}
    for task in tasks:
        alice.wait_status(task, "done")
    heard = "\n".join(dispatch.content for dispatch in scout.dispatches)
    assert all(text in heard for text in ("one", "two", "three"))
    assert len(alice.texts(topic)) == 3 + len(tasks)


def test_a_non_session_dispatch_goes_to_one_session_only(alice: Alice, agent_of: Start) -> None:
    laptop = agent_of("pair", "laptop", automatic=False)
    desk = agent_of("pair", "desk", automatic=False)
    topic = alice.topic("Pair", laptop.agent_id)
    task = alice.post(topic, "who?")["tasks"][0]["id"]
    until(lambda: laptop.dispatches or desk.dispatches, "a dispatch")
    until(lambda: any(event["event"] == "sent" for event in alice.task(task)["timeline"]), "the stamp")
    assert len(laptop.dispatches) + len(desk.dispatches) == 1


def test_twenty_replies_at_once_store_one_message_fifty_times(alice: Alice, agent_of: Start) -> None:
    scout = agent_of("race", automatic=False)
    topic = alice.topic("Race", scout.agent_id)
    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        for number in range(50):
            task = alice.post(topic, f"round {number}")["tasks"][0]["id"]
            scout.wait_for(lambda: len(scout.dispatches) > number, what="a dispatch")  # noqa: B023
            generation = scout.dispatches[-1].generation
            together = threading.Barrier(20)

            def answer(_: int, task: int = task, generation: str | None = generation) -> int:
                together.wait(10)  # noqa: B023
                return scout.reply(task, generation or "", "mine", topic).status

            statuses = sorted(threads.map(answer, range(20)))
            assert statuses[0] == 201 and set(statuses[1:]) <= {403, 409}, statuses
            assert alice.texts(topic)[-2:] == [f"round {number}", "mine"]
    assert alice.texts(topic).count("mine") == 50


def test_a_browsers_client_sees_message_and_answer(hub: RunningHub, alice: Alice, agent_of: Start) -> None:
    scout = agent_of("seen")
    topic = alice.topic("Seen", scout.agent_id)
    with NodeClient() as page:
        page.connect(f"ws://127.0.0.1:{hub.port}/cable?token={alice.token}", hub.url)
        page.subscribe("page", channel="Switchyard::PageChannel", stream=f"topic:{topic}")
        page.wait_for("connected", name="page")
        alice.post(topic, "Hello there")
        until(lambda: sum("turbo-stream" in str(got) and "append" in str(got) for got in page.received("page")) >= 2)
        assert "Hello there" in str(page.received("page"))


def test_a_dropped_browser_comes_back_and_receives_again(hub: RunningHub, alice: Alice) -> None:
    topic = alice.topic("Drop")
    with NodeClient() as page:
        page.connect(f"ws://127.0.0.1:{hub.port}/cable?token={alice.token}", hub.url)
        page.subscribe("page", channel="Switchyard::PageChannel", stream=f"topic:{topic}")
        page.wait_for("connected", name="page")
        page.drop()
        page.wait_for("disconnected", name="page")
        page.come_to_front()
        page.wait_for("connected", name="page", times=2)
        alice.post(topic, "After the drop")
        until(lambda: "After the drop" in str(page.received("page")), "the message")


def test_what_nobody_takes_says_why(alice: Alice) -> None:
    posted = alice.post(alice.topic("Nobody"), "hello?")
    assert posted["tasks"] == [] and "@" in posted["unrouted"] and posted["message"]["why"] == posted["unrouted"]
