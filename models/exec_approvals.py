"""Commands of a gateway that wait for a person: asked in the topic of their session, decided once, told back."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from models import gateway_work
from models.agent import Agent
from models.broadcast import broadcast
from models.creative import Creative
from models.gateway_request import GatewayRequest, Verb
from models.markup import inert
from models.message import Message, Source
from models.permission_request import ApprovalStatus, Behavior, Kind, PermissionRequest, Prompt
from models.processed_run import ProcessedRun
from models.task import Task
from models.topic import Topic

# What the gateway calls the decisions, and what we do.
DECISIONS = {"allow-once": Behavior.ALLOW, "allow-always": Behavior.ALLOW_ALWAYS, "deny": Behavior.DENY}
# So long a decision is tried to be told, and the follow-up of a run is waited for.
TELL_WITHIN = timedelta(minutes=10)
FOLLOW_UP = timedelta(minutes=5)
ELSEWHERE = "Decided at the gateway, by {by}."
STOPPED = "Its task was stopped: the command does not run."
LONGEST = 4_000
LONGEST_ID = 255


@dataclass(frozen=True)
class Command:
    """What a gateway asks for. `decisions` are its own words; `facts` all it told, to be shown as they are."""

    id: str
    session_key: str
    run_id: str | None
    command: str
    decisions: Sequence[str]
    expires_at: datetime | None
    facts: dict[str, Any]


def topic_of(session: Session, gateway_ids: Sequence[int], command: Command) -> int | None:
    """The topic to lock before `ask`; None when it belongs to none of ours."""
    task = _task(session, gateway_ids, command)
    if task is not None:
        return task.topic_id
    place = gateway_work.place_of(session, gateway_ids, command.session_key)
    return None if isinstance(place, str) else place.topic_id


def ask(session: Session, topic: Topic, gateway_ids: Sequence[int], command: Command) -> PermissionRequest | None:
    """Asks in this topic, under its lock; the one that was asked before when it is told again; None: not ours."""
    before = found(session, gateway_ids, command.id)
    if before is not None:
        return before
    task = _task(session, gateway_ids, command)
    place = gateway_work.place_of(session, gateway_ids, command.session_key)
    if task is None and isinstance(place, str):
        return None
    agent_id = task.agent_id if task is not None else place.agent_id  # type: ignore[union-attr]
    gateway_id = (task.gateway_id if task is not None else None) or gateway_ids[0]
    agent = session.get_one(Agent, agent_id)
    text = f"Asks to run a command: {command.command[:LONGEST]}"
    message = topic.announce(session, agent, text, Source.PROMPT, inert)
    approver = _approver(session, topic, task)
    id = kept(command.id)
    facts = command.facts if id == command.id else {**command.facts, "id": command.id}
    prompt = Prompt(Kind.EXEC, id, approver, "exec", command.command[:LONGEST], facts)
    task_id = None if task is None else task.id
    request = PermissionRequest.ask(session, prompt, agent_id, topic.id, task_id, message.id)
    request.gateway_id, request.expires_at = gateway_id, command.expires_at
    request.choices = [DECISIONS[word] for word in command.decisions if word in DECISIONS] or None
    if task is not None:
        task.note(session, "asked", "Its gateway waits for a person's decision about a command.", "hub")
        task.changed(session)
    session.flush()
    return request


def kept(id: str) -> str:
    """How a gateway's id is kept: as it is, or, where it is too long for that, by its beginning and its digest."""
    if len(id) <= LONGEST_ID:
        return id
    digest = hashlib.sha256(id.encode("utf-8", "replace")).hexdigest()
    return f"{id[: LONGEST_ID - len(digest) - 1]}~{digest}"


def found(session: Session, gateway_ids: Collection[int], id: str) -> PermissionRequest | None:
    """What was asked under the gateway's id, newest first."""
    mine = (PermissionRequest.gateway_id.in_(list(gateway_ids)), PermissionRequest.request_id == kept(id))
    query = select(PermissionRequest).where(*mine, PermissionRequest.kind == Kind.EXEC)
    return session.scalars(query.order_by(PermissionRequest.id.desc()).limit(1)).first()


def decided_elsewhere(session: Session, gateway_ids: Collection[int], id: str, by: str | None) -> bool:
    """Somebody decided it at the gateway, or nobody needs it any more; what was decided here stays."""
    request = found(session, gateway_ids, id)
    if request is None:
        return False
    session.refresh(request, with_for_update=True)
    if not request.is_open:
        return False
    request.end(session, ApprovalStatus.ELSEWHERE, ELSEWHERE.format(by=(by or "somebody else")[:120]))
    return True


