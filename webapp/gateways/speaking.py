"""Runs under way as they pass to open pages: ten times a second within this process, once a second into their row."""

import gevent
import structlog
from sqlalchemy.orm import Session

from models import gateway_work
from models.agent import Agent
from models.base import database_time
from models.broadcast import Broadcast
from models.database import repeated, transaction
from models.errors import DatabaseAway
from models.message import TEXT_LIMIT
from models.proactive_message_buffer import BufferedRun
from models.running_answer import RunningAnswer, Saying
from models.task import Task
from webapp import running
from webapp.gateways.line import About, Line, NotHeld, clock, now_utc
from webapp.streams import Streams

log = structlog.get_logger("gateways")

PASS_SECONDS = 0.1
STORE_SECONDS = 1.0
# Each time the whole text is written anew, so a long one is stored less often: after a second for so many letters.
LETTERS_A_SECOND = 50_000
MOST_LOOKED_UP = 20
MOST_KNOWN = 5_000


class Speaking:
    """What is being said on one line. `changed` is called by the reader and never waits."""

    def __init__(self, line: Line, streams: Streams) -> None:
        self.line, self.streams = line, streams
        self._about: dict[str, About | None] = {}
        self._revision: dict[str, int] = {}
        self._to_pass: set[str] = set()
        self._to_store: set[str] = set()
        self._stored_at: dict[str, float] = {}
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        """Begins to pass on."""
        self._greenlet = gevent.spawn(self._run)
        self._greenlet.name = f"speaking {self.line.address}"

    def stop(self) -> None:
        """Passes nothing on any more."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def changed(self, run: BufferedRun) -> None:
        """Something was said, or done, in this run."""
        self._revision[run.run_id] = self._revision.get(run.run_id, 0) + 1
        self._to_pass.add(run.run_id)
        self._to_store.add(run.run_id)

    def known(self, run_id: str, about: About) -> None:
        """The run is for this."""
        self._about[run_id] = about
        while len(self._about) > MOST_KNOWN:
            del self._about[next(iter(self._about))]  # it is looked up anew, should it speak

    def forget(self, run_id: str) -> None:
        """The run is no more: it was refused, or goes on under another id."""
        self._about.pop(run_id, None)
        self._revision.pop(run_id, None)
        self._to_pass.discard(run_id)
        self._to_store.discard(run_id)
        self._stored_at.pop(run_id, None)

    def ended(self, run_id: str, cut: str | None = None, text: str | None = None) -> None:
        """The run is over: pages close its answer; what came of it stands in the topic."""
        about, revision = self._about.get(run_id), self._revision.get(run_id, 0)
        self.forget(run_id)
        if about is not None:
            self._pass(run_id, about, text or "", [], revision + 1, over=True, cut=cut)

    # -- inside ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        since = 0.0
        while True:
            gevent.sleep(PASS_SECONDS)
            since += PASS_SECONDS
            self._pass_on()
            if since >= STORE_SECONDS and self._to_store:
                since = 0.0
                self._store_all()

    def _pass_on(self) -> None:
        for run_id in list(self._to_pass):
            run, about = self.line.buffer.get(run_id), self._about.get(run_id)
            self._to_pass.discard(run_id)
            if run is not None and about is not None:
                self._pass(run_id, about, run.text, list(run.tools), self._revision.get(run_id, 1))

    def _pass(
        self,
        run_id: str,
        about: About,
        text: str,
        tools: list[dict[str, object]],
        revision: int,
        over: bool = False,
        cut: str | None = None,
    ) -> None:
        answer = running.Answer(
            gateway_id=about.gateway_id,
            run_id=run_id,
            task_id=about.task_id,
            topic_id=about.topic_id,
            agent_id=about.agent_id,
            agent_short=about.agent_short,
            gateway_name=about.gateway_name,
            text=text[:TEXT_LIMIT],
            started_at=about.started_at,
            revision=revision,
            tools=tools,
            over=over,
            cut=cut,
        )
        ids = {"gateway": about.gateway_id, "run": run_id, "revision": revision}
        self.streams.pass_on(Broadcast(f"topic:{about.topic_id}", running.EVENT, ids), answer)

    def _store_all(self) -> None:
        found = [run for run_id in self._to_store if (run := self.line.buffer.get(run_id)) is not None]
        runs, now = [run for run in found if self._is_due(run)], clock()
        self._to_store = {run.run_id for run in found} - {run.run_id for run in runs}
        self._stored_at |= {run.run_id: now for run in runs}
        try:
            self._look_up([run for run in runs if run.run_id not in self._about][:MOST_LOOKED_UP])
            self._store([run for run in runs if self._about.get(run.run_id) is not None])
        except NotHeld:
            log.warning("gateway_not_held", address=self.line.address)
        except DatabaseAway:
            self._to_store.update(run.run_id for run in runs)
        except Exception:
            log.exception("answer_not_stored", address=self.line.address)

    def _is_due(self, run: BufferedRun) -> bool:
        return clock() - self._stored_at.get(run.run_id, 0.0) >= len(run.text) / LETTERS_A_SECOND

    @repeated
    def _store(self, runs: list[BufferedRun]) -> None:
        if not runs:
            return
        with transaction() as session:
            now = database_time(session)
            for gateway_id in sorted({about.gateway_id for run in runs if (about := self._about.get(run.run_id))}):
                self.line.check(session, gateway_id)
            said = {}
            for run in runs:
                about = self._about.get(run.run_id)
                if about is not None and self.line.buffer.get(run.run_id) is run:
                    said[about.gateway_id, run.run_id[:200]] = self._saying(run, about)
            Task.heard(session, [one.task_id for one in said.values() if one.task_id is not None], now)
            for stored, revision in RunningAnswer.put(session, said.values(), now).items():
                run_id = said[stored].run_id
                if run_id in self._revision:  # else it has ended meanwhile
                    self._revision[run_id] = max(self._revision[run_id], revision)

    def _saying(self, run: BufferedRun, about: About) -> Saying:
        return Saying(
            about.gateway_id,
            run.run_id,
            about.task_id,
            about.topic_id,
            about.agent_id,
            run.text[:TEXT_LIMIT],
            list(run.tools),
            self._revision.get(run.run_id, 1),
        )

    def _look_up(self, runs: list[BufferedRun]) -> None:
        """What these runs are for, asked of the rows; once a run."""
        if not runs:
            return
        with transaction() as session:
            for run in runs:
                self._about.setdefault(run.run_id, self.about(session, run))

    def about(self, session: Session, run: BufferedRun) -> About | None:
        """What a run is for, None when nothing is known of it."""
        ids = self.line.gateway_ids
        task = gateway_work.task_of_run(session, ids, run.run_id) or self.goes_on(session, run)
        if task is not None and task.is_open and task.gateway_id is not None:
            return self.for_task(session, task)
        place = gateway_work.place_of(session, ids, run.session_key) if task is None else "It has ended."
        if isinstance(place, str):
            return None
        agent = session.get_one(Agent, place.agent_id)
        name = self.line.names.get(place.gateway_id, "The gateway")
        return About(place.gateway_id, name, None, place.topic_id, agent.id, agent.handle, now_utc())

    def for_task(self, session: Session, task: Task) -> About:
        """The same for a task that is under way."""
        agent = session.get_one(Agent, task.agent_id)
        id = task.gateway_id or self.line.gateway_ids[0]
        name = self.line.names.get(id, "The gateway")
        return About(id, name, task.id, task.topic_id, agent.id, agent.handle, task.claimed_at or now_utc())

    def goes_on(self, session: Session, run: BufferedRun) -> Task | None:
        """The one task under way in the run's session, if this run may be what answers it under a new id.

        Not what was injected, nor what began before the task was sent, nor beside a run that is speaking itself.
        """
        if run.run_id.startswith("inject-"):
            return None
        tasks = gateway_work.tasks_in_session(session, self.line.gateway_ids, run.session_key)
        if len(tasks) != 1 or tasks[0].run_id is None:
            return None
        [task] = tasks
        own = self.line.buffer.get(str(task.run_id))
        began = now_utc().timestamp() - max(0.0, _age(run))
        claimed = task.claimed_at.timestamp() if task.claimed_at else 0.0
        return None if (own is not None and own.text) or began < claimed - 1.0 else task


def _age(run: BufferedRun) -> float:
    return clock() - run.began
