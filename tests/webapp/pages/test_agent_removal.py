"""Removing an agent: what is lost is said first, and only its owner and admins do it."""

import uuid
from datetime import timedelta

import pytest

from models.access_token import AccessToken
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.base import database_time
from models.creative import Creative, Level
from models.database import transaction
from models.message import Message, Source
from models.permission_request import ApprovalStatus, Kind, PermissionRequest, Prompt
from models.task import Task, TaskStatus
from models.user import Role, User
from tests.stage import Stage
from tests.visitor import newcomer, words


def ask(stage: Stage) -> int:
    """Scout asks to use a tool; the id of the approval."""
    prompt = Prompt(Kind.TOOL, uuid.uuid4().hex[:5], stage.alice.id, tool_name="Bash")
    with transaction() as session:
        message = Message.add(session, stage.topic_id, "May I?", Source.PROMPT, agent_id=stage.scout_id)
        return PermissionRequest.ask(session, prompt, stage.scout_id, stage.topic_id, None, message.id).id


def in_docs(stage: Stage, role: Role) -> User:
    """Somebody with this role who may read the creative."""
    user = newcomer(role, role.capitalize())
    with transaction() as session:
        session.get_one(Creative, stage.docs_id).share(session, Level.READ, user_id=user.id)
    return user


def test_what_is_lost_is_said_first_and_then_it_is_done(stage: Stage) -> None:
    stage.away()
    stage.connect()
    task, approval = stage.post("Find out why").tasks[0].id, ask(stage)
    with transaction() as session:
        token, _ = AccessToken.create(session, session.merge(stage.alice), "laptop", database_time(session))
        AccessToken.note_plugin(session, token.id, database_time(session))
    alice = stage.visitor(stage.alice)
    assert f'href="/agents/{stage.scout_id}/remove"' in alice.get(f"/agents/{stage.scout_id}").text
    said = words(alice.get(f"/agents/{stage.scout_id}/remove"))
    assert "Its connected session hears nothing any more." in said and "One open task is cancelled." in said
    assert "One approval that it waits for is closed." in said and "One access token that plugins use stays" in said
    with transaction() as session:
        assert session.get_one(Agent, stage.scout_id).removed_at is None
    assert "scout is removed." in words(alice.post(f"/agents/{stage.scout_id}/remove", follow=True))
    with transaction() as session:
        gone = session.get_one(Task, task)
        assert (gone.status, gone.why) == (TaskStatus.CANCELLED, "Alice removed scout.")
        assert session.get_one(PermissionRequest, approval).status == ApprovalStatus.ELSEWHERE
        assert AgentSubscription.of(session, stage.scout_id) == []
    assert alice.get(f"/agents/{stage.scout_id}").status_code == 404
    assert "Find out why" in words(alice.get(f"/topics/{stage.topic_id}"))
    again = alice.post(f"/tasks/{task}/retry")
    assert again.status_code == 409 and "Nothing was changed Its agent may no longer work here." in words(again)


def test_a_token_that_has_expired_does_not_stay_valid(stage: Stage) -> None:
    with transaction() as session:
        now = database_time(session)
        token, _ = AccessToken.create(session, session.merge(stage.alice), "old", now - timedelta(days=2), 1)
        AccessToken.note_plugin(session, token.id, now)
    said = words(stage.visitor(stage.alice).get(f"/agents/{stage.scout_id}/remove"))
    assert "stays valid" not in said and "A plugin that registers again under this name brings it back." in said


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.APPROVER, Role.OPERATOR])
def test_somebody_else_is_refused(stage: Stage, role: Role) -> None:
    other = stage.visitor(in_docs(stage, role))
    assert "Remove scout" not in words(other.get(f"/agents/{stage.scout_id}"))
    assert other.get(f"/agents/{stage.scout_id}/remove").status_code == 403
    assert other.post(f"/agents/{stage.scout_id}/remove").status_code == 403
    with transaction() as session:
        assert session.get_one(Agent, stage.scout_id).removed_at is None


def test_a_stranger_finds_nothing_and_an_admin_may(stage: Stage) -> None:
    mallory = stage.visitor(stage.mallory)
    assert mallory.get(f"/agents/{stage.scout_id}/remove").status_code == 404
    assert mallory.post(f"/agents/{stage.scout_id}/remove").status_code == 404
    admin = stage.visitor(in_docs(stage, Role.ADMIN))
    admin.get(f"/agents/{stage.scout_id}/remove")
    assert admin.post(f"/agents/{stage.scout_id}/remove").status_code == 303
