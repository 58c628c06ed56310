"""One line for a gateway that fell, however often it did."""

from datetime import UTC, datetime, timedelta

import pytest

from models import falls

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SINCE = NOON - falls.LATELY


def stood(text: str) -> list[tuple[datetime, str]]:
    """ "-70 running, -5 error": minutes from noon and the state from then on."""
    pairs = (part.split() for part in text.split(","))
    return [(NOON + timedelta(minutes=int(at)), state) for at, state in pairs]


@pytest.mark.parametrize(
    ("history", "line"),
    [
        ("-5 starting, -4 running", None),
        ("-90 running", None),
        ("-90 running, -5 reconnecting", (-5, 1, None)),
        ("-90 running, -5 running, -5 reconnecting, -4 running", (-5, 1, -4)),
        ("-90 running, -9 reconnecting, -8 running, -5 error, -4 running", (-9, 2, -4)),
        ("-90 running, -9 reconnecting, -8 reconnecting, -7 error", (-9, 1, None)),
        ("-200 running, -190 reconnecting, -180 error", (-190, 1, None)),
        ("-200 running, -190 reconnecting, -180 running", None),
        ("-90 running, -9 reconnecting, -8 stopped", None),
        ("-90 running, -9 starting, -8 running", None),
    ],
)
def test_many_falls_are_one_line(history: str, line: tuple[int, int, int | None] | None) -> None:
    found = falls.fallen(1, "office", stood(history), SINCE)
    if line is None:
        assert found is None
        return
    at, times, back = line
    back_at = None if back is None else NOON + timedelta(minutes=back)
    assert found == falls.Fall(1, "office", NOON + timedelta(minutes=at), times, back_at)
