"""Ten gateways give eight long answers each; how long a page takes meanwhile, in another topic."""

import statistics
import threading
from collections.abc import Iterator

from sqlalchemy import func, select

from models.database import reading
from models.task import Task
from tests.bench.process import Child
from tests.bench.row import Row
from tests.conditions import until
from tests.harbor import Harbor
from tests.hub import PASSWORD, RunningHub, person, wait_ready
from tests.passing import passing
from tests.postgres import leave

GATEWAYS, ANSWERS = 10, 8
# 200 KB in thirty deltas, each of which repeats the whole text: 6 MB on the wire, in fifteen seconds. One begins, and
# later one ends, every fifth of a second.
QUESTION = "[[mock size=200000 chunks=30 delay=500 first={}]]"
APART_MS = 200
MARK_MS, QUIET_SECONDS = 100.0, 3.0
EMAIL = "long@example.org"


def rows() -> Iterator[Row]:
    """One row."""
    with passing("bench") as url, RunningHub(url) as hub:
        wait_ready(hub)
        owner_id, token = person(EMAIL, "Long")
        harbors = [Harbor.join(hub, owner_id, token, f"harbor {number}") for number in range(GATEWAYS)]
        try:
            yield _row(hub, harbors)
        finally:
            for harbor in harbors:
                harbor.gateway.crash()
    leave()


def _row(hub: RunningHub, harbors: list[Harbor]) -> Row:
    for harbor in harbors:
        harbor.wait_running(60)
    topics = [(harbor, harbor.topic(f"{harbor.id}.{number}")) for harbor in harbors for number in range(ANSWERS)]
    quiet = harbors[0].topic("Quiet")
    harbors[0].wait(harbors[0].ask(quiet, "hello"), "done")
    with Child.python("tests.bench.page_reader", str(hub.port), EMAIL, PASSWORD) as reader:
        reader.tell(f"/topics/{quiet}")
        threading.Event().wait(QUIET_SECONDS)
        before = sorted(reader.ask("enough"))
        for number, (harbor, topic) in enumerate(topics):
            harbor.ask(topic, QUESTION.format(number * APART_MS))
        reader.tell(f"/topics/{quiet}")
        until(_all_done, "all answers", 300)
        taken = sorted(reader.ask("enough"))
    p99, idle = (times[int(len(times) * 0.99) - 1] for times in (taken, before))
    detail = (
        f"{len(taken)} pages, p50 {statistics.median(taken):.1f} ms, worst {taken[-1]:.0f} ms;"
        f" idle p50 {statistics.median(before):.1f} ms, p99 {idle:.0f} ms; {len(topics)} answers of 200 KB"
    )
    return Row("page during 80 long answers of 10 gateways, p99, ms", p99, MARK_MS, detail)


def _all_done() -> bool:
    threading.Event().wait(0.5)
    with reading() as session:
        return session.scalar(select(func.count()).where(Task.finished_at.is_(None))) == 0
