"""Fifty chats on five seats from three processes: 20 rounds here, 200 with `make races`, asked by SQL after each."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from models import pool_changes
from models.base import database_time
from models.chat_pool import WhenFull
from models.chat_session import ChatSession, ChatState
from models.chat_slot import ChatSlot, Seating
from models.database import transaction
from tests.cast import Cast
from tests.races import ROUNDS as ASKED
from tests.seats import Seats

ROUNDS = min(200, ASKED) if "ROUNDS" in os.environ else 20
FEWER = ROUNDS if "ROUNDS" in os.environ else 5
CHATS, SEATS, PROCESSES = 50, 5, 3
ROOT = Path(__file__).resolve().parent.parent

TWICE = text("SELECT slot_id FROM chat_sessions WHERE slot_id IS NOT NULL GROUP BY slot_id HAVING count(*) > 1")
IDLE_SEAT = text(
    "SELECT s.id FROM chat_slots s WHERE s.removed_at IS NULL AND NOT s.draining AND s.missing_since IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM chat_sessions c WHERE c.slot_id = s.id)"
    " AND EXISTS (SELECT 1 FROM chat_sessions c WHERE c.state = 'waiting' AND c.pool_id = s.pool_id)"
)
STRANGE = text(
    "SELECT id FROM chat_sessions WHERE (state IN ('active', 'idle')) <> (slot_id IS NOT NULL OR fallback)"
    " OR (state = 'waiting' AND pool_id IS NULL)"
)
HISTORY = text(
    "SELECT c.id FROM chat_sessions c FULL JOIN (SELECT * FROM chat_seatings WHERE released_at IS NULL) h"
    " ON h.chat_id = c.id AND h.slot_id = c.slot_id WHERE (c.slot_id IS NOT NULL) <> (h.id IS NOT NULL)"
)
SAME_NUMBER = text(
    "SELECT number FROM chat_sessions WHERE state = 'waiting' GROUP BY pool_id, number HAVING count(*) > 1"
)
LINE = select(ChatSession.id).where(ChatSession.state == ChatState.WAITING).order_by(ChatSession.number)
SEATED = select(ChatSession.id).where(ChatSession.slot_id.is_not(None)).order_by(ChatSession.id)

Wanted = list[tuple[str, int]]


class Crowd:
    """The chats, and the processes that act for them."""

    def __init__(self, database_url: str) -> None:
        with transaction() as session:
            cast = Cast.enter(session)
            seats = Seats.enter(session, cast.alice, cast.now, SEATS, WhenFull.WAIT)
            self.ids = [seats.open().id for _ in range(CHATS)]
            self.pool_id = session.scalars(select(ChatSlot.pool_id)).first() or 0
        command = [sys.executable, "-m", "tests.allocating", database_url]
        self.processes = [
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]

    def stop(self) -> None:
        """Ends the processes."""
        for process in self.processes:
            process.communicate(timeout=20)

    def clear(self, when_full: WhenFull) -> None:
        """Nobody sits, nobody waits."""
        with transaction() as session:
            now = database_time(session)
            session.execute(update(Seating).where(Seating.released_at.is_(None)).values(released_at=now))
            rested = {"state": ChatState.EXPIRED, "slot_id": None, "number": None, "fallback": False, "pool_id": None}
            session.execute(update(ChatSession).values(**rested, waiting_since=None))
            pool_changes.set_when_full(session, self.pool_id, when_full, now)

    def do(self, wanted: Wanted) -> None:
        """All of it at the same moment, dealt out to the processes."""
        for place, process in enumerate(self.processes):
            assert process.stdin is not None
            process.stdin.write(json.dumps(wanted[place::PROCESSES]) + "\n")
            process.stdin.flush()
        for process in self.processes:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            assert said == {"errors": [], "repeats": 0}, "no errors and no deadlocks"

    def read(self) -> tuple[list[int], list[int]]:
        """Who sits, and who waits, in the order of the line; checks what is true after every round."""
        with transaction() as session:
            for query, what in (
                (TWICE, "two chats on one seat"),
                (IDLE_SEAT, "a free seat while somebody waits"),
                (STRANGE, "a chat that lives nowhere, or sits and does not live"),
                (HISTORY, "a history that differs from who sits where"),
                (SAME_NUMBER, "two at one place in the line"),
            ):
                assert session.execute(query).scalars().all() == [], what
            return list(session.scalars(SEATED)), list(session.scalars(LINE))


@pytest.fixture(scope="module")
def crowd(database_url: str) -> Iterator[Crowd]:
    found = Crowd(database_url)
    yield found
    found.stop()


def test_race_of_fifty_chats_for_five_seats(crowd: Crowd) -> None:
    for _ in range(ROUNDS):
        crowd.clear(WhenFull.WAIT)
        crowd.do([("allocate", id) for id in crowd.ids])
        seated, line = crowd.read()
        assert (len(seated), len(line)) == (SEATS, CHATS - SEATS)
        # All seats are left at the same moment, while those in line ask again: the first five of the line sit down.
        crowd.do([("release", id) for id in seated] + [("allocate", id) for id in line])
        after, left = crowd.read()
        assert (sorted(after), left) == (sorted(line[:SEATS]), line[SEATS:]), "the order of the line is kept"


def test_race_of_fifty_chats_that_fall_back(crowd: Crowd) -> None:
    for _ in range(FEWER):
        crowd.clear(WhenFull.FALLBACK)
        crowd.do([("allocate", id) for id in crowd.ids])
        seated, line = crowd.read()
        assert (len(seated), line) == (SEATS, [])


def test_race_of_coming_going_expiring_and_leaving_the_line(crowd: Crowd) -> None:
    chance = random.Random(6)
    for number in range(FEWER):
        if number % 5 == 0:
            crowd.clear(WhenFull.WAIT)
            crowd.do([("allocate", id) for id in crowd.ids])
        verbs = chance.choices(["allocate", "release", "expire", "touch"], [5, 3, 2, 1], k=CHATS)
        before_seated, before = crowd.read()
        crowd.do(list(zip(verbs, crowd.ids, strict=True)))
        seated, line = crowd.read()
        stayed = [id for id in before if id in line and id not in before_seated]
        seated_from_line = [before.index(id) for id in seated if id in before]
        overtaken = [id for id in stayed if before.index(id) < max(seated_from_line, default=-1)]
        assert overtaken == [], "nobody overtakes who stayed in line"
