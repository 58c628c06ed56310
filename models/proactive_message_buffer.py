"""What gateways say and have not finished: the latest text of each run, in memory, until its final is stored.

Bounded: so many runs and bytes a gateway, and what does not fit is counted. Time is handed in, in seconds of any clock
that only goes forward.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

DEDUP_SECONDS = 60.0
MOST_RUNS = 500
MOST_BYTES = 64 * 1024 * 1024
MOST_ENDED = 20_000


@dataclass
class BufferedRun:
    """One run under way. `text` is the whole text so far; `tools` what was done meanwhile."""

    run_id: str
    session_key: str
    agent_id: str | None
    began: float
    heard: float
    text: str = ""
    seq: int | None = None
    tools: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class BufferFigures:
    """What was counted since the start."""

    swept: int = 0
    overflowed: int = 0
    duplicates: int = 0
    heartbeats: int = 0
    ignored: int = 0


class ProactiveMessageBuffer:
    """The runs of one gateway. A run without an id is no run: whoever calls leaves it out."""

    def __init__(self, ttl_seconds: float, most_runs: int = MOST_RUNS, most_bytes: int = MOST_BYTES) -> None:
        self.ttl_seconds, self.most_runs, self.most_bytes = ttl_seconds, most_runs, most_bytes
        self.figures = BufferFigures()
        self.bytes = 0
        self._runs: OrderedDict[str, BufferedRun] = OrderedDict()
        self._ended: OrderedDict[str, float] = OrderedDict()

    @property
    def open_runs(self) -> int:
        """How many runs are under way."""
        return len(self._runs)

    def get(self, run_id: str) -> BufferedRun | None:
        """A run under way."""
        return self._runs.get(run_id)

    def runs(self) -> list[BufferedRun]:
        """All that are under way, the oldest first."""
        return list(self._runs.values())

    def hear(
        self,
        run_id: str,
        session_key: str,
        agent_id: str | None,
        now: float,
        *,
        text: str | None = None,
        piece: str | None = None,
        replace: bool = False,
        seq: int | None = None,
    ) -> BufferedRun | None:
        """A step of a run; None when it is ignored: the run has ended, or there is no room for it.

        `text` is the whole text so far and stands by itself; without it `piece` is added to what is there. `replace`
        takes back what was said. A step that is older (`seq`) than the last one changes nothing.
        """
        if self.ended_lately(run_id, now):
            self.figures.duplicates += 1
            return None
        run = self._runs.get(run_id)
        if run is None:
            if len(self._runs) >= self.most_runs:
                self.figures.overflowed += 1
                return None
            run = self._runs[run_id] = BufferedRun(run_id, session_key, agent_id, now, now)
            self.bytes += _size(run_id) + _size(session_key)
        elif seq is not None and run.seq is not None and seq <= run.seq:
            self.figures.duplicates += 1
            return run
        run.heard, run.seq = now, seq if seq is not None else run.seq
        new = _after(run.text, text, piece, replace)
        grows = _size(new) - _size(run.text)
        if grows > 0 and self.bytes + grows > self.most_bytes:
            self.figures.overflowed += 1
            return run
        self.bytes += grows
        run.text = new
        return run

    def new_connection(self) -> None:
        """Steps are counted anew from now on."""
        for run in self._runs.values():
            run.seq = None

    def end(self, run_id: str, now: float) -> BufferedRun | None:
        """The run has ended: what was heard of it, None when nothing was. Said again, it is a duplicate from now on."""
        run = self.let_go(run_id)
        self._ended[run_id] = now
        self._ended.move_to_end(run_id)
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)
        return run

    def let_go(self, run_id: str) -> BufferedRun | None:
        """Forgets a run under way, without having seen its end."""
        run = self._runs.pop(run_id, None)
        if run is not None:
            self.bytes -= _size(run.text) + _size(run.run_id) + _size(run.session_key)
        return run

    def ended_lately(self, run_id: str, now: float) -> bool:
        """Whether it has ended within the last minute."""
        at = self._ended.get(run_id)
        return at is not None and now - at < DEDUP_SECONDS

    def sweep(self, now: float, spare: Callable[[BufferedRun], bool] = lambda run: False) -> list[BufferedRun]:
        """Lets go of runs that were silent too long, but those to be spared; and of what ended a while ago."""
        while self._ended and now - next(iter(self._ended.values())) >= DEDUP_SECONDS:
            self._ended.popitem(last=False)
        stale = [run for run in self._runs.values() if now - run.heard >= self.ttl_seconds and not spare(run)]
        for run in stale:
            self.let_go(run.run_id)
        self.figures.swept += len(stale)
        return stale


def _after(text: str, whole: str | None, piece: str | None, replace: bool) -> str:
    if whole is not None:
        return whole
    if replace:
        return piece or ""
    return text + (piece or "")


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
