"""Keeps one wanted gateway up: its process if it is ours, its connection, its row. One greenlet a lease.

look at the row -- not wanted -----------> disconnect, say so, end
       |        -- waits for a person ---> until somebody changes the row
       |        -- not needed, not kept -> disconnect, until work or a request comes
       +-- connect -- refused ----------> the row says why, and when it is tried again
              |
              +-- greeted --> catch up, then serve until the connection is lost
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import gevent
import structlog
from gevent.event import Event as Signal

from models.errors import DatabaseAway, UrlRefused
from models.gateway import Gateway
from models.gateway_states import ConnectionState, GatewayState, Happening, Problem
from webapp.gateways import row_words
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.crew import Crew
from webapp.gateways.identity import credentials_of, with_device
from webapp.gateways.line import Line, NotHeld, clock
from webapp.gateways.local import CalledOff, Trouble
from webapp.gateways.manager import ConnectionManager
from webapp.gateways.opening import opened
from webapp.gateways.refusals import ConnectionLost, Refused
from webapp.gateways.standing import Standing

log = structlog.get_logger("gateways")

LOOK_SECONDS = 5.0
LONGEST_WAIT = 30.0
AWAY_SECONDS = 1.0


class ProcessSide(Protocol):
    """What stands in front of the connection of a gateway that is a process of this machine (`keeper`)."""

    def up(self, cancelled: Callable[[], bool] = ...) -> None:
        """Finds or starts it and waits until it is ready. Raises Trouble."""

    def connected(self, connection: Any) -> None:
        """It was greeted: its end or illness closes this connection from now on."""

    def failed(self) -> None:
        """It could not be connected to though the process is there."""

    def lost(self) -> Trouble | None:
        """Why the connection was lost, if its process is the cause."""

    def restart(self, by: str = ...) -> None:
        """Ends the process; the next `up` starts another."""

    def down(self, leave: bool = ...) -> None:
        """It is wanted no more, or the hub stops."""


class Supervisor:
    """One held gateway. `crew` is what works on its line; `process` is None for one that runs elsewhere."""

    def __init__(
        self,
        gateway_id: int,
        line: Line,
        crew: Crew,
        manager: ConnectionManager,
        idle_seconds: float,
        process: ProcessSide | None = None,
        still_held: Callable[[], bool] = lambda: True,
    ) -> None:
        self.gateway_id, self.line, self.crew, self.manager = (gateway_id, line, crew, manager)
        self.process, self._idle_seconds, self._still_held = (process, idle_seconds, still_held)
        self.standing = Standing(gateway_id, line)
        self.user = f"gateway:{gateway_id}"
        self._nudged = Signal()
        self._ending = False
        self._connection: GatewayConnection | None = None
        self._changed_at: datetime | None = None
        self._seen_change: datetime | None = None
        self._used = clock()
        self._soft_tries = 0
        self._greenlet: gevent.Greenlet | None = None

    # -- for the fleet -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins."""
        self._greenlet = gevent.spawn(self._run)
        self._greenlet.name = f"supervisor {self.gateway_id}"

    def nudge(self) -> None:
        """Something about this gateway changed, or is asked of it."""
        self._nudged.set()

    @property
    def runs(self) -> bool:
        """Whether it still looks after its gateway."""
        return self._greenlet is not None and not self._greenlet.dead

    def drop(self, reason: str) -> None:
        """The lease is over: nothing is written, the socket is closed."""
        self._ending = True
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
        self._let_go(reason)
        if self.process is not None:
            self.process.down(leave=True)

    def stop(self, leave: bool) -> None:
        """The hub stops: says so in the row and ends; a process of ours is stopped too, unless it is to be left."""
        self._ending = True
        if self._greenlet is not None:
            self._greenlet.kill(timeout=2.0)
        self._let_go("this hub is stopping")
        if self.process is not None:
            self.process.down(leave=leave)
        with suppress(NotHeld):
            self.standing.hub_stopped()

    # -- its loop ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending:
            try:
                if not self._step():
                    return
            except DatabaseAway:
                gevent.sleep(AWAY_SECONDS)
            except NotHeld:
                log.warning("gateway_not_held", gateway=self.gateway_id)
                self._let_go("another process holds it")
                return
            except Exception:
                log.exception("supervisor_failed", gateway=self.gateway_id)
                gevent.sleep(AWAY_SECONDS)

    def _step(self) -> bool:
        """One look at the row and what follows from it; False at the end."""
        row, now, needed, busy = self.standing.look()
        self.line.names[self.gateway_id] = row.name
        if row.address != self.line.address or row.dialect != self.line.dialect_name:
            self._let_go("its address was changed")
            return False
        changed = self._seen_change is not None and row.changed_at != self._seen_change
        self._seen_change = row.changed_at
        if row.removed_at is not None or not row.wanted:
            self._unwanted(row)
            return False
        self._restart_if_asked(row)
        if self._connection is not None and self._connection.is_open:
            self._serve(row, busy)
        elif self._connection is not None:
            self._lost(self._connection)
        elif row.state == GatewayState.STOPPED and not needed:
            self._wait(LONGEST_WAIT)
        elif row.state == GatewayState.STOPPED:
            words = "Connects: it is kept connected." if row.keep else "Connects: it is needed."
            self.standing.happened(Happening.WANTED, words)
        elif row.state == GatewayState.ERROR and row.next_attempt_at is None:
            self._wait(LONGEST_WAIT)
        elif row.next_attempt_at is not None and row.next_attempt_at > now and not changed:
            self._wait(min(LONGEST_WAIT, (row.next_attempt_at - now).total_seconds()))
        elif not needed:
            self.standing.happened(Happening.UNWANTED, row_words.LAZY)
        else:
            self._connect()
        return True

    def _wait(self, seconds: float) -> None:
        self.crew.work(self.gateway_id)
        self._nudged.wait(timeout=max(0.05, seconds))
        self._nudged.clear()

    def _unwanted(self, row: Gateway) -> None:
        self._let_go("it is not wanted any more" if self.process is None else "gateway stopped")
        if self.process is not None:
            self.process.down()
        if row.state != GatewayState.STOPPED or row.connection != ConnectionState.DISCONNECTED:
            words = "Disconnected, as it is not wanted any more." if self.process is None else "It was stopped."
            self.standing.happened(Happening.UNWANTED, words)

    def _restart_if_asked(self, row: Gateway) -> None:
        asked = row.restart_wanted_at
        if asked is None or self.process is None:
            return
        self._let_go("it is being restarted")
        self.process.restart()
        self.standing.restarted(asked)

    # -- connecting --------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        row = with_device(self.gateway_id)
        self._changed_at = row.changed_at
        try:
            if self.process is not None:
                self.process.up(lambda: self._ending)
            if self._ending or not self._still_held():
                return
            credentials = credentials_of(row)
            self.manager.attach(self.user, row.url, credentials, row.dialect)
            # Not `get`: that repeats a refusal, and whether it is time to ask again is known here.
            ask = partial(self.manager.connect, row.url, credentials, row.dialect)
            connection = opened(self.manager, self.user, ask, self._nudged, self._is_called_off)
        except CalledOff:
            return
        except Trouble as trouble:
            self._trouble(trouble)
        except UrlRefused as refused:
            self._failed(Happening.REFUSED, str(refused), Problem.UNREACHABLE, {"message": str(refused)})
        except Refused as refused:
            self._refused(row, refused)
        except ConnectionLost as lost:
            self._failed(Happening.FAILED, f"The connection broke off: {lost}.", Problem.UNREACHABLE, {})
        else:
            self._greeted(row, connection)

    def _is_called_off(self) -> bool:
        row = self.standing.look().row
        return not row.wanted or row.removed_at is not None or bool(self.process and row.restart_wanted_at)

    def _trouble(self, trouble: Trouble) -> None:
        happening = Happening.REFUSED if trouble.waits else Happening.FAILED
        self._failed(happening, trouble.words, trouble.problem, trouble.facts, line=row_words.after_the_end(trouble))

    def _refused(self, row: Gateway, refused: Refused) -> None:
        if self.process is not None and not refused.fatal and refused.code != Problem.NOT_READY:
            self.process.failed()  # one that is still starting is well
        self._soft_tries += 1
        verdict = row_words.judge(refused, self._soft_tries)
        # It is tried again by itself, and the same answer again is no line in the timeline.
        same = (row.problem_code, row.reason) == (verdict.problem, refused.text) and row.next_attempt_at is not None
        again = same and (row.problem_facts or {}).get("request_id") == verdict.facts.get("request_id")
        if verdict.quiet and again and verdict.retry is not None:
            self.standing.put_off(verdict.retry)
        else:
            self._failed(verdict.happening, refused.text, verdict.problem, verdict.facts, verdict.retry)

    def _failed(
        self, what: Happening, words: str, problem: Problem, facts: Any, retry: timedelta | None = None, **more: Any
    ) -> None:
        self.standing.happened(what, words, problem=problem, problem_facts=facts, retry_in=retry, **more)

    def _greeted(self, row: Gateway, connection: GatewayConnection) -> None:
        self._soft_tries = 0
        self.standing.greeted(connection)
        self._connection = self.line.connection = connection
        self._used = clock()
        self.line.buffer.new_connection()
        connection.closed.rawlink(lambda _: self._nudged.set())
        if self.process is not None:
            self.process.connected(connection)
        self.crew.greeted(self.gateway_id, row.name)

    # -- serving -----------------------------------------------------------------------------------------------

    def _serve(self, row: Gateway, busy: bool) -> None:
        """What waits is done in greenlets of the crew; this one waits for the next nudge."""
        connection = self._connection
        assert connection is not None
        if row.changed_at != self._changed_at:
            self._changed_at = row.changed_at
            if not connection.credentials.same_key(credentials_of(row)):
                self._let_go("its token was changed")
                words = "Connects anew: its token was changed."
                self.standing.happened(Happening.LOST, words, retry_in=timedelta(0))
                return
        if busy or self.crew.inbox.open_runs:
            self._used = clock()
        elif not row.keep and not row.managed and clock() - max(self._used, connection.last_used) >= self._idle_seconds:
            self._let_go("nobody used it")
            self.standing.happened(Happening.UNWANTED, row_words.IDLE.format(seconds=self._idle_seconds))
            return
        if row.attempts:
            self.standing.settle()
        self._wait(LOOK_SECONDS * (0.75 + row_words.chance() / 2))  # not all of them at a time
        if connection.is_open:
            self.crew.write_figures(self.gateway_id, connection.latency_ms)

    def _lost(self, connection: GatewayConnection) -> None:
        self._connection = None
        self.crew.left(self.gateway_id)
        if self.process is not None and (trouble := self.process.lost()) is not None:
            self._trouble(trouble)
            return
        expected = connection.restart_expected_ms
        wait = timedelta(milliseconds=min(expected, 60_000) + 250) if expected is not None else None
        self.standing.happened(Happening.LOST, row_words.lost(connection), retry_in=wait)

    def _let_go(self, reason: str) -> None:
        """Nobody of this gateway uses the connection any more; it is closed with its last user."""
        self._connection = None
        self.manager.release(self.user, reason)
        self.crew.left(self.gateway_id)
