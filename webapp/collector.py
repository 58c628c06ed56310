"""Python's collector of what nobody holds any more, set up for a process that lives long and must never stand still.

To find it, the collector walks what lives, and everything waits meanwhile. What a hub is made of (modules, classes,
mappers, settings) takes a tenth of a second of that, and is never garbage.
"""

import gc

import structlog

log = structlog.get_logger("hub")

# So many new ones before the young are walked, a matter of a millisecond; so many walks of one generation before the
# next older one is walked: what is middle-aged takes some milliseconds, and by Python's own numbers the oldest would be
# walked for every 70,000 new ones.
NEW, YOUNG, MIDDLE = 2_000, 10, 50


def leave_alone_what_is_there() -> None:
    """To be called once, when all is loaded: what lives now is not walked again until the process ends."""
    gc.collect()
    gc.freeze()
    gc.collect()  # the oldest are walked when a quarter of them is new: they are counted anew
    gc.set_threshold(NEW, YOUNG, MIDDLE)
    gc.enable()  # a front door that starts quickly had it rest until now
    log.info("left_alone_by_the_collector", objects=gc.get_freeze_count())
