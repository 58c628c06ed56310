"""Locks that the kernel releases when their process is gone, however it went: `flock` on a file or folder."""

import fcntl
import os
import time
from pathlib import Path

STEP = 0.02  # seconds between two tries; a blocking flock would stop every greenlet


class FileLock:
    """One flock on a file or folder, exclusive or shared; programs we start do not get it, forked workers share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, *, shared: bool = False, wait: float = 0.0) -> bool:
        """Take the lock; False when others hold it for `wait` seconds.

        A held one is turned from shared to exclusive or back; when that fails the kernel may have dropped it.
        """
        fresh = self._descriptor is None
        if self._descriptor is None:
            flags = os.O_RDONLY if self.path.is_dir() else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            self._descriptor = os.open(self.path, flags, 0o600)
        deadline = time.monotonic() + wait
        while not self._try(shared):
            if time.monotonic() >= deadline:
                if fresh:
                    self.release()
                return False
            time.sleep(STEP)
        return True

    def release(self) -> None:
        """Let go; nothing happens when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def held(self) -> bool:
        """Whether this very object holds the lock."""
        return self._descriptor is not None

    def sign(self) -> None:
        """Write our pid into the file, so that whoever is refused can be told by whom."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def signature(self) -> str:
        """What the holder wrote: its pid, or "unknown"."""
        return self.path.read_text().strip() or "unknown"

    def _try(self, shared: bool) -> bool:
        try:
            fcntl.flock(self._descriptor or 0, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
