"""Small charts of the last day as plain numbers for components/chart.html: lines, gaps, and the table behind each.

144 points each (`models.hub_figures`), drawn by the server. A gap is a gap: no line is drawn across it.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from models.hub_figures import EVERY, HubFigures, last_end
from webapp import words
from webapp.fragments import reader_zone

POINTS = 144
STEP = 1.75
WIDTH, TOP, BOTTOM = (POINTS - 1) * STEP, 6.0, 62.0
LABEL = WIDTH + 6
# A gap narrower than this has no room for its word.
WORDY = 60.0
NO_FIGURES = "The hub was off"

Value = float | None
Read = Callable[[Any], Value]
NO_LATENCY = "Not connected"


@dataclass
class Line:
    """One series: its name at its end, and pieces of "x,y x,y ..."."""

    name: str
    pieces: list[str] = field(default_factory=list)
    end: float = BOTTOM


@dataclass
class Chart:
    """What components/chart.html draws. `table` is rows of hour and figures."""

    id: str
    title: str
    answer: str
    top: str
    lines: list[Line]
    gaps: list[dict[str, Any]]
    begins: str
    ends: str
    heads: list[str]
    table: list[list[str]]
    empty: str | None


def of_last_day(rows: Mapping[datetime, HubFigures], now: datetime) -> list[Chart]:
    """The five charts, from the rows of the last day."""
    end = last_end(now)
    times = [end - EVERY * (POINTS - 1 - number) for number in range(POINTS)]
    some = [rows.get(at) for at in times]
    there = [row for row in some if row is not None]
    waits = [row.approval_wait for row in there if row.approval_wait is not None]
    last = there[-1] if there else None
    messages, done, failed, decided = (
        sum(getattr(row, name) for row in there) for name in ("messages", "tasks_done", "tasks_failed", "approvals")
    )
    median = f", median wait {_span(statistics.median(waits))}" if waits else ""
    seats = f"{last.seats_taken} of {last.seats} taken" if last and last.seats else "no seats"
    connected = f"{words.plural(last.sessions, '1 session', '{n} sessions')}, " if last else ""
    connected += words.plural(last.gateways, "1 gateway", "{n} gateways") if last else ""
    drawn = (
        ("messages", "Messages", words.count(messages), "in 10 min", [("", _number("messages"), sum)]),
        (
            "tasks",
            "Tasks",
            f"{words.count(done)} done, {words.count(failed)} failed",
            "in 10 min",
            [("done", _number("tasks_done"), sum), ("failed", _number("tasks_failed"), sum)],
        ),
        (
            "approvals",
            "Approvals",
            f"{words.count(decided)} decided{median}",
            "min of waiting",
            [("", lambda row: None if row.approval_wait is None else row.approval_wait / 60, statistics.median)],
        ),
        (
            "connections",
            "Connections",
            connected,
            "at once",
            [("sessions", _number("sessions"), max), ("gateways", _number("gateways"), max)],
        ),
        ("seats", "Seats", seats, "at once", [("taken", _number("seats_taken"), max), ("all", _number("seats"), max)]),
    )
    return [_chart(*one, times=times, rows=some, now=now) for one in drawn]


def of_latency(rows: Mapping[datetime, float], now: datetime) -> Chart:
    """How quick a gateway answered on the last day, from `models.gateway_figures`."""
    end = last_end(now)
    times = [end - EVERY * (POINTS - 1 - number) for number in range(POINTS)]
    some = [rows.get(at) for at in times]
    there = [value for value in some if value is not None]
    answer = f"median {_quick(statistics.median(there))}, worst {_quick(max(there))}" if there else ""
    series = [("", lambda value: value, statistics.median)]
    return _chart("latency", "Latency", answer, "ms", series, times=times, rows=some, now=now, gap=NO_LATENCY)


def _quick(milliseconds: float) -> str:
    return f"{max(1, round(milliseconds))} ms"


def _chart(
    id: str,
    title: str,
    answer: str,
    unit: str,
    series: Sequence[tuple[str, Read, Callable[[list[float]], float]]],
    *,
    times: Sequence[datetime],
    rows: Sequence[Any],
    now: datetime,
    gap: str = NO_FIGURES,
) -> Chart:
    values = [[None if row is None else read(row) for row in rows] for _, read, _ in series]
    most = max((value for line in values for value in line if value is not None), default=0.0)
    top = _round_up(most)
    lines = [_line(name, line, top) for (name, _, _), line in zip(series, values, strict=True)]
    if len(lines) == 2 and abs(lines[0].end - lines[1].end) < 11:  # two words are never written over each other
        upper, lower = (0, 1) if lines[0].end <= lines[1].end else (1, 0)
        lines[lower].end = min(BOTTOM + 3, max(lines[lower].end, lines[upper].end + 11))
        lines[upper].end = lines[lower].end - 11
    names = [name.capitalize() or title for name, _, _ in series]
    zone = reader_zone()
    empty = None
    if not any(row is not None for row in rows):
        empty = f"The first figures come at {words.clock(last_end(now) + EVERY, zone)}."
    return Chart(
        id=id,
        title=title,
        answer="" if empty else answer,
        top=f"{words.count(round(top))} {unit}",
        lines=lines,
        gaps=_gaps(rows, gap),
        begins=words.moment(now, times[0], zone),
        ends=words.moment(now, times[-1], zone),
        heads=["Hour from", *names],
        table=_table(times, values, [sum_up for _, _, sum_up in series]),
        empty=empty,
    )


def _number(name: str) -> Read:
    return lambda row: float(getattr(row, name))


def _span(seconds: float) -> str:
    return words.span(timedelta(seconds=seconds))


def _round_up(most: float) -> float:
    """The next number that is good to read: 1, 2, 5, 10, 20, 50 ..."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if most <= factor * step:
                return factor * step
        step *= 10


