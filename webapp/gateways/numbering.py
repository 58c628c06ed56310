"""The numbers of a connection's frames: a hole means that the gateway left frames out because we were slow."""


class Numbering:
    """Counts from whatever number comes first; a new connection has a new one."""

    def __init__(self) -> None:
        self.missed = 0
        self.repeated = 0  # late, or double
        self._last: int | None = None

    def note(self, number: int | None) -> int:
        """How many frames are missing just before this one; 0 also for one without a number."""
        if number is None:
            return 0
        last, self._last = self._last, max(number, self._last or 0)
        if last is None or number == last + 1:
            return 0
        if number <= last:
            self.repeated += 1
            return 0
        self.missed += number - last - 1
        return number - last - 1
