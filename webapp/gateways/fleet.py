"""The gateways that this process holds: takes leases, renews them, gives them up; the few verbs others may ask.

every 2 s: renew what is held; take what is wanted and free; a supervisor for each
no renewal for 6 s by this process's own clock: every socket is closed, whatever the database says
"""

from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import gevent
import structlog
from gevent.event import Event as Signal

from models.database import Rules
from models.errors import DatabaseAway, Refusal
from models.gateway import Gateway
from models.proactive_message_buffer import BufferFigures, ProactiveMessageBuffer
from webapp.gateways import leases
from webapp.gateways.asking import Asking
from webapp.gateways.connection import GatewayConnection
from webapp.gateways.crew import Crew
from webapp.gateways.keeper import ProcessKeeper
from webapp.gateways.line import Line, clock
from webapp.gateways.manager import ConnectionManager
from webapp.gateways.supervisor import ProcessSide, Supervisor
from webapp.gateways.wire import Event
from webapp.streams import Heard, Streams

log = structlog.get_logger("gateways")

RENEW_SECONDS = 2.0
# By this process's own clock: sooner than the lease ends by the database's.
TRUST_SECONDS = 6.0
WATCH_SECONDS = 0.5
DRAFTS = "drafts"
HUB = "hub"


class Fleet:
    """Started after `streams`, stopped before them."""

    def __init__(
        self, streams: Streams, rules: Rules, hosts: Container[str], data_dir: Path, leave_processes: bool
    ) -> None:
        """`hosts` is SWITCHYARD_GATEWAY_HOSTS; `leave_processes`: those of this machine outlive the hub."""
        self.streams, self.rules, self.hosts, self.data_dir = (streams, rules, hosts, data_dir)
        self.manager = ConnectionManager(self._make, idle_seconds=rules.idle_disconnect_seconds)
        self.manager.listen(self._hear, self._missed)
        self.crews: dict[str, Crew] = {}
        self.supervisors: dict[int, Supervisor] = {}
        self._leave = leave_processes
        self._followers: dict[int, Callable[[Heard], None]] = {}
        self._past = BufferFigures()
        self._process_id = 0
        self._asking = Asking(0, hosts)
        self._renewed_at = 0.0
        self._wake = Signal()
        self._greenlets: list[gevent.Greenlet] = []

    # -- starting and stopping ---------------------------------------------------------------------------------

    def start(self, process_id: int) -> None:
        """Begins to take gateways."""
        self._process_id = process_id
        self._asking = Asking(process_id, self.hosts)
        self.streams.follow(HUB, self._hear_hub)
        self.streams.follow(DRAFTS, self._hear_drafts)
        for loop, name in ((self._keep, "keeps"), (self._watch, "watches")):
            greenlet = gevent.spawn(loop)
            greenlet.name = f"fleet {name}"
            self._greenlets.append(greenlet)

    def stop(self) -> None:
        """Says goodbye to every gateway and gives its lease back."""
        gevent.killall(self._greenlets)
        self.streams.leave(HUB, self._hear_hub)
        self.streams.leave(DRAFTS, self._hear_drafts)
        ends = [gevent.spawn(self._stop_one, id) for id in list(self.supervisors)]
        gevent.joinall(ends, timeout=10.0)
        for crew in self.crews.values():
            crew.stop()
        self.manager.shutdown()

    def _stop_one(self, id: int) -> None:
        supervisor = self.supervisors[id]
        try:
            supervisor.stop(self._leave)
            self._release(id)
        except DatabaseAway:
            log.warning("gateway_not_given_back", gateway=id)

    # -- what jobs ask -----------------------------------------------------------------------------------------

    def check_health(self) -> int:
        """Wakes the fleet and its supervisors, so that what is wanted and what is held agree; says how many."""
        self._wake.set()
        for id, supervisor in self.supervisors.items():
            if id not in supervisor.crew.couriers:  # who serves looks every few seconds by itself
                supervisor.nudge()
        return 0

    def sweep(self) -> int:
        """Lets go of runs that never finished; says how many."""
        swept = 0
        for crew in list(self.crews.values()):
            stale = crew.line.buffer.sweep(clock())
            for run in stale:
                crew.speaking.ended(run.run_id)
            swept += len(stale)
        return swept

    def figures(self) -> dict[str, Any]:
        """What only this process knows of its gateways, for its row: connections, buffers."""
        counted = BufferFigures(**vars(self._past))
        for crew in self.crews.values():
            _add(counted, crew.line.buffer.figures)
        connections = [
            {"url": crew.line.address, "gateway_ids": crew.line.gateway_ids, "open": crew.line.is_open}
            for crew in self.crews.values()
        ]
        return {
            "connections": connections,
            "holds": sorted(self.supervisors),
            "buffers": {
                "open_runs": sum(crew.inbox.open_runs for crew in self.crews.values()),
                "bytes": sum(crew.inbox.buffered_bytes for crew in self.crews.values()),
                **vars(counted),
            },
        }

    # -- leases ------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        while True:
            try:
                self._renew()
                self._reap()
                self._take()
                self._look_after_requests()
            except DatabaseAway:
                log.warning("leases_not_renewed", count=len(self.supervisors))
            except Exception:
                log.exception("fleet_failed")
            self._wake.wait(timeout=RENEW_SECONDS)
            self._wake.clear()

    def _watch(self) -> None:
        """A process that was stopped for a while, or has no database, must not speak for gateways any more."""
        while True:
            gevent.sleep(WATCH_SECONDS)
            if self.supervisors and not self._is_trusted():
                log.warning("leases_lost", count=len(self.supervisors), seconds=round(clock() - self._renewed_at, 1))
                for id in list(self.supervisors):
                    self._drop(id, "this hub could not renew its lease")

    def _is_trusted(self) -> bool:
        return clock() - self._renewed_at < TRUST_SECONDS

    def _renew(self) -> None:
        epochs = {id: crew.line.epochs[id] for crew in self.crews.values() for id in crew.line.gateway_ids}
        before = clock()
        kept = leases.renew(epochs)
        if not self.supervisors or self._is_trusted():
            self._renewed_at = before
        for id in set(epochs) - kept:
            log.warning("lease_taken", gateway=id)
            self._drop(id, "another process holds this gateway")

    def _take(self) -> None:
        for id in leases.to_take(list(self.crews)):
            if id in self.supervisors:
                continue
            try:
                self._take_one(id)
            except Refusal as refusal:
                self._unfollow(id)
                if isinstance(refusal, DatabaseAway):
                    raise
                leases.closed(id, str(refusal))

    def _take_one(self, id: int) -> None:
        def hear(heard: Heard) -> None:
            self._hear_gateway(id, heard)

        self._followers[id] = hear
        self.streams.follow(f"gateway:{id}", hear)
        before = clock()
        row = leases.hold(id, self._process_id)
        if row is None:
            self._unfollow(id)
            return
        if not self.supervisors:
            self._renewed_at = before
        crew = self.crews.get(row.address)
        if crew is None:
            crew = self._crew(row)
        crew.line.epochs[id], crew.line.names[id] = row.hold_epoch, row.name
        process: ProcessSide | None = ProcessKeeper(id, row.hold_epoch, self.data_dir) if row.managed else None
        supervisor = Supervisor(
            id, crew.line, crew, self.manager, self.rules.idle_disconnect_seconds, process, self._is_trusted
        )
        self.supervisors[id] = supervisor
        log.info("gateway_held", gateway=id, epoch=row.hold_epoch)
        supervisor.start()

    def _crew(self, row: Gateway) -> Crew:
        buffer = ProactiveMessageBuffer(self.rules.buffer_ttl_seconds)
        crew = self.crews[row.address] = Crew(Line(row.address, row.dialect, buffer), self.streams, self._asking)
        crew.start()
        return crew

    def _release(self, id: int) -> None:
        epoch = next((crew.line.epochs[id] for crew in self.crews.values() if id in crew.line.epochs), None)
        if epoch is not None:
            leases.release(id, epoch)

    def _reap(self) -> None:
        """Supervisors that came to their end by themselves: not wanted any more, removed, or moved."""
        for id, supervisor in list(self.supervisors.items()):
            if not supervisor.runs:
                self._release(id)
                self._drop(id, "it is not held any more")

    def _drop(self, id: int, reason: str) -> None:
        supervisor = self.supervisors.pop(id, None)
        if supervisor is None:
            return
        # Before anything that waits: it may be taken anew meanwhile, and must not find what is on its way out.
        self._unfollow(id)
        line = supervisor.line
        line.epochs.pop(id, None)
        line.names.pop(id, None)
        if not line.epochs and self.crews.get(line.address) is supervisor.crew:
            del self.crews[line.address]
            supervisor.crew.stop()
            _add(self._past, line.buffer.figures)
        try:
            supervisor.drop(reason)
        except Exception:  # the lease must not be renewed for nobody, and others are to be dropped too
            log.exception("gateway_not_dropped", gateway=id)

    def _unfollow(self, id: int) -> None:
        hear = self._followers.pop(id, None)
        if hear is not None:
            self.streams.leave(f"gateway:{id}", hear)

    # -- hearing -----------------------------------------------------------------------------------------------

    def _hear_hub(self, heard: Heard) -> None:
        if heard.event in ("gateways", "look_again"):
            self._wake.set()

    def _hear_drafts(self, heard: Heard) -> None:
        self._answer_in_background(None)

    def _hear_gateway(self, id: int, heard: Heard) -> None:
        supervisor = self.supervisors.get(id)
        # Who brings work needs no look at the gateway's row.
        if supervisor is not None and (heard.event != "work" or not supervisor.crew.deliver(id)):
            supervisor.nudge()

    def _hear(self, connection: GatewayConnection, event: Event) -> None:
        crew = self.crews.get(connection.url)
        if crew is not None:
            crew.channels.receive(event)
            crew.inbox.receive(connection, event)

    def _missed(self, connection: GatewayConnection, count: int) -> None:
        crew = self.crews.get(connection.url)
        if crew is not None:
            crew.missed()

    def _make(self, *args: Any, **more: Any) -> GatewayConnection:
        return GatewayConnection(*args, hosts=self.hosts, **more)

    # -- what nobody holds -------------------------------------------------------------------------------------

    def _look_after_requests(self) -> None:
        """Drafts that a nudge was missed for, and what is asked of gateways that nobody holds."""
        for id in leases.asked_of_nobody():
            self._answer_in_background(id)

    def _answer_in_background(self, id: int | None) -> None:
        greenlet = gevent.spawn(self._asking.answer_all, id)
        greenlet.name = f"requests {id or DRAFTS}"


def _add(total: BufferFigures, more: BufferFigures) -> None:
    for name, value in vars(more).items():
        setattr(total, name, getattr(total, name) + value)
