"""Answering a dispatch: think, reply, and keep at it while the hub is away. One thread an attempt."""

import threading
import time
from collections.abc import Callable

from webapp.playground.address import PlaygroundError, Unreachable
from webapp.playground.answers import Answer
from webapp.playground.cable_client import Timing
from webapp.playground.dispatch import Dispatch
from webapp.playground.hub_api import Answered, HubApi
from webapp.playground.record import Record

Tell = Callable[[str], None]


def settled(
    call: Callable[[], Answered],
    what: str,
    ended: threading.Event,
    tell: Tell,
    timing: Timing,
    seconds: float | None = None,
) -> Answered:
    """The first answer that is not the hub's own trouble; asked again after 1 s, 2 s ... 60 s until then.

    PlaygroundError when `ended` is set or `seconds` (None: no limit) have passed.
    """
    until = None if seconds is None else time.monotonic() + seconds
    wait = timing.first_retry
    while not ended.is_set():
        try:
            said = call()
            if not said.passing:
                return said
            why = f"The hub answered {said.status}."
        except Unreachable as error:
            why = str(error)
        if until is not None and time.monotonic() + wait > until:
            raise PlaygroundError(f"Gave up on {what} after {seconds:g} s. {why}")
        tell(f"{what}: {why} Trying again in {wait:g} s.")
        ended.wait(wait)
        wait = min(wait * 2, timing.last_retry)
    raise PlaygroundError(f"Stopped before {what} was settled.")


class Answering:
    """Gives each attempt its answer. `crash` is called when a message asks for one."""

    def __init__(
        self,
        hub: HubApi,
        record: Record,
        compose: Callable[[str, str], Answer],
        tell: Tell,
        crash: Callable[[], None],
        timing: Timing,
    ) -> None:
        self._hub, self._record, self._compose = hub, record, compose
        self._tell, self._crash, self._timing = tell, crash, timing

    def begin(self, dispatch: Dispatch, ended: threading.Event) -> None:
        """Answer on a thread of its own, which gives up once `ended` is set."""
        threading.Thread(target=self.answer, args=(dispatch, ended), name="answer", daemon=True).start()

    def answer(self, dispatch: Dispatch, ended: threading.Event) -> None:
        """Think for as long as the answer wants, then do what it says."""
        answer = self._compose(dispatch.content, dispatch.author)
        if ended.wait(answer.delay):
            return
        if answer.crash:
            self._tell(f"task {dispatch.task_id} asks for a crash")
            self._crash()
        elif answer.text is None:
            self._record.settle(dispatch.attempt, "silent")
            self._tell(f"task {dispatch.task_id} stays unanswered, as asked")
        else:
            self._deliver(dispatch, answer.text, ended)

    def _deliver(self, dispatch: Dispatch, text: str, ended: threading.Event) -> None:
        what = f"task {dispatch.task_id}"
        try:
            said = settled(lambda: self._reply(dispatch, text), what, ended, self._tell, self._timing)
        except PlaygroundError:
            return
        self._record.settle(dispatch.attempt, said.status)
        if said.status == 201:
            self._tell(f"{what} answered")
        elif said.status in (403, 409):
            self._tell(f"{what} is no longer ours ({said.status}). {said.sentence}")
        else:
            self._tell(f"{what}: the hub refused the answer ({said.status}). {said.sentence}")

    def _reply(self, dispatch: Dispatch, text: str) -> Answered:
        return self._hub.reply(dispatch.topic_id, text, dispatch.task_id or 0, dispatch.generation or "")
