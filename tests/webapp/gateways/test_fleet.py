"""A lease that is over: what belonged to it is out of the way before anything waits."""

from pathlib import Path
from typing import Any

from models.database import Rules
from models.proactive_message_buffer import ProactiveMessageBuffer
from webapp.gateways.fleet import Fleet
from webapp.gateways.line import Line

ADDRESS = "ws://harbor:1"


class Parting:
    """A supervisor and its crew; `found` is what somebody finds who takes the gateway while it says goodbye."""

    def __init__(self, fleet: Fleet, line: Line) -> None:
        self.fleet, self.line, self.crew, self.found = fleet, line, self, "nothing was dropped"
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True

    def drop(self, reason: str) -> None:
        self.found = str(self.fleet.crews.get(ADDRESS)) + str(self.line.gateway_ids)


def test_who_takes_a_gateway_anew_does_not_find_the_crew_that_is_on_its_way_out(tmp_path: Path) -> None:
    nothing: Any = None
    fleet = Fleet(nothing, Rules(), (), tmp_path, leave_processes=False)
    line = Line(ADDRESS, "openclaw", ProactiveMessageBuffer(60), epochs={1: 7}, names={1: "harbor"})
    parting: Any = Parting(fleet, line)
    fleet.crews[ADDRESS], fleet.supervisors[1] = parting, parting
    fleet._drop(1, "this hub could not renew its lease")
    assert (parting.found, parting.stopped) == ("None[]", True)
