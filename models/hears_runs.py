"""What a topic makes of a gateway's runs: answers, parts of answers, failures, and what was said unasked.

A part of `Topic`, in a file of its own. All of it happens under the topic's row lock.
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from models.agent import Agent
from models.hands_over import HandsOver
from models.message import TEXT_LIMIT, Message, Source
from models.task import Task, TaskStatus

TOO_LONG = f"Longer than {TEXT_LIMIT:,} characters: the rest is in the gateway's own history."
NO_ANSWER = "The gateway gave no answer."
STOPPED = "Stopped at the gateway."


class Run(NamedTuple):
    """A run that has ended. `state`: final, error or aborted; `why`: the gateway's own words, of an error."""

    gateway_id: int
    run_id: str
    state: str
    text: str
    why: str | None = None


class HearsRuns(HandsOver):
    """Expects a topic."""

    def run_ended(self: Any, session: Session, task_id: int, run: Run, now: datetime) -> Message | None:
        """The run of a task has ended: the message that came of it, None when nothing was said.

        final     the answer; without a word the task has failed
        error     what was said before is kept and marked; the task has failed, in the gateway's own words
        aborted   what was said before is kept and marked; the task is cancelled, if it was not before
        """
        self.rest(session, task_id, now)
        [task] = Task.locked(session, [task_id])
        if task.run_id != run.run_id[:200]:
            return None  # it was tried anew: this belongs to an earlier attempt
        agent = session.get_one(Agent, task.agent_id)
        message = None
        if run.text.strip():
            source = Source.REPLY
            message = self._said(session, agent, run, source, _cut(task, run), task_id=task.id)
            task.reply_message_id = message.id
        if task.is_open:
            _finish(session, task, run, now, agent.handle)
            if message is not None and run.state == "final":
                self.hand_over(session, message, agent, task, now)
        elif message is not None:
            task.note(session, "heard", "What came after it had ended was kept.", "hub")
            task.changed(session)
        Task.mark_due(session, now, agent.id, [self.id])
        return message

    def said_unasked(
        self: Any, session: Session, agent: Agent | None, run: Run, origin: str, cut: str | None
    ) -> Message:
        """A gateway says something that nobody asked for; nobody is given work. `origin` is what sent it.

        Without an agent here that lives behind it, the hub itself says it.
        """
        return self._said(session, agent, run, Source.PROACTIVE, cut, origin=origin)

    def _said(
        self: Any, session: Session, agent: Agent | None, run: Run, source: Source, cut: str | None, **more: Any
    ) -> Message:
        text = run.text
        if len(text) > TEXT_LIMIT:
            text, cut = text[:TEXT_LIMIT], f"{cut} {TOO_LONG}" if cut else TOO_LONG
        about = {"run_id": run.run_id[:200], "gateway_id": run.gateway_id, "cut": cut, **more}
        message = Message.add(session, self.id, text, source, agent_id=agent.id if agent else None, **about)
        self._append(session, message)
        self._tell_readers(session, self.creative(session))
        return message


def _cut(task: Task, run: Run) -> str | None:
    if run.state == "final":
        return None
    if run.state == "aborted":
        return task.why if task.status == TaskStatus.CANCELLED and task.why else STOPPED
    return run.why or NO_ANSWER


def _finish(session: Session, task: Task, run: Run, now: datetime, handle: str) -> None:
    task.partial = run.text if run.state != "final" and run.text.strip() else None
    if run.state == "aborted":
        task.finish(session, TaskStatus.CANCELLED, run.why or STOPPED, now, handle, stop=False)
    elif run.state == "final" and run.text.strip():
        task.finish(session, TaskStatus.DONE, None, now, handle)
    else:
        task.finish(session, TaskStatus.FAILED, run.why or NO_ANSWER, now, handle)
