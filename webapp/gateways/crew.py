"""All that works on one held line: one inbox, one speaker, a courier for each gateway; and the requests put to them."""

from collections.abc import Callable

import gevent
import structlog

from models.database import at_once
from models.errors import DatabaseAway
from models.gateway import Gateway
from models.gateway_request import GatewayRequest, Verb
from webapp.gateways.asking import Asking
from webapp.gateways.catching_up import catch_up
from webapp.gateways.channels import Channels
from webapp.gateways.consent import Approvals
from webapp.gateways.courier import Courier
from webapp.gateways.inbox import Inbox
from webapp.gateways.line import Line, NotHeld
from webapp.gateways.listing import listed, store_agents
from webapp.gateways.refusals import ConnectionLost
from webapp.gateways.speaking import Speaking
from webapp.gateways.storing import Storing
from webapp.streams import Streams

log = structlog.get_logger("gateways")

LIST_SECONDS = 10.0
# Holes come in bursts, and each has all histories read.
MISSED_SECONDS = 0.5


class Crew:
    """Greenlets that wait on the gateway, so that its supervisor need not."""

    def __init__(self, line: Line, streams: Streams, asking: Asking) -> None:
        self.line, self.asking = line, asking
        self.speaking = Speaking(line, streams)
        self.approvals = Approvals(line)
        self.storing = Storing(line, self.speaking)
        self.inbox = Inbox(line, self.speaking, self.storing, self.approvals)
        self.channels = Channels(line)
        self.couriers: dict[int, Courier] = {}
        self._busy: dict[str, gevent.Greenlet] = {}
        self._again: set[str] = set()
        self._requests: dict[int, gevent.Greenlet] = {}
        # Gateways whose histories were not read to the end since the last connect.
        self._behind: set[int] = set()
        # Gateways where it is being looked for what they have of our work: nothing new is sent there before.
        self._unsettled: set[int] = set()
        line.nudge, line.missed = self._deliver_all, self.missed

    def start(self) -> None:
        """Begins to hear."""
        self.speaking.start()
        self.inbox.start()

    def stop(self) -> None:
        """Ends all of it; rows and the gateway's history say the rest to whoever comes next."""
        for courier in self.couriers.values():
            courier.stop()
        for greenlet in [*self._busy.values(), *self._requests.values()]:
            greenlet.kill(block=False)
        self.inbox.stop()
        self.speaking.stop()

    # -- from the supervisors ----------------------------------------------------------------------------------

    def greeted(self, gateway_id: int, name: str) -> None:
        """A connection is there: what was said and asked meanwhile is caught up with, then work goes out."""
        self.couriers[gateway_id] = Courier(self.line, gateway_id, name, self.speaking, self.inbox)
        self._behind.add(gateway_id)
        self._unsettled.add(gateway_id)
        self._once(f"greets {gateway_id}", lambda: self._settle_in(gateway_id))

    def left(self, gateway_id: int) -> None:
        """Its connection is gone."""
        courier = self.couriers.pop(gateway_id, None)
        if courier is not None:
            courier.stop()
        if self.line.connection is not None and not self.line.connection.is_open:
            self.line.connection = None

    def work(self, gateway_id: int) -> None:
        """Work may go out, and requests may wait. Without a connection only a test is answered: it makes its own."""
        self.deliver(gateway_id)
        self._once(f"requests {gateway_id}", lambda: self.answer_requests(gateway_id))

    def deliver(self, gateway_id: int) -> bool:
        """Work may go out. False when nobody is here to bring it."""
        if gateway_id not in self.couriers:
            return False
        if gateway_id in self._behind and f"greets {gateway_id}" not in self._busy:
            self._once(f"greets {gateway_id}", lambda: self._settle_in(gateway_id))
        self._send(gateway_id)
        return True

    def missed(self) -> None:
        """The gateway left out frames, or we had no room for them: what they said is in its histories."""
        for gateway_id in list(self.couriers):
            self._behind.add(gateway_id)
            # Also while it is being done: the session that they belong to may have been read already.
            self._once(f"greets {gateway_id}", lambda id=gateway_id: self._look_for_missed(id))  # type: ignore[misc]

    def answer_requests(self, gateway_id: int) -> None:
        """Claims what is asked and carries each out in a greenlet of its own: a stop waits behind nothing."""
        self._requests = {id: one for id, one in self._requests.items() if not one.dead}
        while (asked := self.asking.claim(gateway_id, None if self.line.is_open else Verb.TEST)) is not None:
            self._requests[asked.id] = self._spawn(asked)

    def _spawn(self, asked: GatewayRequest) -> gevent.Greenlet:
        greenlet = gevent.spawn(self.asking.carry_out, asked, self.line)
        greenlet.name = f"request {asked.id} {asked.verb}"
        return greenlet

    def write_figures(self, gateway_id: int, latency_ms: float | None) -> None:
        """How it stands, into its row; nobody is told, as pages look by themselves."""
        epoch = self.line.epochs.get(gateway_id, -1)
        latency = None if latency_ms is None else round(latency_ms, 1)
        with at_once() as session:
            Gateway.stands(session, gateway_id, epoch, latency, self.inbox.open_runs, self.inbox.buffered_bytes)

    # -- inside ------------------------------------------------------------------------------------------------

    def _settle_in(self, gateway_id: int) -> None:
        self._look_again(gateway_id)
        if self.line.connection is not None:
            agents = listed(self.line.connection, LIST_SECONDS)
            if agents is not None:
                store_agents(gateway_id, agents)

    def _look_for_missed(self, gateway_id: int) -> None:
        gevent.sleep(MISSED_SECONDS)
        self._look_again(gateway_id)

    def _look_again(self, gateway_id: int) -> None:
        self._behind.discard(gateway_id)  # before it is read: what is missed meanwhile makes it behind once more
        self._unsettled.add(gateway_id)
        try:
            self.approvals.list_all()
            courier = self.couriers.get(gateway_id)
            if courier is not None:
                courier.after_connect()
            # Reading histories takes a gateway seconds: what was asked meanwhile does not wait for that.
            self._unsettled.discard(gateway_id)
            self._send(gateway_id)
            catch_up(self.line, self.speaking, self.storing)
        except Exception:
            self._behind.add(gateway_id)
            raise
        finally:
            self._unsettled.discard(gateway_id)

    def _send(self, gateway_id: int) -> None:
        """What waits goes out, unless it is still looked for what the gateway has: then right after that."""
        courier = self.couriers.get(gateway_id)
        if courier is not None and gateway_id not in self._unsettled:
            self._once(f"courier {gateway_id}", courier.run)

    def _deliver_all(self) -> None:
        for gateway_id in list(self.couriers):
            self.deliver(gateway_id)

    def _once(self, name: str, step: Callable[[], None]) -> None:
        """In a greenlet of its own, one at a time under a name; asked for meanwhile, it is done once more after it."""
        if name in self._busy and not self._busy[name].dead:
            self._again.add(name)
            return
        self._busy[name] = gevent.spawn(self._guarded, name, step)
        self._busy[name].name = f"{name} {self.line.address}"

    def _guarded(self, name: str, step: Callable[[], None]) -> None:
        try:
            while True:
                self._again.discard(name)
                step()
                if name not in self._again:
                    return
        except (ConnectionLost, DatabaseAway, NotHeld) as error:
            log.info("gateway_work_put_off", what=name, why=type(error).__name__)
        except Exception:
            log.exception("gateway_work_failed", what=name)
        finally:
            self._busy.pop(name, None)
