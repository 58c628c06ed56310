"""Agents behind a gateway: when they take work, how it waits for them, and what becomes of a run."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from models import listing, overview
from models.agent import Agent
from models.broadcast import forget, noted
from models.gateway import Gateway, Holder
from models.gateway_request import GatewayRequest, Verb
from models.gateway_states import ConnectionState, GatewayState, Happening, Problem
from models.hears_runs import NO_ANSWER, Run
from models.is_a_run import SAYS_NOTHING
from models.message import Delivery, Message, Source
from models.processed_run import ProcessedRun
from models.task import Task, TaskStatus
from models.topic import Topic
from tests.cast import Cast
from tests.statements import counted


class Harbor:
    """A gateway with Pilot aboard, in a topic of its own; held by process 1."""

    def __init__(self, cast: Cast) -> None:
        self.cast, self.session = cast, cast.session
        self.gateway = Gateway(name="Harbor", url="ws://127.0.0.1:1", address="ws://127.0.0.1:1", token="its key")
        self.gateway.state, self.gateway.connection = GatewayState.RUNNING, ConnectionState.CONNECTED
        self.session.add(self.gateway)
        self.session.flush()
        self.pilot = Agent.new_gateway_agent(self.session, cast.alice, "pilot", self.gateway, "Main")
        self.topic = Topic.create(self.session, cast.docs, "Course", self.pilot.id)
        epoch = Gateway.hold(self.session, self.gateway.id, 1)
        assert epoch is not None
        self.holder = Holder(self.gateway.id, epoch, "Harbor")

    def post(self, text: str) -> Task:
        return self.topic.post(self.session, self.cast.alice, text, self.cast.now).tasks[0]

    def claim(self) -> Task | None:
        return self.topic.advance(self.session, self.cast.now, self.holder)

    def end(self, task: Task, state: str = "final", text: str = "Aye", why: str | None = None) -> Message | None:
        run = Run(self.gateway.id, str(task.run_id), state, text, why)
        return self.topic.run_ended(self.session, task.id, run, self.cast.now)

    def delivery(self, task: Task) -> str | None:
        return self.session.scalar(select(Message.delivery).where(Message.id == task.message_id))


@pytest.fixture
def harbor(cast: Cast) -> Harbor:
    return Harbor(cast)


def test_work_waits_for_the_courier_who_claims_it_with_a_run_of_its_own(harbor: Harbor) -> None:
    task = harbor.post("Where are we?")
    assert (task.status, task.why) == (TaskStatus.QUEUED, None)
    assert (f"gateway:{harbor.gateway.id}", "work") in {(n.stream, n.event) for n in noted(harbor.session)}
    assert harbor.claim() is task
    assert task.status == TaskStatus.CLAIMED and task.run_id and task.claimed_epoch == harbor.holder.epoch
    assert (task.gateway_id, task.gateway_agent_id) == (harbor.gateway.id, "Main")
    key = f"agent:main:switchyard:{harbor.cast.alice.id}:creative:{harbor.cast.docs.id}:topic:{harbor.topic.id}:hub:"
    assert str(task.session_key).startswith(key)
    assert harbor.delivery(task) == Delivery.ACCEPTED
    assert task.begun(harbor.session, "Harbor has it.", harbor.cast.now)
    assert harbor.delivery(task) == Delivery.DELIVERED
    Task.heard(harbor.session, [task.id], harbor.cast.now)
    assert harbor.delivery(task) == Delivery.WORKING
    message = harbor.end(task)
    assert message is not None and (message.source, message.text) == (Source.REPLY, "Aye")
    assert (message.run_id, message.gateway_id) == (task.run_id, harbor.gateway.id)
    assert task.status == TaskStatus.DONE and harbor.delivery(task) == Delivery.ANSWERED


def test_messages_behind_a_gateway_are_never_merged_and_go_one_after_the_other(harbor: Harbor) -> None:
    first, second = harbor.post("one"), harbor.post("two")
    assert first.id != second.id
    assert harbor.claim() is first and harbor.claim() is None
    assert second.status == TaskStatus.QUEUED and second.why == "Waits until the task before it is finished."
    first.begun(harbor.session, "sent", harbor.cast.now)
    harbor.end(first)
    assert harbor.claim() is second


def test_who_does_not_hold_the_gateway_any_more_claims_nothing(harbor: Harbor) -> None:
    harbor.post("one")
    Gateway.release(harbor.session, harbor.gateway.id, harbor.holder.epoch)
    assert Gateway.hold(harbor.session, harbor.gateway.id, 2) == harbor.holder.epoch + 1
    assert harbor.claim() is None


@pytest.mark.parametrize("cause", ["stopped", "draining", "removed", "refused", "pairing", "may not send", "key"])
def test_an_agent_says_why_it_is_not_routable_and_work_for_it_waits(harbor: Harbor, cause: str) -> None:
    gateway, session, now = harbor.gateway, harbor.session, harbor.cast.now
    if cause == "stopped":
        gateway.wanted = False
    elif cause == "draining":
        gateway.draining = True
    elif cause == "removed":
        gateway.removed_at = now
    elif cause == "refused":
        gateway.happened(session, Happening.REFUSED, now, "It refused the token.", problem=Problem.TOKEN_REFUSED)
    elif cause == "pairing":
        wait = timedelta(seconds=20)
        gateway.happened(session, Happening.REFUSED, now, "Approve it.", problem=Problem.PAIRING, retry_in=wait)
    elif cause == "may not send":
        gateway.missing_scopes = ["operator.write"]
    else:
        harbor.pilot.use_key(gateway, "another key")
    session.flush()
    assert not harbor.pilot.routable(session, now)
    task = harbor.post("@pilot hello")
    assert task.status == TaskStatus.QUEUED and task.why and "Harbor" in task.why
    assert harbor.claim() is None
    row = session.execute(listing.agents(harbor.cast.alice).where(Agent.id == harbor.pilot.id)).one()
    assert Agent.why_not(row, False) == task.why
    seen = session.execute(overview.agents(now, select(Agent).where(Agent.id == harbor.pilot.id))).one()
    assert Agent.why_not(seen, False) == task.why


def test_a_gateway_that_is_only_away_takes_work_as_soon_as_it_is_back(harbor: Harbor) -> None:
    harbor.gateway.happened(harbor.session, Happening.LOST, harbor.cast.now, "The socket closed.")
    harbor.session.flush()
    assert harbor.pilot.routable(harbor.session, harbor.cast.now)
    task = harbor.post("hello")
    assert task.why == "Harbor is not connected: this goes out as soon as it is."


def test_only_a_routable_agent_takes_work_by_its_expression(harbor: Harbor) -> None:
    harbor.topic.set_primary_agent(harbor.session, None)
    harbor.pilot.change(harbor.session, routing_expression='message.text.contains("course")')
    taken = harbor.topic.post(harbor.session, harbor.cast.alice, "set course", harbor.cast.now)
    assert [task.agent_id for task in taken.tasks] == [harbor.pilot.id]
    harbor.gateway.draining = True
    harbor.session.flush()
    assert harbor.topic.post(harbor.session, harbor.cast.alice, "set course", harbor.cast.now).unrouted is not None


def test_an_agents_own_key_is_compared_again_when_the_gateways_changes(harbor: Harbor) -> None:
    harbor.pilot.use_key(harbor.gateway, "its key")
    harbor.session.flush()
    assert harbor.pilot.routable(harbor.session, harbor.cast.now)
    harbor.gateway.token = "a new key"
    assert Agent.judge_keys(harbor.session, harbor.gateway) == [harbor.pilot.id]
    assert not harbor.pilot.routable(harbor.session, harbor.cast.now)


def test_a_cancelled_run_is_stopped_at_the_gateway_and_what_it_said_is_kept(harbor: Harbor) -> None:
    task = harbor.post("a long story")
    harbor.claim()
    task.begun(harbor.session, "sent", harbor.cast.now)
    harbor.topic.cancel(harbor.session, task, "Alice", harbor.cast.now)
    asked = harbor.session.scalars(select(GatewayRequest)).one()
    assert (asked.verb, asked.gateway_id, asked.given["run_id"]) == (Verb.ABORT, harbor.gateway.id, task.run_id)
    assert asked.deadline - harbor.cast.now > timedelta(minutes=1), "it is told to a gateway that is back by then"
    message = harbor.end(task, "aborted", "Once upon")
    assert message is not None and message.cut == "Cancelled by Alice." and task.reply_message_id == message.id
    assert task.status == TaskStatus.CANCELLED


def test_what_waits_and_is_cancelled_bothers_no_gateway(harbor: Harbor) -> None:
    task = harbor.post("one")
    harbor.topic.cancel(harbor.session, task, "Alice", harbor.cast.now)
    assert harbor.session.scalars(select(GatewayRequest)).all() == []


def test_a_failed_run_keeps_the_part_received_and_the_gateways_words(harbor: Harbor) -> None:
    task = harbor.post("one")
    harbor.claim()
    message = harbor.end(task, "error", "The first", "LLM request failed.")
    assert message is not None and (message.text, message.cut) == ("The first", "LLM request failed.")
    assert (task.status, task.why, task.partial) == (TaskStatus.FAILED, "LLM request failed.", "The first")
    assert harbor.delivery(task) == Delivery.FAILED


def test_a_final_without_a_word_has_failed(harbor: Harbor) -> None:
    task = harbor.post("one")
    harbor.claim()
    assert harbor.end(task, "final", "") is None
    assert (task.status, task.why) == (TaskStatus.FAILED, NO_ANSWER)


def test_an_answer_to_an_earlier_attempt_is_refused(harbor: Harbor) -> None:
    task = harbor.post("one")
    harbor.claim()
    earlier = str(task.run_id)
    harbor.end(task, "error", "", "no")
    harbor.topic.retry(harbor.session, task, "Alice", harbor.cast.now)
    assert not ProcessedRun.claim(harbor.session, harbor.gateway.id, earlier, "final")
    assert harbor.claim() is task and task.run_id != earlier


def test_an_aborted_run_of_an_open_task_cancels_it_without_asking_the_gateway_again(harbor: Harbor) -> None:
    task = harbor.post("one")
    harbor.claim()
    harbor.end(task, "aborted", "")
    assert task.status == TaskStatus.CANCELLED
    assert harbor.session.scalars(select(GatewayRequest)).all() == []


def test_a_silent_run_says_so_and_takes_it_back_when_it_speaks(harbor: Harbor) -> None:
    task, now = harbor.post("one"), harbor.cast.now
    harbor.claim()
    task.begun(harbor.session, "sent", now)
    assert Task.say_silent(harbor.session, now + timedelta(minutes=4)) == 0
    assert Task.say_silent(harbor.session, now + timedelta(minutes=6)) == 1
    assert task.why == SAYS_NOTHING and Task.say_silent(harbor.session, now + timedelta(minutes=7)) == 0
    Task.heard(harbor.session, [task.id], now)
    harbor.session.refresh(task)
    assert task.why is None and task.status == TaskStatus.DELEGATED


def test_a_run_that_goes_on_speaking_costs_one_statement_and_changes_nothing_that_is_said(harbor: Harbor) -> None:
    task, now = harbor.post("one"), harbor.cast.now
    harbor.claim()
    task.begun(harbor.session, "sent", now)
    Task.heard(harbor.session, [task.id], now)
    forget(harbor.session)
    with counted() as statements:
        Task.heard(harbor.session, [task.id, task.id + 1_000_000], now + timedelta(minutes=1))
    assert len(statements) == 1 and not noted(harbor.session)
    harbor.session.refresh(task)
    assert task.heard_at == now + timedelta(minutes=1)


def test_an_answer_that_is_too_long_is_cut_and_says_so(harbor: Harbor) -> None:
    task = harbor.post("one")
    harbor.claim()
    message = harbor.end(task, "final", "x" * 200_001)
    assert message is not None and len(message.text) == 200_000 and message.cut
