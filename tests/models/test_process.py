"""The rows of web processes."""

from datetime import timedelta

from models.process import Process
from tests.cast import Cast


def test_a_beat_tells_what_the_process_holds(cast: Cast) -> None:
    process = Process.start(cast.session, cast.now)
    later = cast.now + timedelta(seconds=5)
    assert Process.beat(cast.session, process.id, later, {"figures": {"a": 1}})
    cast.session.refresh(process)
    assert (process.seen_at, process.holds) == (later, {"figures": {"a": 1}})


def test_a_process_that_was_taken_for_dead_is_there_again_under_its_old_id(cast: Cast) -> None:
    id = Process.start(cast.session, cast.now).id
    Process.stop(cast.session, id)
    assert not Process.beat(cast.session, id, cast.now, {})
    cast.session.expire_all()
    assert Process.start(cast.session, cast.now, id).id == id
    assert id in [process.id for process in Process.living(cast.session, cast.now)]


def test_a_process_not_heard_lately_does_not_live(cast: Cast) -> None:
    process = Process.start(cast.session, cast.now)
    assert process not in Process.living(cast.session, cast.now + timedelta(seconds=21))