def _line(name: str, values: Sequence[Value], top: float) -> Line:
    line, piece = Line(name), list[str]()
    for number, value in enumerate([*values, None]):
        if value is not None:
            y = BOTTOM - (BOTTOM - TOP) * value / top
            piece.append(f"{number * STEP:g},{y:.1f}")
            line.end = y + 3
        elif piece:
            if len(piece) == 1:  # one point alone is a dash
                x, _, y_ = piece[0].partition(",")
                piece = [f"{float(x) - 1:g},{y_}", f"{float(x) + 1:g},{y_}"]
            line.pieces.append(" ".join(piece))
            piece = []
    return line


def _gaps(rows: Sequence[Any], word: str) -> list[dict[str, Any]]:
    """Where figures are missing between others, or for longer than the newest ten minutes at the end."""
    first = next((number for number, row in enumerate(rows) if row is not None), len(rows))
    found: list[dict[str, Any]] = []
    begun = None
    for number in range(first, len(rows) + 1):
        missing = number < len(rows) and rows[number] is None
        if missing and begun is None:
            begun = number
        elif not missing and begun is not None:
            if number < len(rows) or number - begun > 1:
                x, width = (begun - 0.5) * STEP, (number - begun) * STEP
                found.append({"x": x, "width": width, "word": word, "wordy": width >= WORDY})
            begun = None
    return found


def _table(
    times: Sequence[datetime], values: Sequence[Sequence[Value]], sums: Sequence[Callable[[list[float]], float]]
) -> list[list[str]]:
    """By hour, the newest first; hours without a row are left out."""
    zone, hours = reader_zone(), dict[datetime, list[list[float]]]()
    for number, at in enumerate(times):
        hour = (at - EVERY).astimezone(UTC).replace(minute=0)
        cells = hours.setdefault(hour, [[] for _ in values])
        for cell, line in zip(cells, values, strict=True):
            value = line[number]
            if value is not None:
                cell.append(value)
    shown = []
    for hour, cells in sorted(hours.items(), reverse=True):
        if any(cells):
            figures = [_figure(sum_up(cell)) if cell else "–" for sum_up, cell in zip(sums, cells, strict=True)]
            shown.append([words.clock(hour, zone), *figures])
    return shown


def _figure(value: float) -> str:
    return words.count(round(value)) if value == round(value) else f"{value:.1f}"
