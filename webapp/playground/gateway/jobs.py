"""Scheduled jobs: bound to a session they speak into it, isolated ones into one of their own, `main` ones into none."""

import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webapp.playground.gateway.clock import Appointment
from webapp.playground.gateway.house import House
from webapp.playground.gateway.refusals import invalid
from webapp.playground.gateway.sessions import milliseconds
from webapp.playground.gateway.turns import Turns

NO_CHANNEL = "Channel is required (no configured channels detected)."


@dataclass
class Job:
    """One job as `cron.add` made it."""

    params: dict[str, Any]
    agent_id: str
    next_at: float  # seconds since the epoch
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: int = field(default_factory=milliseconds)
    enabled: bool = True
    appointment: Appointment | None = None

    def as_json(self) -> dict[str, Any]:
        """As `cron` events and answers carry it."""
        given = {name: self.params[name] for name in ("schedule", "sessionTarget", "wakeMode", "payload")}
        return {
            "id": self.id,
            "agentId": self.agent_id,
            "name": self.params["name"],
            "enabled": self.enabled,
            "deleteAfterRun": bool(self.params.get("deleteAfterRun", False)),
            "createdAtMs": self.created_at,
            "updatedAtMs": self.created_at,
            **given,
            "state": {},
        } | (self._next() if self.enabled else {})

    def _next(self) -> dict[str, Any]:
        at = round(self.next_at * 1000)
        return {"nextRunAtMs": at, "state": {"nextRunAtMs": at}}


class Jobs:
    """Survive a crash; `arm` them in each new life."""

    def __init__(self, house: House) -> None:
        self.all: dict[str, Job] = {}
        self._house = house
        self._turns: Turns | None = None

    def arm(self, turns: Turns) -> None:
        """A new life: all jobs get their appointments again."""
        self._turns = turns
        for job in self.all.values():
            self._appoint(job)

    def add(self, params: dict[str, Any]) -> Job:
        """`cron.add`; Refused for a schedule or a target that is not known here."""
        schedule, target = params["schedule"], params["sessionTarget"]
        if target.startswith("session:"):
            key = self._house.key(target.removeprefix("session:"))
            agent_id = self._house.session(key).agent_id
        elif target in ("isolated", "main"):
            agent_id = str(params.get("agentId", self._house.default_agent))
        else:
            raise invalid("invalid cron.add params: at /sessionTarget: must be main, isolated or session:<key>")
        job = Job(params, agent_id, _next(schedule))
        self.all[job.id] = job
        self._tell("added", job)
        self._appoint(job)
        return job

    def remove(self, id: str) -> bool:
        """`cron.remove`; whether there was one."""
        job = self.all.pop(id, None)
        if job is None:
            return False
        job.enabled = False
        if job.appointment is not None:
            job.appointment.cancel()
        self._tell("removed", job)
        return True

    def fire(self, job: Job) -> None:
        """Now, whatever its schedule says."""
        assert self._turns is not None
        if not job.enabled or job.id not in self.all:
            return None
        self._tell("started", job)
        payload, target = job.params["payload"], job.params["sessionTarget"]
        if target == "main":
            self._beat(str(payload.get("text", payload.get("message", ""))))
            return self._after(job, {"status": "ok", "completionStatus": "succeeded"})
        key = f"agent:{job.agent_id}:cron:{job.id}:run:{uuid.uuid4()}"
        if target.startswith("session:"):
            key = self._house.key(target.removeprefix("session:"))
        entry = self._turns.job(key, str(payload.get("message", "")), provenance(job.id))

        def over() -> None:
            # Without a channel to deliver to a real gateway calls this an error, though the session has heard it.
            told = {"status": "error", "completionStatus": "failed", "error": NO_CHANNEL}
            self._after(job, {**told, "summary": entry.text, "sessionKey": key})

        return self._turns.when_ended(entry.run_id, over)

    def _beat(self, text: str) -> None:
        told = {"ts": milliseconds(), "status": "skipped", "reason": "no-route", "preview": text[:200]}
        message = "Heartbeat has no delivery route yet. Message your bot once, or set agents.defaults.heartbeat.target."
        self._house.tell("heartbeat", {**told, "hasMedia": False, "durationMs": 0, "message": message})

    def _after(self, job: Job, how: dict[str, Any]) -> None:
        again = job.params["schedule"]["kind"] == "every" and job.enabled
        if again:
            job.next_at = time.time() + job.params["schedule"]["everyMs"] / 1000
            self._appoint(job)
        else:
            job.enabled = False
        self._tell("finished", job, **how)
        if not again and job.params.get("deleteAfterRun") and self.all.pop(job.id, None):
            self._tell("removed", job)

    def _appoint(self, job: Job) -> None:
        if job.enabled:
            left = max(job.next_at - time.time(), 0.0)
            job.appointment = self._house.clock.after(left, lambda: self.fire(job))

    def _tell(self, action: str, job: Job, **more: Any) -> None:
        self._house.tell("cron", {"jobId": job.id, "action": action, "job": job.as_json(), **more})


def provenance(job_id: str) -> dict[str, Any]:
    """What a transcript says of a line that a job wrote."""
    return {"kind": "internal_system", "sourceTool": "cron", "jobId": job_id}


def _next(schedule: dict[str, Any]) -> float:
    kind = schedule.get("kind")
    try:
        if kind == "at":
            return datetime.fromisoformat(str(schedule["at"])).timestamp()
        if kind == "every" and int(schedule["everyMs"]) > 0:
            return time.time() + int(schedule["everyMs"]) / 1000
    except (KeyError, TypeError, ValueError):
        pass
    raise invalid("invalid cron.add params: at /schedule: the playground takes kind at (at) and every (everyMs)")
