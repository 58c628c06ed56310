"""One of several processes that take and leave seats at the same moment: `python -m tests.allocating DATABASE_URL`.

Reads a line of JSON for each round, [[verb, chat id], ...]; does all of it at once, each on a connection of its own;
says how many deadlocks there were.
"""

import json
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from models import database
from models.base import database_time
from models.chat_session import ChatSession
from models.database import Database, repeated, transaction
from models.errors import DatabaseAway

KEYS = ["a-test-key-that-is-long-enough-for-everybody"]
AT_ONCE, TRIES = 20, 5


@repeated
def allocate(id: int) -> None:
    """A seat, a place in the line, or the workspace agent."""
    with transaction() as session:
        ChatSession.ensure_ready(session, id, database_time(session))


@repeated
def release(id: int) -> None:
    """Leaves its seat, or the line."""
    with transaction() as session:
        ChatSession.release(session, id, database_time(session))


@repeated
def expire(id: int) -> None:
    """The sweep, an hour later."""
    with transaction() as session:
        ChatSession.release(session, id, database_time(session) + timedelta(hours=1), only_over=True)


@repeated
def touch(id: int) -> None:
    """A living one is used."""
    with transaction() as session:
        ChatSession.touch(session, id, database_time(session))


VERBS: dict[str, Callable[[int], None]] = {
    "allocate": allocate,
    "release": release,
    "expire": expire,
    "touch": touch,
}


def at_once(wanted: list[tuple[str, int]]) -> list[str]:
    """Does all of it; the errors."""
    barrier, errors = threading.Barrier(max(1, len(wanted))), list[str]()

    def run(verb: str, id: int) -> None:
        barrier.wait(10)
        for _ in range(TRIES):
            try:
                VERBS[verb](id)
                return
            except DatabaseAway:
                continue  # fifty wait for one lock: on a busy machine the last of them give up, and try again
            except Exception as error:
                errors.append(f"{verb} {id}: {type(error).__name__} {error}")
                return
        errors.append(f"{verb} {id}: the database was away {TRIES} times")

    threads = [threading.Thread(target=run, args=pair) for pair in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def main() -> None:
    """Until its input ends."""
    database.connect(sys.argv[1], KEYS, pool=(AT_ONCE, 5))
    for line in sys.stdin:
        wanted: list[Any] = json.loads(line)
        errors = at_once([(verb, id) for verb, id in wanted])
        print(json.dumps({"errors": errors, "repeats": Database.repeats}), flush=True)


if __name__ == "__main__":
    main()
