"""What is asked of people, and decided by them once."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from models import broadcast
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.creative import Level
from models.errors import AlreadyDecided, Forbidden, Invalid, WrongState
from models.message import Message, Source
from models.permission_request import ApprovalStatus, Kind, PermissionRequest, Prompt
from models.task import Task, TaskStatus
from models.user import Role
from tests.cast import Cast


def tool(cast: Cast, request_id: str = "abcde", **given: object) -> Prompt:
    """A prompt of Alice's plugin."""
    words = {"tool_name": "Bash", "description": "List files", "input": {"command": "ls"}, **given}
    return Prompt(Kind.TOOL, request_id, cast.alice.id, **words)  # type: ignore[arg-type]


def question(cast: Cast, request_id: str = "approval-1") -> Prompt:
    return Prompt(Kind.QUESTION, request_id, cast.alice.id, question="Ship it?")


def asked(cast: Cast, prompt: Prompt, task: Task | None = None) -> PermissionRequest:
    message = Message.add(cast.session, cast.topic.id, "May I?", Source.PROMPT, agent_id=cast.scout.id)
    return PermissionRequest.ask(
        cast.session, prompt, cast.scout.id, cast.topic.id, task.id if task else None, message.id
    )


def nudges(cast: Cast) -> list[tuple[str, str]]:
    return [(nudge.stream, nudge.event) for nudge in broadcast.noted(cast.session)]


def test_deciding_stores_decision_time_and_decider(cast: Cast) -> None:
    request = asked(cast, tool(cast))
    request.decide(cast.session, cast.alice, "deny", None, cast.now)
    assert (request.status, request.behavior) == (ApprovalStatus.DENIED, "deny")
    assert (request.decided_by_id, request.decided_at) == (cast.alice.id, cast.now)


def test_an_allowed_prompt_is_not_shown_as_denied(cast: Cast) -> None:
    request = asked(cast, tool(cast))
    request.decide(cast.session, cast.alice, "allow", None, cast.now)
    assert (request.status, request.behavior) == (ApprovalStatus.ALLOWED, "allow")


def test_a_second_decision_is_refused_with_who_and_when_and_the_first_one_stays(cast: Cast) -> None:
    request = asked(cast, tool(cast))
    request.decide(cast.session, cast.alice, "allow", None, cast.now)
    with pytest.raises(AlreadyDecided) as refused:
        request.decide(cast.session, cast.alice, "deny", "no", cast.now)
    found = refused.value
    assert (found.behavior, found.by_id, found.by_name, found.at) == ("allow", cast.alice.id, "Alice", cast.now)
    assert found.more["decided_by"] == {"id": cast.alice.id, "name": "Alice"}
    assert str(found.more["decided_at"]).endswith("Z")
    assert (request.status, request.reason) == (ApprovalStatus.ALLOWED, None)


@pytest.mark.parametrize(("given", "kept"), [("  too risky \n", "too risky"), ("  \n", None), (None, None)])
def test_a_reason_is_trimmed_and_a_blank_one_is_none(cast: Cast, given: str | None, kept: str | None) -> None:
    request = asked(cast, question(cast))
    request.decide(cast.session, cast.alice, "deny", given, cast.now)
    assert request.reason == kept


def test_a_reason_that_is_too_long_decides_nothing(cast: Cast) -> None:
    request = asked(cast, question(cast))
    with pytest.raises(Invalid):
        request.decide(cast.session, cast.alice, "deny", "x" * 2001, cast.now)
    assert request.is_open


@pytest.mark.parametrize("behavior", ["allow_always", "maybe", ""])
def test_a_plugins_prompt_is_allowed_or_denied_and_nothing_else(cast: Cast, behavior: str) -> None:
    request = asked(cast, tool(cast))
    with pytest.raises(Invalid):
        request.decide(cast.session, cast.alice, behavior, None, cast.now)
    assert request.is_open


def test_a_decision_is_said_to_the_agent_the_topic_and_all_who_may_decide(cast: Cast) -> None:
    cast.bob.role = Role.APPROVER
    cast.docs.share(cast.session, Level.FEEDBACK, user_id=cast.bob.id)
    request = asked(cast, tool(cast))
    broadcast.forget(cast.session)
    request.decide(cast.session, cast.alice, "allow", None, cast.now)
    assert nudges(cast) == [
        (f"agent:{cast.scout.id}", "decision"),
        (f"topic:{cast.topic.id}", "approval"),
        (f"user:{cast.alice.id}", "approvals"),
        (f"user:{cast.bob.id}", "approvals"),
    ]


def test_a_prompt_is_said_to_the_topic_and_to_the_approver(cast: Cast) -> None:
    broadcast.forget(cast.session)
    asked(cast, tool(cast))
    assert {(f"topic:{cast.topic.id}", "approval"), (f"user:{cast.alice.id}", "approvals")} <= set(nudges(cast))


