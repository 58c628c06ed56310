"""Answers that are being given, with the names of who gives them: what pages and other processes read of a run."""

import functools
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, Select, select, tuple_
from sqlalchemy.orm import Session

from models.agent import Agent
from models.gateway import Gateway
from models.running_answer import RunningAnswer


@functools.cache
def answers() -> Select[*tuple[Any, ...]]:
    """Running answers as plain rows: `agent_short` and `gateway_name` are None where nobody is known by that id.

    `connection` is how the gateway's socket stands (`models.gateway_states.ConnectionState`).
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
        )
        .outerjoin(Agent, Agent.id == RunningAnswer.agent_id)
        .outerjoin(Gateway, Gateway.id == RunningAnswer.gateway_id)
    )


def in_topic(session: Session, topic_id: int) -> list[Row[*tuple[Any, ...]]]:
    """What is being answered in a topic, in the order it began."""
    began = answers().where(RunningAnswer.topic_id == topic_id)
    return list(session.execute(began.order_by(RunningAnswer.started_at, RunningAnswer.run_id)))


def by_runs(session: Session, runs: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Row[*tuple[Any, ...]]]:
    """These runs, each named by (gateway_id, run_id); one that is over is left out."""
    named = tuple_(RunningAnswer.gateway_id, RunningAnswer.run_id).in_(list(runs))
    return {(row.gateway_id, row.run_id): row for row in session.execute(answers().where(named))}
