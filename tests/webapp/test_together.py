"""Asking together: who waits while one asks is answered by one more question, each as if alone."""

import threading
from collections.abc import Callable

import gevent
import pytest
from gevent.lock import BoundedSemaphore

from models.errors import DatabaseAway
from tests.conditions import until
from webapp.together import Together


class Work:
    """Doubles numbers; the first question waits until it is let go, so that others gather behind it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.away = False

    def __call__(self, numbers: list[int]) -> list[int]:
        self.batches.append(numbers)
        assert self.go.wait(30)
        if self.away:
            raise DatabaseAway
        if -1 in numbers:
            raise ValueError("no number")
        return [2 * number for number in numbers]


class Crowd:
    """Threads that ask, and what each heard."""

    def __init__(self, work: Callable[[list[int]], list[int]], most: int = 50) -> None:
        self.together = Together(work, most)
        self.heard: dict[int, object] = {}
        self._threads: list[threading.Thread] = []

    def ask(self, *numbers: int) -> None:
        """Each in a thread of its own; returns when all wait, in this order."""
        for number in numbers:
            self._threads.append(threading.Thread(target=self._ask, args=(number,)))
            before = len(self.together._waiting)
            self._threads[-1].start()
            leads = len(self._threads) == 1
            until(lambda before=before, leads=leads: leads or len(self.together._waiting) > before)

    def _ask(self, number: int) -> None:
        try:
            self.heard[number] = self.together.ask(number)
        except Exception as error:
            self.heard[number] = type(error)

    def end(self) -> dict[int, object]:
        """What all heard."""
        for thread in self._threads:
            thread.join(30)
        return self.heard


@pytest.fixture
def work() -> Work:
    return Work()


def ask(crowd: Crowd, work: Work, *others: int) -> dict[int, object]:
    """One asks, the others come while it waits for its answer."""
    crowd.ask(1)
    until(lambda: work.batches)
    crowd.ask(*others)
    work.go.set()
    return crowd.end()


def test_those_who_came_meanwhile_ask_together_and_each_gets_its_own_answer(work: Work) -> None:
    assert ask(Crowd(work), work, 2, 3, 4) == {1: 2, 2: 4, 3: 6, 4: 8}
    assert work.batches == [[1], [2, 3, 4]]


def test_no_more_than_so_many_ask_at_once_and_the_rest_in_turn(work: Work) -> None:
    assert ask(Crowd(work, most=2), work, 2, 3, 4) == {1: 2, 2: 4, 3: 6, 4: 8}
    assert work.batches == [[1], [2, 3], [4]]


def test_one_bad_question_spoils_no_other(work: Work) -> None:
    assert ask(Crowd(work), work, 2, -1, 4) == {1: 2, 2: 4, -1: ValueError, 4: 8}


def test_when_the_database_is_away_all_who_wait_hear_so_at_once(work: Work) -> None:
    work.away = True
    heard = ask(Crowd(work, most=2), work, 2, 3, 4)
    assert heard == dict.fromkeys((1, 2, 3, 4), DatabaseAway) and work.batches == [[1]]


def test_after_a_failure_it_asks_on(work: Work) -> None:
    crowd = Crowd(work)
    assert ask(crowd, work, -1)[-1] is ValueError
    assert crowd.together.ask(5) == 10


def test_the_same_question_is_asked_anew_each_time(work: Work) -> None:
    work.go.set()
    together = Together(work)
    assert [together.ask(1), together.ask(1)] == [2, 2] and work.batches == [[1], [1]]


class Turn(BoundedSemaphore):
    """A lock on which greenlets wait, as the hub's do."""

    def __init__(self) -> None:
        super().__init__(1)


def test_who_is_torn_out_of_its_wait_leaves_the_others_their_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Lock", Turn)
    go, batches = Turn(), []
    go.acquire()

    def work(numbers: list[int]) -> list[int]:
        batches.append(numbers)
        with go:
            if numbers == [0]:
                asking[2].kill(block=False)  # hears of it when it was just given the lead
            return [2 * number for number in numbers]

    together = Together(work)
    asking = [gevent.spawn(together.ask, number) for number in range(5)]
    gevent.idle()
    asking[1].kill()
    go.release()
    gevent.joinall(asking, timeout=30)
    assert [one.value for one in (asking[0], asking[3], asking[4])] == [0, 6, 8]
    assert batches == [[0], [3, 4]] and together.ask(9) == 18
