"""What one idle, authenticated, subscribed connection keeps in the RAM of the hub."""

from collections.abc import Iterator

from tests.bench.process import Child
from tests.bench.row import Row

FEW, MANY = 500, 2500


def rows() -> Iterator[Row]:
    """The difference between many and few, so that what the process needs anyway does not count."""
    with Child.python("tests.bench.hub") as hub, Child.python("tests.bench.readers", str(hub.hello["port"])) as crowd:
        crowd.ask("open", FEW, 0)
        few = hub.ask("memory")["bytes"]
        crowd.ask("open", MANY - FEW, 0)
        many = hub.ask("memory")
    each = (many["bytes"] - few) / (MANY - FEW) / 1024
    yield Row("memory of an idle subscribed connection, KiB", each, 24, f"{many['connections']:,} connections")
