"""Answers that are being given, with the names of who gives them: what pages and other processes read of a run."""

import functools
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, Select, select, tuple_
from sqlalchemy.orm import Session

from models.agent import Agent
from models.gateway import Gateway
from models.prepared import prepared, rows
from models.running_answer import RunningAnswer
from models.task import Task
from models.task_status import TaskStatus


@functools.cache
def answers() -> Select[*tuple[Any, ...]]:
    """Running answers as plain rows: `agent_short` and `gateway_name` are None where nobody is known by that id.

    `connection` is how the gateway's socket stands (`models.gateway_states.ConnectionState`), `status` and `why` are
    those of the task it is for.
    """
    return (
        select(
            RunningAnswer.gateway_id,
            RunningAnswer.run_id,
            RunningAnswer.task_id,
            RunningAnswer.topic_id,
            RunningAnswer.agent_id,
            RunningAnswer.text,
            RunningAnswer.tools,
            RunningAnswer.revision,
            RunningAnswer.started_at,
            Agent.handle.label("agent_short"),
            Gateway.name.label("gateway_name"),
            Gateway.connection,
            Task.status,
            Task.why,
        )
        .outerjoin(Agent, Agent.id == RunningAnswer.agent_id)
        .outerjoin(Gateway, Gateway.id == RunningAnswer.gateway_id)
        .outerjoin(Task, Task.id == RunningAnswer.task_id)
    )


def in_topic(session: Session, topic_id: int) -> list[Row[*tuple[Any, ...]]]:
    """What is being answered in a topic, in the order it began; what is answered already is left out."""
    return list(rows(session, *_in_topic(topic_id)))


@prepared
def _in_topic(topic_id: int) -> Select[*tuple[Any, ...]]:
    began = answers().where(RunningAnswer.topic_id == topic_id, Task.status.is_distinct_from(TaskStatus.DONE))
    return began.order_by(RunningAnswer.started_at, RunningAnswer.run_id)


def by_runs(session: Session, runs: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Row[*tuple[Any, ...]]]:
    """These runs, each named by (gateway_id, run_id); one that is over is left out."""
    named = tuple_(RunningAnswer.gateway_id, RunningAnswer.run_id).in_(list(runs))
    return {(row.gateway_id, row.run_id): row for row in session.execute(answers().where(named))}


def tools(session: Session, task_ids: Iterable[int]) -> dict[int, list[Any]]:
    """What was done for these tasks on the way to their answers; tasks without a tool are left out."""
    used = select(Task.id, Task.tools).where(Task.id.in_(list(task_ids)), Task.tools.is_not(None))
    return {id: list(lines) for id, lines in session.execute(used)}