@pytest.mark.parametrize(
    ("role", "level", "may"),
    [
        (Role.APPROVER, Level.FEEDBACK, True),
        (Role.ADMIN, Level.ADMIN, True),
        (Role.APPROVER, Level.READ, False),
        (Role.MEMBER, Level.FEEDBACK, False),
        (Role.APPROVER, None, False),
    ],
)
def test_who_was_not_named_needs_the_role_approver_and_feedback(
    cast: Cast, role: Role, level: Level | None, may: bool
) -> None:
    user = cast.bob if level else cast.mallory
    user.role = role
    if level:
        cast.docs.share(cast.session, level, user_id=user.id)
    request = asked(cast, tool(cast))
    assert request.may_decide(cast.session, user) is may
    assert (user.id in request.decider_ids(cast.session)) is may
    listed = cast.session.scalars(PermissionRequest.inbox_of(user)).all()
    assert (request in listed) is may
    if not may:
        with pytest.raises(Forbidden):
            request.decide(cast.session, user, "allow", None, cast.now)
        assert request.is_open


def test_a_named_approver_who_may_no_longer_read_the_topic_decides_nothing(cast: Cast) -> None:
    prompt = Prompt(Kind.QUESTION, "approval-1", cast.mallory.id, question="Ship it?")
    request = asked(cast, prompt)
    assert not request.may_decide(cast.session, cast.mallory)
    assert cast.session.scalars(PermissionRequest.inbox_of(cast.mallory)).all() == []


def test_a_question_may_be_decided_by_a_reader_who_was_named(cast: Cast) -> None:
    request = asked(cast, Prompt(Kind.QUESTION, "approval-1", cast.bob.id, question="Ship it?"))
    request.decide(cast.session, cast.bob, "allow", None, cast.now)
    assert request.decided_by_id == cast.bob.id


def test_the_same_question_again_is_the_one_that_waits(cast: Cast) -> None:
    request = asked(cast, question(cast))
    found = PermissionRequest.asked_before(cast.session, question(cast), cast.scout.id, cast.topic.id)
    assert found is request
    elsewhere = PermissionRequest.asked_before(cast.session, question(cast), cast.scout.id, cast.session_topic.id)
    assert elsewhere is None
    request.decide(cast.session, cast.alice, "allow", None, cast.now)
    assert PermissionRequest.asked_before(cast.session, question(cast), cast.scout.id, cast.topic.id) is None


def test_five_letters_that_come_again_for_another_command_are_another_prompt(cast: Cast) -> None:
    older = asked(cast, tool(cast))
    other = tool(cast, input={"command": "rm -r ."})
    assert PermissionRequest.asked_before(cast.session, other, cast.scout.id, cast.topic.id) is None
    newer = asked(cast, other)
    cast.session.refresh(older)
    assert (older.status, newer.status) == (ApprovalStatus.ELSEWHERE, ApprovalStatus.PENDING)
    with pytest.raises(WrongState):
        older.decide(cast.session, cast.alice, "allow", None, cast.now)


def test_only_decided_ids_that_were_asked_for_are_replayed(cast: Cast) -> None:
    decided, open_ = asked(cast, tool(cast, "aaaaa")), asked(cast, tool(cast, "bbbbb"))
    other = asked(cast, tool(cast, "ccccc"))
    for request in (decided, other):
        request.decide(cast.session, cast.alice, "allow", None, cast.now)
    found = PermissionRequest.replayable(cast.session, cast.scout.id, ["aaaaa", open_.request_id, "zzzzz"])
    assert found == [decided]
    assert PermissionRequest.replayable(cast.session, cast.scout.id + 1, ["aaaaa"]) == []
    assert PermissionRequest.replayable(cast.session, cast.scout.id, []) == []


def test_an_old_decision_is_not_replayed_once_its_id_was_used_again(cast: Cast) -> None:
    asked(cast, tool(cast)).decide(cast.session, cast.alice, "allow", None, cast.now)
    newer = asked(cast, tool(cast))
    assert PermissionRequest.replayable(cast.session, cast.scout.id, ["abcde"]) == []
    newer.decide(cast.session, cast.alice, "deny", None, cast.now)
    assert PermissionRequest.replayable(cast.session, cast.scout.id, ["abcde"]) == [newer]


def test_tool_prompts_of_a_task_that_ended_were_answered_elsewhere_and_questions_stay(cast: Cast) -> None:
    cast.connect()
    [task] = cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks
    open_tool, decided = asked(cast, tool(cast), task), asked(cast, tool(cast, "bbbbb"), task)
    open_question, other = asked(cast, question(cast), task), asked(cast, tool(cast, "ccccc"))
    decided.decide(cast.session, cast.alice, "allow", None, cast.now)
    task.park(cast.session, "abcde", cast.now)
    task.finish(cast.session, TaskStatus.CANCELLED, "Enough.", cast.now, "Alice")
    for request in (open_tool, decided, open_question, other):
        cast.session.refresh(request)
    assert [request.status for request in (open_tool, decided, open_question, other)] == [
        "elsewhere",
        "allowed",
        "pending",
        "pending",
    ]
    assert task.pending_tool_call is None


