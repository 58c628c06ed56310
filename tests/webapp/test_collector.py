"""The collector of garbage in a process of its own: what it leaves alone would stay so for all other tests."""

import subprocess
import sys

SCRIPT = """
import gc
from webapp import collector

class Thing: pass

gc.disable()
before = [Thing() for _ in range(10_000)]
collector.leave_alone_what_is_there()
walked = len(gc.get_objects())
circle = Thing()
circle.itself = circle
del circle
print(gc.get_freeze_count() > len(before), walked < 1_000, gc.collect() > 0, gc.get_threshold()[0] > 700)
print(gc.isenabled())
"""


def test_what_start_up_made_is_not_walked_again_and_garbage_is_still_found() -> None:
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-2:] == ["True True True True", "True"]
