"""How a gateway stood in the last 24 hours: 36 cells of 40 minutes, of each its worst moment, and a sentence."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from models.gateway_states import GatewayState
from webapp import words

CELLS = 36
CELL = timedelta(minutes=40)
WINDOW = CELLS * CELL
# What a cell shows, from bad to good; a time before the gateway was there shows nothing.
WORST = ("trouble", "waiting", "off", "live", "none")
SHOWN = {
    GatewayState.ERROR: "trouble",
    GatewayState.RECONNECTING: "waiting",
    GatewayState.STARTING: "waiting",
    GatewayState.STOPPED: "off",
    GatewayState.RUNNING: "live",
}


class Strip(NamedTuple):
    """`cells`: a word each, oldest first; `says`: the same for who cannot see it."""

    cells: list[str]
    says: str


class _Stretch(NamedTuple):
    state: str
    begun: datetime
    ended: datetime


def strip(stood: Sequence[tuple[datetime, str]], now: datetime) -> Strip:
    """From since when it stood how (`gateway_reading.stood`), oldest first."""
    begun = now - WINDOW
    changes = [one for place, one in enumerate(stood) if place == 0 or stood[place - 1][1] != one[1]]
    stretches = _stretches(changes, begun, now)
    cells = [_cell(stretches, begun + place * CELL, begun + (place + 1) * CELL) for place in range(CELLS)]
    return Strip(cells, _says(stretches))


def _stretches(stood: Sequence[tuple[datetime, str]], begun: datetime, now: datetime) -> list[_Stretch]:
    found: list[_Stretch] = []
    for place, (at, state) in enumerate(stood):
        until = stood[place + 1][0] if place + 1 < len(stood) else now
        at, until = max(at, begun), min(until, now)
        shown = "none" if _comes_up(stood, place) else SHOWN.get(GatewayState(state), "none")
        if until <= at and place + 1 < len(stood):
            continue
        if found and found[-1].state == shown:
            found[-1] = found[-1]._replace(ended=until)
        else:
            found.append(_Stretch(shown, at, until))
    return found


def _comes_up(stood: Sequence[tuple[datetime, str]], place: int) -> bool:
    """Whether this is a start that went well, of what had not run before: no interruption of anything."""
    before, here, after = (stood[at][1] if 0 <= at < len(stood) else None for at in (place - 1, place, place + 1))
    return here == GatewayState.STARTING and after == GatewayState.RUNNING and before in (None, GatewayState.STOPPED)


def _cell(stretches: Sequence[_Stretch], begun: datetime, ended: datetime) -> str:
    here = [one.state for one in stretches if one.begun < ended and one.ended >= begun]
    return min(here, key=WORST.index, default="none")


def _says(stretches: Sequence[_Stretch]) -> str:
    lengths = {
        state: sum((one.ended - one.begun for one in stretches if one.state == state), timedelta()) for state in WORST
    }
    breaks = [one for one in stretches if one.state in ("trouble", "waiting")]
    parts = []
    if lengths["live"]:
        parts.append(f"{words.span(lengths['live'])} live")
    if breaks:
        told = words.plural(len(breaks), "1 interruption of", "{n} interruptions, together")
        parts.append(f"{told} {words.span(lengths['trouble'] + lengths['waiting'])}")
    if lengths["off"]:
        parts.append(f"{words.span(lengths['off'])} stopped")
    return words.listed(parts) or "Nothing is known yet"