def left_by(session: Session, task_id: int) -> list[tuple[int, str]]:
    """What commands of this task still wait for a person: our id and the gateway's own, oldest first."""
    mine = (PermissionRequest.task_id == task_id, PermissionRequest.kind == Kind.EXEC)
    query = select(PermissionRequest).where(*mine, PermissionRequest.status == ApprovalStatus.PENDING)
    return [(request.id, _whole(request)) for request in session.scalars(query.order_by(PermissionRequest.id))]


def stopped(session: Session, id: int, follow_up: str | None) -> None:
    """Its task was stopped. The run `follow_up`, in which a gateway tells what became of it, is not listened to."""
    request = session.get(PermissionRequest, id, with_for_update=True)
    if request is None or not request.is_open:
        return
    if follow_up is not None and request.gateway_id is not None:
        ProcessedRun.claim(session, request.gateway_id, follow_up, "superseded")
    request.end(session, ApprovalStatus.ELSEWHERE, STOPPED)


def still_open(session: Session, gateway_ids: Collection[int]) -> list[str]:
    """The ids, as they are kept, of the gateway's commands that wait for a person here."""
    mine = (PermissionRequest.gateway_id.in_(list(gateway_ids)), PermissionRequest.status == ApprovalStatus.PENDING)
    return list(session.scalars(select(PermissionRequest.request_id).where(*mine)))


def tell(session: Session, request: PermissionRequest, now: datetime) -> None:
    """A person has decided here: the holder of the gateway tells it, after the commit."""
    word = next(word for word, behavior in DECISIONS.items() if behavior == request.behavior)
    GatewayRequest.ask(
        session,
        Verb.RESOLVE_APPROVAL,
        request.gateway_id,
        None,
        now,
        TELL_WITHIN,
        approval=request.id,
        id=_whole(request),
        decision=word,
    )


def _whole(request: PermissionRequest) -> str:
    facts = request.input if isinstance(request.input, dict) else {}
    whole = facts.get("id")
    return whole if isinstance(whole, str) and kept(whole) == request.request_id else request.request_id


def told(session: Session, id: int, words: str) -> None:
    """What became of telling the gateway."""
    request = session.get(PermissionRequest, id)
    if request is not None:
        request.told = words
        session.flush()
        broadcast(session, f"topic:{request.topic_id}", "approval", request=request.id)


def waits_for(session: Session, task_id: int, now: datetime) -> bool:
    """Whether a command of this task waits for a person, or was decided a moment ago and is being followed up."""
    mine = (PermissionRequest.task_id == task_id, PermissionRequest.kind == Kind.EXEC)
    fresh = PermissionRequest.decided_at > now - FOLLOW_UP
    waits = exists().where(*mine, or_(PermissionRequest.status == ApprovalStatus.PENDING, fresh))
    return bool(session.scalar(select(waits)))


def expire(session: Session, now: datetime) -> int:
    """Ends what nobody decided in time; says how many."""
    late = (PermissionRequest.status == ApprovalStatus.PENDING, PermissionRequest.expires_at <= now)
    query = select(PermissionRequest).where(*late, PermissionRequest.kind == Kind.EXEC).order_by(PermissionRequest.id)
    over = list(session.scalars(query.with_for_update(key_share=True, skip_locked=True)))
    for request in over:
        request.end(session, ApprovalStatus.EXPIRED, "Nobody decided in time: the gateway denies it by itself.")
    return len(over)


def _task(session: Session, gateway_ids: Sequence[int], command: Command) -> Task | None:
    if command.run_id is not None:
        task = gateway_work.task_of_run(session, gateway_ids, command.run_id)
        if task is not None and task.is_open:
            return task
    tasks = gateway_work.tasks_in_session(session, gateway_ids, command.session_key)
    return tasks[0] if len(tasks) == 1 else None


def _approver(session: Session, topic: Topic, task: Task | None) -> int:
    """Who asked for the work; else who owns the conversation."""
    asker = None
    if task is not None and task.message_id is not None:
        asker = session.scalar(select(Message.user_id).where(Message.id == task.message_id))
    return asker or session.scalar(select(func.max(Creative.owner_id)).where(Creative.id == topic.creative_id)) or 0
