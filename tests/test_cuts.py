"""A short storm: gateways are cut at random while people ask, and what stands here is what their ledgers say."""

import pytest

from tests.cuts import Size, run


@pytest.mark.slow
def test_gateways_that_are_cut_at_random_lose_and_double_nothing() -> None:
    counts = run(Size(seconds=40, cut_every=6, topics=3))
    assert counts.cuts.total() >= 10 and counts.asked.total() > 10 and counts.unasked.total() > 25
    assert counts.clean, str(counts)