@pytest.mark.parametrize("keep_seconds", [0, 3600])
def test_what_a_tool_asked_stays_open_when_its_agent_stays_away(cast: Cast, keep_seconds: int) -> None:
    cast.scout.change(cast.session, keep_seconds=keep_seconds)
    token = cast.connect()
    [task] = cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks
    request = asked(cast, tool(cast), task)
    task.park(cast.session, "abcde", cast.now)
    Agent.unsubscribe(cast.session, token)
    [row] = AgentSubscription.of(cast.session, cast.scout.id)
    cast.scout.end_grace(cast.session, row, cast.now)
    assert task.status == (TaskStatus.SUSPENDED if keep_seconds else TaskStatus.CANCELLED)
    cast.connect()
    request.decide(cast.session, cast.alice, "allow", None, cast.now)
    assert PermissionRequest.replayable(cast.session, cast.scout.id, ["abcde"]) == [request]
    assert PermissionRequest.close_forgotten(cast.session, cast.now + timedelta(days=2)) == 0


def test_what_a_tool_asked_in_a_kept_task_is_closed_when_the_task_is_done(cast: Cast) -> None:
    cast.scout.change(cast.session, keep_seconds=3600)
    token = cast.connect()
    [task] = cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks
    request = asked(cast, tool(cast), task)
    task.park(cast.session, "abcde", cast.now)
    Agent.unsubscribe(cast.session, token)
    [row] = AgentSubscription.of(cast.session, cast.scout.id)
    cast.scout.end_grace(cast.session, row, cast.now)
    cast.connect()
    cast.topic.advance(cast.session, cast.now)
    assert (task.status, request.status) == (TaskStatus.DELEGATED, "pending")
    cast.topic.reply(cast.session, cast.scout, "done", task, task.generation, cast.now)
    cast.session.refresh(request)
    assert request.status == "elsewhere"


def test_what_nobody_waits_for_is_closed_after_a_day(cast: Cast) -> None:
    token = cast.connect()
    [task] = cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks
    request = asked(cast, tool(cast), task)
    task.park(cast.session, "abcde", cast.now)
    Agent.unsubscribe(cast.session, token)
    [row] = AgentSubscription.of(cast.session, cast.scout.id)
    cast.scout.end_grace(cast.session, row, cast.now)
    assert PermissionRequest.close_forgotten(cast.session, cast.now + timedelta(hours=23)) == 0
    assert PermissionRequest.close_forgotten(cast.session, cast.now + timedelta(hours=25)) == 1
    cast.session.refresh(request)
    assert request.status == "elsewhere"


def test_a_parked_task_lets_the_next_one_of_its_topic_go(cast: Cast) -> None:
    cast.connect()
    [task] = cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks
    task.park(cast.session, "abcde", cast.now)
    assert task.pending_tool_call == {"request_id": "abcde", "requested_at": cast.now.isoformat()}
    [answer] = cast.topic.post(cast.session, cast.alice, "do it like this", cast.now).tasks
    assert (task.status, answer.status) == (TaskStatus.DELEGATED, TaskStatus.DELEGATED)


def test_a_new_attempt_of_a_task_closes_what_the_old_one_asked(cast: Cast) -> None:
    cast.connect()
    [task] = cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks
    request = asked(cast, tool(cast), task)
    task.park(cast.session, "abcde", cast.now)
    task.delegate(cast.session, cast.connect(session_id="desk"), "desk", 0, "Given on.")
    cast.session.refresh(request)
    assert (request.status, task.pending_tool_call) == ("elsewhere", None)


def test_the_end_of_a_turn_takes_over_the_questions_of_its_own_task_only(cast: Cast) -> None:
    cast.connect()
    [task] = cast.topic.post(cast.session, cast.alice, "work", cast.now).tasks
    mine, decided = asked(cast, question(cast, "approval-1"), task), asked(cast, question(cast, "approval-2"), task)
    foreign, prompt = asked(cast, question(cast, "approval-3")), asked(cast, tool(cast, "aaaaa"), task)
    decided.decide(cast.session, cast.alice, "allow", None, cast.now)
    named = [request.request_id for request in (mine, decided, foreign, prompt)]
    taken = PermissionRequest.take_over(cast.session, task.id, [*named, "approval-9"], cast.now)
    assert [request.request_id for request in taken] == ["approval-1", "approval-2"]
    assert mine.turn_finished_at == cast.now and foreign.turn_finished_at is None
    assert PermissionRequest.unfinished(cast.session, cast.scout.id) == [(decided.id, cast.topic.id)]
    assert PermissionRequest.take_over(cast.session, task.id, [], cast.now) == []


def test_what_was_asked_is_kept_raw(cast: Cast) -> None:
    for number, given in enumerate((None, {"a": [1]}, "ls | head\n```")):
        request = asked(cast, tool(cast, f"id{number}", input=given))
        cast.session.expire(request)
        assert request.input == given
    assert cast.session.scalar(select(PermissionRequest.id).where(PermissionRequest.input.is_(None))) is not None
