"""Who asks the same at the same moment asks together: one statement for all, instead of a connection for each.

Who comes first leads: it asks for all who wait, hands out the answers, and leaves the lead to the first who came
meanwhile. An answer is never older than its question, as nothing is kept.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from models.errors import DatabaseAway

MOST = 50

Q = TypeVar("Q")
A = TypeVar("A")


class _Asked(Generic[Q]):
    __slots__ = ("answers", "away", "done", "leads", "question", "turn")

    def __init__(self, question: Q) -> None:
        self.question = question
        self.answers: list[Any] = []  # one, or none when it has to be asked again, alone
        self.away = self.done = self.leads = False
        self.turn = threading.Lock()  # released once: it is answered, or it leads
        self.turn.acquire()


class Together(Generic[Q, A]):
    """Questions of one kind, in this process. Held across a wait: only who leads takes from `_waiting`."""

    def __init__(self, work: Callable[[list[Q]], Sequence[A]], most: int = MOST) -> None:
        """`work` answers up to `most` questions at once, in their order, and waits long for no single one."""
        self._work = work
        self._most = most
        self._guard = threading.Lock()
        self._waiting: list[_Asked[Q]] = []
        self._led = False

    def ask(self, question: Q) -> A:
        """The answer. What fails for many is asked again for each alone, as one bad question must not spoil the rest.

        Raises what `work` raises for this question, and DatabaseAway as soon as anybody found it away.
        """
        mine = _Asked(question)
        with self._guard:
            self._waiting.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            self._wait(mine)
        if not mine.done:
            self._lead()
        if mine.away:
            raise DatabaseAway
        return mine.answers[0] if mine.answers else self._work([question])[0]

    def _wait(self, mine: _Asked[Q]) -> None:
        """Until it is answered or leads. Whoever is torn out of this wait takes its question back, and passes on the
        lead it may just have been given: all others would wait for ever.
        """
        try:
            mine.turn.acquire()
        except BaseException:
            with self._guard:
                if mine in self._waiting:
                    self._waiting.remove(mine)
                following = self._follows() if mine.leads else []
            for one in following:
                one.turn.release()
            raise

    def _follows(self) -> list[_Asked[Q]]:
        """Who leads next, if anybody waits; it has yet to be told. Under the guard."""
        self._led = bool(self._waiting)
        for one in self._waiting[:1]:
            one.leads = True
        return self._waiting[:1]

    def _lead(self) -> None:
        """Answers a batch; `_waiting` begins with who leads."""
        time.sleep(0)  # who is about to ask may come along
        with self._guard:
            batch, self._waiting = (self._waiting[: self._most], self._waiting[self._most :])
        try:
            for one, answer in zip(batch, self._work([one.question for one in batch]), strict=True):
                one.answers.append(answer)
        except DatabaseAway:
            with self._guard:  # nobody who waits by now would fare better
                batch, self._waiting = batch + self._waiting, []
            for one in batch:
                one.away = True
        except Exception:
            for one in batch:
                one.answers.clear()
        finally:
            for one in batch:
                one.done = True
            with self._guard:
                following = self._follows()
            for one in batch[1:] + following:
                one.turn.release()
