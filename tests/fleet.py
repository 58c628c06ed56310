"""A process that holds no gateways: for tests of the timetable."""


class NoGateways:
    """What jobs may ask of it: nothing is amiss, nothing is swept."""

    def check_health(self) -> int:
        return 0

    def sweep(self) -> int:
        return 0
