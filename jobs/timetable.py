"""The timetable: which job runs how often. Each runs in every process; what is due is a column, claimed by lock.

Interval ticks only, one instance each, late ones run once: APScheduler's own grace of a second would drop every job
that came due while the process was busy.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.schedulers.gevent import GeventScheduler

from jobs.advance_topics import advance_topics
from jobs.cancel_kept_tasks import cancel_kept_tasks
from jobs.cancel_stuck_tasks import cancel_stuck_tasks
from jobs.check_gateways import Fleet, check_gateways
from jobs.end_grace_windows import end_grace_windows
from jobs.expire_chat_sessions import expire_chat_sessions
from jobs.expire_requests import expire_requests
from jobs.prune import prune
from jobs.reap_subscriptions import reap_subscriptions
from jobs.resume_suspended import resume_suspended
from jobs.sweep_stale_buffers import sweep_stale_buffers
from jobs.take_figures import take_figures
from jobs.tell_absences import tell_absences
from models.base import database_time
from models.database import Rules, reading
from models.errors import DatabaseAway

log = structlog.get_logger("timetable")

# Most intervals are a multiple of it.
SPREAD_SECONDS = 5.0

Job = Callable[[datetime], int]


@dataclass
class Line:
    """One line of the timetable, and how its last run went."""

    job: Job
    every_seconds: float
    last_run_at: datetime | None = None
    last_seconds: float | None = None
    last_error: str | None = None
    ended: bool = False  # the process stops: what a run that was under way comes to is no news

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.__name__

    def shown(self) -> dict[str, Any]:
        """The line for JSON; times as ISO 8601 in UTC."""
        at = self.last_run_at and self.last_run_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {
            "job": self.name,
            "every_seconds": self.every_seconds,
            "last_run_at": at,
            "last_seconds": self.last_seconds,
            "last_error": self.last_error,
        }

    def run(self) -> None:
        """Runs the job once, with the database's time; a failure is noted, and the next tick tries again."""
        started = time.monotonic()
        try:
            with reading() as session:
                now = database_time(session)
            done = self.job(now)
            self.last_run_at, self.last_error = now, None
            if done:
                log.info("job_done", job=self.name, count=done)
        except DatabaseAway:
            self.last_error = "The database does not answer."
        except Exception as error:
            if self.ended:
                return
            self.last_error = type(error).__name__
            log.exception("job_failed", job=self.name)
        self.last_seconds = round(time.monotonic() - started, 4)


def _with(fleet: Fleet, job: Callable[[datetime, Fleet], int]) -> Job:
    """The job, with what this process holds."""

    @functools.wraps(job)
    def run(now: datetime) -> int:
        return job(now, fleet)

    return run


def lines(rules: Rules, fleet: Fleet) -> list[Line]:
    """The timetable. *Every* is an upper bound: a timer set to seconds brings a quicker tick, at least 0.5 s."""

    def tick(every: float, serves: float) -> float:
        return max(0.5, min(every, serves / 2))

    return [
        Line(advance_topics, 5),
        Line(end_grace_windows, tick(5, rules.grace_seconds)),
        Line(tell_absences, tick(5, rules.grace_seconds / 2)),
        Line(cancel_kept_tasks, 5),
        Line(cancel_stuck_tasks, tick(60, 2 * rules.stale_seconds)),
        Line(reap_subscriptions, tick(30, rules.stale_seconds)),
        Line(resume_suspended, 5),
        # A chat may have an idle time of its own, of seconds.
        Line(expire_chat_sessions, tick(4, rules.slot_idle_seconds)),
        Line(_with(fleet, check_gateways), 30),
        Line(_with(fleet, sweep_stale_buffers), tick(60, rules.buffer_ttl_seconds)),
        Line(expire_requests, 2),
        Line(take_figures, 60),
        Line(prune, 3600),
    ]


def first_ticks(lines: Sequence[Line], now: datetime) -> list[datetime]:
    """When each comes due first: about one interval from now, at a moment of its own: no page waits for all of them."""
    first = []
    for place, line in enumerate(lines):
        early = min(SPREAD_SECONDS, line.every_seconds) * place / len(lines)
        first.append(now + timedelta(seconds=line.every_seconds - early))
    return first


class Timetable:
    """Runs the lines, each in a greenlet of its own."""

    def __init__(self, rules: Rules, fleet: Fleet) -> None:
        """`fleet`: the gateways that this process holds."""
        self.lines = lines(rules, fleet)
        self._scheduler = GeventScheduler(
            timezone="UTC",
            job_defaults={
                "coalesce": True,
                "max_instances": 1,
                "misfire_grace_time": None,
            },
        )

    def start(self) -> None:
        """Runs every line once now, and then at its interval."""
        for line, first in zip(self.lines, first_ticks(self.lines, datetime.now(UTC)), strict=True):
            self._scheduler.add_job(line.run, "interval", seconds=line.every_seconds, start_date=first, id=line.name)
            self._scheduler.add_job(line.run, id=f"{line.name} at the start")
        self._scheduler.start()

    def stop(self) -> None:
        """Stops; a running job is not waited for: each of its transactions stands by itself."""
        for line in self.lines:
            line.ended = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def shown(self) -> list[dict[str, Any]]:
        """Every line for JSON."""
        return [line.shown() for line in self.lines]

    def runs(self) -> bool:
        """Whether the scheduler lives."""
        return bool(self._scheduler.running)
