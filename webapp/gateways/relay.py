"""A small program of ours between a gateway's output and its log: masks secrets, bounds lines, rotates files.

Started by path (`python -I -S relay.py FOLDER FD`), with the output on standard input and the secrets on the pipe FD,
so that no list of processes shows them. It outlives the hub and ends with its pipe. Nothing but the standard library.
"""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable

NAME = "output.log"
FILES = 5
FILE_BYTES = 1 << 20
LINE_BYTES = 4096
CHUNK = 1 << 16
# Of more than this in one second only the end is kept: a flood costs neither the machine nor the older lines.
FLOOD_BYTES = 2 << 20
MASK = b"[hidden]"
CUT = " … cut".encode()

# Colours, cursor movements and other control signs have no place in a log that is shown and downloaded.
CONTROLS = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")
# Secrets that we do not know by value: those of others that a gateway may print.
PATTERNS = rb"""(?i)(bearer\s+|(?:token|password|secret|api_?key)["']?=["']?)[^\s"'&,;]{8,}"""


class Lines:
    """Cuts a stream into lines that may be kept: no control signs, no secrets, none longer than LINE_BYTES."""

    def __init__(self, secrets: Iterable[str], clock: Callable[[], float] = time.time) -> None:
        found = sorted({part.encode() for secret in secrets for part in secret.splitlines() if part}, key=len)
        self._longest = len(found[-1]) if found else 0
        self._known = re.compile(b"|".join(map(re.escape, reversed(found)))) if found else None
        self._unknown = re.compile(PATTERNS)
        self._held = b""
        self._over = False
        self._clock = clock
        self._second, self._stamp = -1, b""
        self._taken = self._dropped = 0
        self._end = b""

    def feed(self, chunk: bytes) -> bytes:
        """What can be written now."""
        written = b""
        if int(self._clock()) != self._second:
            written = self._after_flood()
            self._taken = 0
        self._taken += len(chunk)
        if self._taken > FLOOD_BYTES:
            end = self._end + chunk
            self._end, self._held = end[-CHUNK:], b""
            self._dropped += len(end) - len(self._end)
            return written
        return written + self._read(chunk)

    def rest(self) -> bytes:
        """What is left when the stream has ended, perhaps without a line break."""
        written = self._after_flood()
        held, self._held = self._held, b""
        return written + (self._kept(held, False) if held else b"")

    def _after_flood(self) -> bytes:
        """Says how much was left out, and takes up again with the first whole line of what came last."""
        if not self._end:
            return b""
        note = f"[{self._dropped:,} bytes of a flood are left out here]".encode()
        end, self._end, self._dropped = self._end, b"", 0
        self._held, self._over = b"", True
        return self._now() + note + b"\n" + self._read(end)

    def _read(self, chunk: bytes) -> bytes:
        *whole, self._held = (self._held + chunk).split(b"\n")
        written = []
        for line in whole:
            if not self._over:
                written.append(self._kept(line, len(line) > LINE_BYTES + self._longest))
            self._over = False
        if self._over:
            self._held = b""
        elif len(self._held) > LINE_BYTES + self._longest:
            written.append(self._kept(self._held, True))
            self._held, self._over = b"", True
        return b"".join(written)

    def _kept(self, line: bytes, cut: bool) -> bytes:
        line = CONTROLS.sub(b"", line[: LINE_BYTES + self._longest])
        if self._known is not None:
            line = self._known.sub(MASK, line)
        if b"=" in line or b"earer " in line:
            line = self._unknown.sub(rb"\1" + MASK, line)
        if cut:
            # The end may be the beginning of a secret whose rest is not here.
            line = line[: max(0, len(line) - self._longest)]
        cut = cut or len(line) > LINE_BYTES
        return self._now() + line[:LINE_BYTES] + (CUT if cut else b"") + b"\n"

    def _now(self) -> bytes:
        second = int(self._clock())
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime(second)).encode()
        return self._stamp


class Files:
    """The newest file and its elders, FILES in all. What cannot be written is dropped: the gateway never waits."""

    def __init__(self, folder: str, size: int = FILE_BYTES) -> None:
        self._path = os.path.join(folder, NAME)
        self._size = size
        self._file: int | None = None

    def write(self, data: bytes) -> None:
        """Appends; begins a new file when this one is full."""
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.write(self._file, data)
            if os.fstat(self._file).st_size >= self._size:
                self._rotate()
        except OSError:
            self.close()

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _rotate(self) -> None:
        self.close()
        for number in range(FILES - 2, -1, -1):
            older = f"{self._path}.{number}" if number else self._path
            if os.path.exists(older):
                os.replace(older, f"{self._path}.{number + 1}")


def main(folder: str, secrets_from: int) -> None:
    """Until the pipe ends. Signals that are meant for the hub or its terminal do not end it."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(secrets_from, encoding="utf-8") as pipe:
        lines = Lines(json.load(pipe))
    files = Files(folder)
    while chunk := os.read(0, CHUNK):
        if ready := lines.feed(chunk):
            files.write(ready)
    files.write(lines.rest())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
