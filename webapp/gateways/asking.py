"""Answers what doors have asked of gateways: a test of a draft, a stop, agents, a decision, a new session.

Each wish is claimed from its row, carried out without a transaction, and answered in its row.
"""

from collections.abc import Callable, Container
from typing import Any

import structlog

from models import exec_approvals, gateway_changes
from models.base import database_time
from models.database import reading, repeated, transaction
from models.errors import DatabaseAway, Refusal
from models.gateway import Gateway
from models.gateway_request import INSISTS, GatewayRequest, Verb
from models.task import Task
from webapp.gateways.approvals import FOLLOW_UP
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.credentials import Credentials
from webapp.gateways.identity import credentials_of
from webapp.gateways.line import Line
from webapp.gateways.listing import listed, store_agents
from webapp.gateways.refusals import ConnectionLost, MethodRefused, Refused
from webapp.gateways.scopes import wanted_scopes

log = structlog.get_logger("gateways")

TEST_STEP_SECONDS = 8.0
ALREADY = "APPROVAL_ALREADY_RESOLVED"
GONE = "APPROVAL_NOT_FOUND"
NEEDS_PAIRING = "The token is right. Save it; then the gateway's owner approves this hub's device, once."


class Asking:
    """Carries out requests in this process. `hosts` is what SWITCHYARD_GATEWAY_HOSTS lists."""

    def __init__(self, process_id: int, hosts: Container[str]) -> None:
        self.process_id, self.hosts = process_id, hosts
        self._verbs: dict[str, Callable[[Line | None, GatewayRequest, dict[str, Any]], dict[str, Any]]] = {
            Verb.TEST: self._test,
            Verb.ABORT: self._abort,
            Verb.LIST_AGENTS: self._list_agents,
            Verb.CREATE_AGENT: self._create_agent,
            Verb.RESOLVE_APPROVAL: self._resolve,
            Verb.ROTATE: self._rotate,
            Verb.RESET_SESSION: self._reset_session,
        }

    @repeated
    def claim(self, gateway_id: int | None, only: Verb | None = None) -> GatewayRequest | None:
        """The next wish of a gateway that is still in time; None: of the drafts."""
        with reading() as session:  # mostly there is none
            if not GatewayRequest.waits(session, gateway_id, database_time(session)):
                return None
        with transaction() as session:
            return GatewayRequest.claim(session, gateway_id, self.process_id, database_time(session), only)

    def answer_all(self, gateway_id: int | None) -> None:
        """All that is asked of a gateway that nobody holds; None: of drafts."""
        try:
            while (asked := self.claim(gateway_id)) is not None:
                self.carry_out(asked, None)
        except DatabaseAway:
            log.warning("requests_not_answered")

    def carry_out(self, asked: GatewayRequest, line: Line | None) -> None:
        """Does it and writes what came of it."""
        try:
            verb = self._verbs.get(asked.verb)
            if verb is None:
                raise Refused("invalid", "Nobody here knows how to do this.")
            answer = verb(line, asked, asked.given)
        except Refused as refused:
            self._end(asked.id, None, refused.code, _sentence(refused.text, refused.fix))
        except MethodRefused as refused:
            self._end(asked.id, None, "invalid", f"The gateway refused: {refused.message}")
        except ConnectionLost as lost:
            if line is None or asked.verb not in INSISTS or not self._put_back(asked.id):
                self._end(asked.id, None, "unreachable", f"The gateway did not answer: {lost}")
        except Refusal as refusal:
            self._end(asked.id, None, refusal.code, str(refusal))
        except Exception as error:
            log.exception("request_failed", request=asked.id, verb=asked.verb)
            self._end(asked.id, None, "invalid", f"This hub could not do it ({type(error).__name__}).")
        else:
            self._end(asked.id, answer, "", "")

    @repeated
    def _put_back(self, id: int) -> bool:
        with transaction() as session:
            asked = session.get(GatewayRequest, id, with_for_update=True)
            return asked is not None and asked.put_back(session, database_time(session))

    @repeated
    def _end(self, id: int, answer: dict[str, Any] | None, code: str, words: str) -> None:
        with transaction() as session:
            asked, now = (session.get(GatewayRequest, id, with_for_update=True), database_time(session))
            if asked is None or asked.finished_at is not None:
                return
            if answer is not None:
                asked.done(session, answer, now)
            else:
                asked.refuse(session, code, words, now)

    # -- the verbs ---------------------------------------------------------------------------------------------

    def _test(self, line: Line | None, asked: GatewayRequest, given: dict[str, Any]) -> dict[str, Any]:
        """A draft, or a stored one that is not connected: a connection of its own, ended at once."""
        if line is not None and line.is_open and asked.gateway_id is not None:
            connection = line.connection
            assert connection is not None
            return self._tested(connection, asked.gateway_id)
        url, dialect = str(given.get("url")), str(given.get("dialect") or "openclaw")
        credentials = Credentials(token=given.get("token"), scopes=wanted_scopes(url))
        if asked.gateway_id is not None:
            with reading() as session:
                row = session.get_one(Gateway, asked.gateway_id)
            # Who holds its port now may be somebody else, to whom its token is not shown.
            if row.managed and row.pid is None:
                raise Refused("unreachable", row.reason or "It does not run.")
            url, dialect, credentials = row.url, row.dialect, credentials_of(row)
        connection = GatewayConnection(url, credentials, dialect, hosts=self.hosts, step_seconds=TEST_STEP_SECONDS)
        try:
            connection.open()
        except Refused as refused:
            if refused.code == "scopes" and credentials.device is None:
                return {"ok": True, "words": NEEDS_PAIRING, "needs_pairing": True, "agents": []}
            raise
        try:
            return self._tested(connection, asked.gateway_id)
        finally:
            connection.close("the test is over")

    def _tested(self, connection: GatewayConnection, gateway_id: int | None) -> dict[str, Any]:
        hello = connection.hello
        assert hello is not None
        agents = listed(connection, TEST_STEP_SECONDS)
        vanished = store_agents(gateway_id, agents) if gateway_id is not None and agents is not None else []
        count = len(agents or [])
        words = f"It works: protocol {hello.protocol}, version {hello.version or 'unknown'}, {count} agents."
        if connection.missing_scopes:
            words = f"{words} It does not grant {', '.join(connection.missing_scopes)}."
        return {
            "ok": True,
            "words": words,
            "protocol": hello.protocol,
            "version": hello.version or None,
            "scopes": list(hello.scopes),
            "missing_scopes": list(connection.missing_scopes),
            "latency_ms": connection.latency_ms,
            "agents": agents or [],
            "vanished": vanished,
        }

    def _abort(self, line: Line | None, asked: GatewayRequest, given: dict[str, Any]) -> dict[str, Any]:
        run_id, key = str(given["run_id"]), str(given["session_key"])
        connection = _open(line)
        payload = connection.request("chat.abort", connection.dialect.chat_abort(key, run_id))
        stopped = payload.get("runIds") if isinstance(payload, dict) else None
        if not stopped and line is not None:
            self._abort_what_goes_on(line, key, run_id)
        self._deny_what_waits(connection, given.get("task_id"))
        return {"stopped": stopped or []}

    def _deny_what_waits(self, connection: GatewayConnection, task_id: Any) -> None:
        """Commands of a stopped task do not run; before protocol 4 they outlive their run, and tell of it later."""
        if task_id is None:
            return
        with reading() as session:
            waiting = exec_approvals.left_by(session, int(task_id))
        for id, theirs in waiting:
            try:
                connection.request("exec.approval.resolve", {"id": theirs, "decision": "deny"})
            except MethodRefused as refused:
                log.info("approval_over", approval=id, code=refused.code)  # it ended with its run
            old = connection.hello is not None and connection.hello.protocol < 4
            with transaction() as session:
                exec_approvals.stopped(session, id, f"{FOLLOW_UP}{theirs}"[:200] if old else None)

    def _abort_what_goes_on(self, line: Line, key: str, run_id: str) -> None:
        """The run goes on under another id: whatever is said in its session now, if nothing else of ours is there."""
        with reading() as session:
            others = session.query(Task.id).filter(
                Task.session_key == key, Task.finished_at.is_(None), Task.run_id != run_id
            )
            if others.first() is not None:
                return
        for run in line.buffer.runs():
            if run.session_key == key:
                connection = _open(line)
                connection.request("chat.abort", connection.dialect.chat_abort(key, run.run_id))

    def _list_agents(self, line: Line | None, asked: GatewayRequest, given: dict[str, Any]) -> dict[str, Any]:
        agents = listed(_open(line), TEST_STEP_SECONDS)
        if agents is None or asked.gateway_id is None:
            raise ConnectionLost("it does not list its agents")
        return {"agents": agents, "vanished": store_agents(asked.gateway_id, agents)}

    def _create_agent(self, line: Line | None, asked: GatewayRequest, given: dict[str, Any]) -> dict[str, Any]:
        connection = _open(line)
        params = {name: given[name] for name in ("name", "workspace", "model", "emoji") if given.get(name)}
        payload = connection.request("agents.create", params)
        made = payload.get("agentId") if isinstance(payload, dict) else None
        agents = listed(connection, TEST_STEP_SECONDS)
        if agents is not None and asked.gateway_id is not None:
            store_agents(asked.gateway_id, agents)
        return {"agent_id": made}

    def _resolve(self, line: Line | None, asked: GatewayRequest, given: dict[str, Any]) -> dict[str, Any]:
        words = "The gateway was told."
        try:
            _open(line).request("exec.approval.resolve", {"id": given["id"], "decision": given["decision"]})
        except MethodRefused as refused:
            reason = str(refused.details.get("reason") or refused.details.get("code") or refused.message)
            if ALREADY in reason:
                words = "The gateway had another decision before this one."
            elif GONE in reason:
                words = "The gateway no longer waited for this."
            else:
                words = f"The gateway refused the decision: {refused.message}"
        with transaction() as session:
            exec_approvals.told(session, int(given["approval"]), words)
        return {"words": words}

    def _rotate(self, line: Line | None, asked: GatewayRequest, given: dict[str, Any]) -> dict[str, Any]:
        with transaction() as session:
            gateway = gateway_changes.locked(session, asked.gateway_id or 0)
            gateway_changes.rotate(session, gateway, None, given.get("token"), database_time(session))
        return {"ok": True}

    def _reset_session(self, line: Line | None, asked: GatewayRequest, given: dict[str, Any]) -> dict[str, Any]:
        _open(line).request("sessions.reset", {"key": str(given["session_key"])})
        return {"ok": True}


def _open(line: Line | None) -> GatewayConnection:
    if line is None or line.connection is None or not line.connection.is_open:
        raise ConnectionLost("it is not connected")
    return line.connection


def _sentence(text: str, fix: str) -> str:
    return f"{text} {fix}".strip()
