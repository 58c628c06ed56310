"""A short soak: processes are killed while people write, and nothing is lost or doubled."""

import pytest

from tests.soak import Size, run


@pytest.mark.slow
def test_killed_processes_lose_and_double_nothing() -> None:
    counts = run(Size(workers=3, agents=8, sessions=40, seconds=60, kill_every=10, pause=0.1))
    assert counts.kills >= 3 and counts.posted > 50
    assert counts.clean, str(counts)
