"""What happens later, on one thread: ticks, the next piece of an answer, jobs, the end of a freeze."""

import heapq
import threading
import time
import traceback
from collections.abc import Callable
from itertools import count

Call = Callable[[], object]


class Appointment:
    """One call to come; `cancel` makes it not come."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        """It will not be called any more."""
        self.cancelled = True


class Clock:
    """Calls back one after the other, each under the gateway's lock, so that nothing in a gateway races."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._heap: list[tuple[float, int, Appointment]] = []
        self._order = count()
        self._wake = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="playground-clock", daemon=True)
        self._thread.start()

    def after(self, seconds: float, call: Call) -> Appointment:
        """Call it in `seconds`; those of the same moment keep their order."""
        appointment = Appointment(call)
        with self._wake:
            heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._order), appointment))
            self._wake.notify()
        return appointment

    def every(self, seconds: float, call: Call) -> None:
        """Call it each `seconds`, for the first time after one of them."""

        def again() -> None:
            call()
            self.after(seconds, again)

        self.after(seconds, again)

    def stop(self) -> None:
        """Nothing is called any more."""
        with self._wake:
            self._ended = True
            self._heap.clear()
            self._wake.notify()

    def _run(self) -> None:
        while (appointment := self._next()) is not None:
            with self._lock:
                if self._ended or appointment.cancelled:
                    continue
                try:
                    appointment.call()
                except Exception:  # one bad appointment must not stop all others
                    traceback.print_exc()

    def _next(self) -> Appointment | None:
        with self._wake:
            while not self._ended:
                if not self._heap:
                    self._wake.wait()
                    continue
                left = self._heap[0][0] - time.monotonic()
                if left <= 0:
                    return heapq.heappop(self._heap)[2]
                self._wake.wait(left)
            return None
