"""The methods a client may call: which scope each needs, what it takes, what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webapp.playground.gateway import refusals
from webapp.playground.gateway.approvals import Approvals
from webapp.playground.gateway.devices import Pending
from webapp.playground.gateway.hello import health
from webapp.playground.gateway.history import history
from webapp.playground.gateway.house import House, Listener, may
from webapp.playground.gateway.jobs import Jobs
from webapp.playground.gateway.ledger import Entry
from webapp.playground.gateway.refusals import invalid
from webapp.playground.gateway.sessions import as_protocol_3, milliseconds
from webapp.playground.gateway.shapes import Shape
from webapp.playground.gateway.turns import Turns

READ, WRITE, ADMIN = "operator.read", "operator.write", "operator.admin"
APPROVALS, PAIRING = "operator.approvals", "operator.pairing"
SINCE_4 = frozenset({"queueMode", "suppressCommandInterpretation", "offset"})
MODES = ("steer", "followup", "collect", "interrupt")


@dataclass(frozen=True)
class Call:
    """One call: its parameters, who calls, and how to answer when the answer has to wait."""

    params: dict[str, Any]
    caller: Listener
    reply: Callable[[Any], None]


Payload = dict[str, Any] | list[dict[str, Any]]
Handler = Callable[[Call], Payload | None]  # None: it replies later


class Methods:
    """Everything is called under the gateway's lock; what happens by a call is told before it is answered."""

    def __init__(self, house: House, turns: Turns, approvals: Approvals, jobs: Jobs) -> None:
        self._house, self._turns, self._approvals, self._jobs = house, turns, approvals, jobs
        self._unlisted: set[str] = set()
        self.table: dict[str, tuple[str, Shape, Handler]] = {}
        key = {"sessionKey": str}
        self._add(READ, "health", lambda call: health(house.default_agent), optional={"probe": bool})
        self._add(READ, "status", lambda call: {"ok": True, "protocol": house.settings.protocol})
        self._add(READ, "models.list", lambda call: {"models": [{"id": "echo-1", "provider": "mock"}]})
        self._add(READ, "agents.list", self._list_agents)
        self._add(READ, "cron.list", lambda call: {"jobs": [job.as_json() for job in jobs.all.values()]})
        self._add(READ, "chat.history", self._history, key, {"limit": int, "offset": int})
        self._add(READ, "sessions.list", self._list_sessions, optional={"limit": int, "offset": int})
        self._add(READ, "sessions.messages.subscribe", self._subscribe, {"key": str})
        self._add(READ, "sessions.messages.unsubscribe", self._unsubscribe, {"key": str})
        self._add(READ, "sessions.subscribe", lambda call: {"subscribed": True})
        send = {
            "attachments": list,
            "thinking": str,
            "deliver": bool,
            "timeoutMs": int,
            "queueMode": str,
            "suppressCommandInterpretation": bool,
        }
        self._add(WRITE, "chat.send", self._send, {**key, "message": str, "idempotencyKey": str}, send)
        self._add(WRITE, "chat.abort", self._abort, key, {"runId": str})
        self._add(WRITE, "agent.wait", self._wait, {"runId": str}, {"timeoutMs": int})
        self._add(APPROVALS, "exec.approval.list", self._list_approvals)
        self._add(APPROVALS, "exec.approval.resolve", self._resolve, {"id": str, "decision": str})
        self._add(ADMIN, "chat.inject", self._inject, {**key, "message": str}, {"label": str})
        self._add(ADMIN, "agents.create", self._create, {"name": str}, {"workspace": str, "model": str, "emoji": str})
        self._add(ADMIN, "agents.delete", self._delete, {"agentId": str}, {"deleteFiles": bool})
        self._add(ADMIN, "sessions.reset", self._reset, {"key": str}, {"reason": str})
        self._add(ADMIN, "sessions.delete", self._archive, {"key": str}, {"deleteTranscript": bool})
        job = {"name": str, "schedule": dict, "sessionTarget": str, "wakeMode": str, "payload": dict}
        more = {"deleteAfterRun": bool, "agentId": str, "enabled": bool, "sessionKey": str, "delivery": dict}
        self._add(ADMIN, "cron.add", lambda call: jobs.add(call.params).as_json(), job, more)
        self._add(ADMIN, "cron.remove", self._remove_job, {"id": str})
        self._add(PAIRING, "device.pair.list", self._list_devices)
        self._add(PAIRING, "device.pair.approve", self._pair, {"requestId": str})
        self._add(PAIRING, "device.pair.reject", self._turn_away, {"requestId": str})
        self._add(PAIRING, "device.pair.remove", self._remove_device, {"deviceId": str})

    def call(self, method: str, call: Call) -> Payload | None:
        """Run a method for a connection that was let in; Refused when it may not, or cannot be meant."""
        settings, admitted = self._house.settings, call.caller.admitted
        scope, shape, handler = self.table.get(method, (ADMIN, Shape(method), None))
        if admitted is None or not may(admitted, scope):
            raise refusals.missing_scope(scope, settings.protocol)
        if handler is None:
            raise invalid(f"unknown method: {method}")
        shape.check(call.params, without=SINCE_4 if settings.protocol < 4 else frozenset())
        return handler(call)

    def announce(self, pending: Pending) -> None:
        """Tell who may decide that a device asks."""
        self._house.tell("device.pair.requested", pending.as_json(), scope=PAIRING)
        self._house.notify()

    def pair(self, request_id: str) -> dict[str, Any]:
        """Approve a device; Refused when nobody asks under this id."""
        try:
            paired = self._house.devices.approve(request_id)
        except KeyError:
            raise invalid("unknown requestId") from None
        self._resolved(paired.pending, "approved")
        return {"requestId": request_id, "device": paired.as_json()}

    def turn_away(self, request_id: str) -> dict[str, Any]:
        """Reject a device; the next time it asks under a new id."""
        try:
            pending = self._house.devices.reject(request_id)
        except KeyError:
            raise invalid("unknown requestId") from None
        self._resolved(pending, "rejected")
        return {"requestId": request_id, "deviceId": pending.device_id}

    def _add(
        self,
        scope: str,
        name: str,
        handler: Handler,
        required: Mapping[str, type] | None = None,
        optional: Mapping[str, type] | None = None,
    ) -> None:
        self.table[name] = (scope, Shape(name, required or {}, optional or {}), handler)

    def _send(self, call: Call) -> dict[str, Any]:
        params = call.params
        if not params["message"].strip() and not params.get("attachments"):
            raise invalid("message or attachment required")
        mode = params.get("queueMode", self._house.settings.queue_mode)
        if mode not in MODES:
            raise invalid("invalid chat.send params: at /queueMode: must be equal to one of the allowed values")
        literal = params.get("suppressCommandInterpretation", False)
        if literal and (call.caller.admitted is None or not may(call.caller.admitted, ADMIN)):
            raise invalid("system provenance fields require admin scope")
        key = self._house.key(params["sessionKey"])
        return self._turns.send(key, params["message"], params["idempotencyKey"], mode, call.caller, literal)

    def _abort(self, call: Call) -> dict[str, Any]:
        stopped = self._turns.abort(self._house.key(call.params["sessionKey"]), call.params.get("runId"))
        return {"ok": True, "aborted": bool(stopped), "runIds": stopped}

    def _history(self, call: Call) -> dict[str, Any]:
        limit = call.params.get("limit", 200)
        if not 0 < limit <= 1000:
            raise invalid("invalid chat.history params: at /limit: must be <= 1000")
        faults = self._house.faults
        if faults.untold > 0:
            faults.untold -= 1
            raise refusals.Refused("UNAVAILABLE", "histories are being reclaimed", retry_after=0.5)
        key = self._house.key(call.params["sessionKey"])
        offset = max(call.params.get("offset", 0), 0)
        if self._house.settings.protocol > 3:
            return history(self._turns, self._house, key, limit, offset)
        session = self._house.sessions.get(key)
        lines = session.page(len(session.lines)) if session else []
        if key in self._turns.active:  # the unfinished turn is missing, even what the user said
            asked = [n for n, line in enumerate(lines) if line["role"] == "user"]
            lines = lines[: asked[-1]] if asked else []
        shown = [as_protocol_3(line) for line in lines[-limit:]]
        id = session.session_id if session else None
        return {"sessionKey": key, "sessionId": id, "messages": shown, "thinkingLevel": "off"}

    def _wait(self, call: Call) -> dict[str, Any] | None:
        run_id, seconds = call.params["runId"], call.params.get("timeoutMs", 30_000) / 1000
        entry = self._house.ledger.find(run_id)
        told: list[bool] = []

        def later(over: bool) -> None:
            if not told:
                told.append(True)
                call.reply(waited(run_id, entry if over else None))

        if entry is not None and entry.state != "running":
            return waited(run_id, entry)
        self._turns.when_ended(run_id, lambda: later(True))
        self._house.clock.after(seconds, lambda: later(False))
        return None

    def _inject(self, call: Call) -> dict[str, Any]:
        key = self._house.key(call.params["sessionKey"])
        return {"ok": True, "messageId": self._turns.inject(key, call.params["message"], call.params.get("label"))}

    def _list_agents(self, call: Call) -> dict[str, Any]:
        house = self._house
        agents = [
            {"id": id, **({"name": name} if id != house.default_agent else {}), "workspace": f"/playground/{id}"}
            for id, name in house.agents.items()
            if id not in self._unlisted
        ]
        model = {"model": {"primary": "mock/echo-1"}}
        listed = [{**agent, **model} for agent in agents]
        more = {"ownership": "legacy", "selectionRequired": False} if house.settings.protocol > 3 else {}
        return {"defaultId": house.default_agent, "mainKey": "main", "scope": "per-sender", "agents": listed, **more}

    def _create(self, call: Call) -> dict[str, Any]:
        name = call.params["name"]
        id = "-".join("".join(c if c.isalnum() and c.isascii() else " " for c in name.lower()).split())[:64]
        if not id or id in self._house.agents:
            raise invalid(f'agent "{id or name}" cannot be created: the id is empty or taken')
        self._house.agents[id] = name
        if self._house.settings.agents_late:
            self._unlisted.add(id)
            self._house.clock.after(self._house.settings.agents_late, lambda: self._unlisted.discard(id))
        return {"ok": True, "agentId": id, "name": name, "workspace": call.params.get("workspace", f"/playground/{id}")}

    def _delete(self, call: Call) -> dict[str, Any]:
        id = call.params["agentId"]
        if id not in self._house.agents or id == self._house.default_agent:
            raise invalid(f'agent "{id}" cannot be deleted')
        del self._house.agents[id]
        return {"ok": True, "agentId": id, "removedBindings": 0}

    def _list_sessions(self, call: Call) -> dict[str, Any]:
        offset, limit = max(call.params.get("offset", 0), 0), max(call.params.get("limit", 100), 1)
        live = [each for each in self._house.sessions.values() if not each.archived]
        live.sort(key=lambda each: -each.updated_at)
        page = [
            {"key": each.key, "agentId": each.agent_id, "sessionId": each.session_id, "updatedAt": each.updated_at}
            for each in live[offset : offset + limit]
        ]
        more = {"totalCount": len(live), "hasMore": offset + len(page) < len(live)}
        return {"ts": milliseconds(), "count": len(page), "sessions": page, **more}

    def _subscribe(self, call: Call) -> dict[str, Any]:
        key = self._house.key(call.params["key"])
        call.caller.subscribed.add(key)
        return {"subscribed": True, "key": key}

    def _unsubscribe(self, call: Call) -> dict[str, Any]:
        key = self._house.key(call.params["key"])
        call.caller.subscribed.discard(key)
        return {"subscribed": False, "key": key}

    def _reset(self, call: Call) -> dict[str, Any]:
        key = self._house.key(call.params["key"])
        self._turns.abort(key, None, "reset")
        self._house.session(key).reset()
        return {"ok": True, "key": key}

    def _archive(self, call: Call) -> dict[str, Any]:
        key = self._house.key(call.params["key"])
        self._turns.abort(key, None, "deleted")
        found = self._house.sessions.pop(key, None)
        return {"ok": True, "key": key, "deleted": found is not None}

    def _list_approvals(self, call: Call) -> list[dict[str, Any]]:
        return [each.as_json(self._house.settings.protocol) for each in self._approvals.pending]

    def _resolve(self, call: Call) -> dict[str, Any]:
        assert call.caller.admitted is not None
        by = call.caller.admitted.client["id"]
        self._approvals.resolve(call.params["id"], call.params["decision"], by)
        return {"ok": True}

    def _list_devices(self, call: Call) -> dict[str, Any]:
        devices = self._house.devices
        pending = [each.as_json() for each in devices.pending.values()]
        return {"pending": pending, "paired": [each.as_json() for each in devices.paired.values()]}

    def _remove_job(self, call: Call) -> dict[str, Any]:
        return {"ok": True, "removed": self._jobs.remove(call.params["id"])}

    def _pair(self, call: Call) -> dict[str, Any]:
        return self.pair(call.params["requestId"])

    def _turn_away(self, call: Call) -> dict[str, Any]:
        return self.turn_away(call.params["requestId"])

    def _remove_device(self, call: Call) -> dict[str, Any]:
        try:
            paired = self._house.devices.revoke(call.params["deviceId"])
        except KeyError:
            raise invalid("unknown deviceId") from None
        return {"ok": True, "deviceId": paired.pending.device_id}

    def _resolved(self, pending: Pending, decision: str) -> None:
        told = {"requestId": pending.request_id, "deviceId": pending.device_id, "decision": decision}
        self._house.tell("device.pair.resolved", {**told, "ts": milliseconds()}, scope=PAIRING)
        self._house.notify()


def waited(run_id: str, entry: Entry | None) -> dict[str, Any]:
    """What `agent.wait` answers about a run; without one the time was over first."""
    if entry is None:
        return {"runId": run_id, "status": "timeout"}
    answer: dict[str, Any] = {"runId": run_id, "endedAt": round((entry.ended_at or 0) * 1000)}
    if entry.state == "error":
        return {**answer, "status": "error", "error": entry.error}
    if entry.state == "aborted":
        return {**answer, "status": "error", "stopReason": "rpc"}
    reply = {"terminalReply": {"disposition": "visible", "text": entry.text}} if entry.text else {}
    return {**answer, "status": "ok", **reply}
