"""Who waits for which answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import AsyncResult

from webapp.gateways.wire import Response


class Pending:
    """The requests of one connection that have no answer yet, by id."""

    def __init__(self) -> None:
        self._waiting: dict[str, AsyncResult] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def expected(self, id: str) -> Iterator[AsyncResult]:
        """Where the answer will be, or the error; forgotten afterwards."""
        answer = self._waiting[id] = AsyncResult()
        try:
            yield answer
        finally:
            self._waiting.pop(id, None)

    def answer(self, response: Response) -> bool:
        """Hands an answer to who waits for it; whether anybody does."""
        waiting = self._waiting.pop(response.id, None)
        if waiting is not None:
            waiting.set(response)
        return waiting is not None

    def fail(self, error: Exception) -> None:
        """Tells all who wait that no answer will come."""
        for waiting in list(self._waiting.values()):
            waiting.set_exception(error)
        self._waiting.clear()
