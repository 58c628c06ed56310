"""The figures of ten minutes are counted once, when they are over."""

from datetime import timedelta

from models.hub_figures import EVERY, HubFigures, last_end
from models.task import TaskStatus
from tests.cast import Cast


def test_ten_minutes_are_counted_once_with_what_was_said_since_the_last_time(cast: Cast) -> None:
    cast.connect()
    assert HubFigures.take(cast.session, cast.now) is True
    assert HubFigures.take(cast.session, cast.now + timedelta(seconds=1)) is (
        last_end(cast.now) != last_end(cast.now + timedelta(seconds=1))
    )
    task = cast.topic.post(cast.session, cast.alice, "one", cast.now).tasks[0]
    cast.topic.post(cast.session, cast.alice, "two", cast.now)
    task.finish(cast.session, TaskStatus.DONE, None, cast.now, "scout")
    cast.session.flush()
    later = cast.now + EVERY
    assert HubFigures.take(cast.session, later) is True
    row = HubFigures.between(cast.session, cast.now, later)[last_end(later)]
    assert (row.messages, row.tasks_done, row.tasks_failed, row.approval_wait) == (2, 1, 0, None)


def test_the_first_row_counts_no_message_of_the_time_before(cast: Cast) -> None:
    cast.topic.post(cast.session, cast.alice, "long ago", cast.now)
    HubFigures.take(cast.session, cast.now)
    [row] = HubFigures.between(cast.session, cast.now - EVERY, cast.now).values()
    assert row.messages == 0 and row.last_message_id > 0


def test_what_is_older_than_eight_days_is_forgotten(cast: Cast) -> None:
    HubFigures.take(cast.session, cast.now)
    assert HubFigures.forget_old(cast.session, cast.now + timedelta(days=7)) == 0
    assert HubFigures.forget_old(cast.session, cast.now + timedelta(days=9)) == 1
