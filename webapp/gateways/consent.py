"""Commands of a gateway that wait for a person: told live, listed after each connect, decided elsewhere, or here."""

import structlog

from models import exec_approvals
from models.base import database_time
from models.database import reading, repeated, transaction
from models.exec_approvals import Command
from models.topic import Topic
from webapp.gateways.line import Line
from webapp.gateways.refusals import ConnectionLost, MethodRefused
from webapp.gateways.wire import ApprovalEvent

log = structlog.get_logger("gateways")

LIST_SECONDS = 10.0


class Approvals:
    """The approvals of one line."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def take(self, event: ApprovalEvent) -> None:
        """One that is asked for, or that was decided. Raises NotHeld, DatabaseAway."""
        if event.kind == "resolved":
            self._resolved(event.id, event.resolved_by)
        elif event.session_key is not None:
            self._asked(_command(event))

    def list_all(self) -> None:
        """After a connect: what waits at the gateway is asked here, what waits there no more is over here."""
        connection = self.line.connection
        if connection is None:
            return
        try:
            payload = connection.request("exec.approval.list", {}, LIST_SECONDS)
        except (MethodRefused, ConnectionLost) as error:
            log.info("approvals_not_listed", address=self.line.address, error=type(error).__name__)
            return
        waiting = self.line.dialect.read_approvals(payload)
        for event in waiting:
            self.take(event)
        ids = {exec_approvals.kept(event.id) for event in waiting}
        with reading() as session:
            gone = [id for id in exec_approvals.still_open(session, self.line.gateway_ids) if id not in ids]
        for id in gone:
            self._resolved(id, None)

    def waits_for(self, task_id: int) -> bool:
        """Whether a run of this task waits for a person, or goes on after a decision in a moment."""
        with reading() as session:
            return exec_approvals.waits_for(session, task_id, database_time(session))

    @repeated
    def _asked(self, command: Command) -> None:
        with transaction() as session:
            ids = self.line.gateway_ids
            topic_id = exec_approvals.topic_of(session, ids, command)
            topic = None if topic_id is None else Topic.locked(session, topic_id)
            if topic is None:
                return
            for id in ids:
                self.line.check(session, id)
            exec_approvals.ask(session, topic, ids, command)

    @repeated
    def _resolved(self, id: str, by: str | None) -> None:
        with transaction() as session:
            ids = self.line.gateway_ids
            if exec_approvals.decided_elsewhere(session, ids, id, by):
                for gateway_id in ids:
                    self.line.check(session, gateway_id)


def _command(event: ApprovalEvent) -> Command:
    return Command(
        event.id,
        event.session_key or "",
        event.run_id,
        event.command,
        event.allowed,
        event.expires_at,
        {"command": event.command, "cwd": event.cwd, "host": event.host},
    )
