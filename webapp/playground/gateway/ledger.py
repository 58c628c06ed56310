"""The account of all a gateway was asked and of all it said, to be compared with what a hub has kept of it."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

ENDED = ("final", "aborted", "error", "absorbed", "queued", "lost")


@dataclass
class Entry:
    """One run: what it said and how it ended.

    `state`: running; final; aborted; error; absorbed (its message was answered in the text of run `into`);
    queued (its message is answered later, by run `into`); lost (the gateway crashed; `into` goes on with it).
    `source`: send, queued, job, inject, resumed, followup (after an approval, protocol 3).
    """

    run_id: str
    session_key: str
    agent_id: str
    source: str
    idempotency_key: str | None = None
    message: str = ""  # what it answers
    state: str = "running"
    text: str = ""  # all that it said, once it has ended
    spoken: bool = False  # its terminal event carried a message: a hub should have exactly one of it
    error: str = ""
    into: str | None = None
    begun: bool = False  # its message stands in the transcript; what was sent and lost before is not taken up again
    began_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    heard: list[str] = field(default_factory=list)  # the connections its terminal event was written to
    spoilt: list[str] = field(default_factory=list)  # faults done to its frames: `dropped delta`, `duplicated final`

    def end(self, state: str, text: str = "", *, error: str = "", into: str | None = None, spoken: bool = True) -> None:
        """How it ended; the first end stands."""
        if self.state != "running":
            return
        self.state, self.text, self.error, self.into = state, text, error, into
        self.spoken = spoken and state in ("final", "aborted") and bool(text)
        self.ended_at = time.time()


@dataclass(frozen=True)
class Sent:
    """One `chat.send` as it came in, and the status it was answered with (or the message of the refusal)."""

    session_key: str
    idempotency_key: str
    message: str
    connection: str
    answer: str
    at: float = field(default_factory=time.time)


class Ledger:
    """Kept for as long as the gateway object lives: no crash, stop or restart empties it."""

    def __init__(self) -> None:
        self.runs: list[Entry] = []
        self.sends: list[Sent] = []
        self.connections: list[dict[str, Any]] = []  # id, at, client, scopes, ended_at, code
        self._by_id: dict[str, Entry] = {}

    def begin(self, entry: Entry) -> Entry:
        """A run begins. An id that ran before (the same key after a restart) gets a second entry."""
        self.runs.append(entry)
        self._by_id[entry.run_id] = entry
        return entry

    def run(self, run_id: str) -> Entry:
        """The newest entry of a run; KeyError when there is none."""
        return self._by_id[run_id]

    def find(self, run_id: str) -> Entry | None:
        """The newest entry of a run, if there is one."""
        return self._by_id.get(run_id)

    def spoken(self, session_key: str | None = None) -> list[Entry]:
        """Runs that ended with a message, oldest first: what a hub should have, each once."""
        return [entry for entry in self.runs if entry.spoken and session_key in (None, entry.session_key)]

    def as_json(self) -> dict[str, Any]:
        """For `GET /__ledger`."""
        return {
            "runs": [asdict(entry) for entry in self.runs],
            "sends": [asdict(sent) for sent in self.sends],
            "connections": self.connections,
        }
