"""When the lines of the timetable come due."""

from datetime import UTC, datetime, timedelta

from jobs.timetable import first_ticks, lines
from models.database import Rules
from tests.fleet import NoGateways

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_each_line_comes_due_within_its_interval_and_never_many_of_them_at_once() -> None:
    table = lines(Rules(), NoGateways())
    first = first_ticks(table, NOW)
    assert all(NOW < at <= NOW + timedelta(seconds=line.every_seconds) for line, at in zip(table, first, strict=True))
    due = sorted(
        at + number * timedelta(seconds=line.every_seconds)
        for line, at in zip(table, first, strict=True)
        for number in range(int(120 / line.every_seconds))
    )
    together = [sum(at <= other < at + timedelta(milliseconds=50) for other in due) for at in due]
    assert max(together) <= 2
