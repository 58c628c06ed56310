"""What a gateway did not answer in time, what nobody decided in time, and runs that have been silent for long."""

from datetime import datetime

from models import exec_approvals
from models.database import repeated, transaction
from models.gateway_request import GatewayRequest
from models.task import Task


def expire_requests(now: datetime) -> int:
    """Ends the first two and says so of the third; says how many in all."""
    return _requests(now) + _approvals(now) + _silent(now)


@repeated
def _requests(now: datetime) -> int:
    with transaction() as session:
        return GatewayRequest.expire(session, now)


@repeated
def _approvals(now: datetime) -> int:
    with transaction() as session:
        return exec_approvals.expire(session, now)


@repeated
def _silent(now: datetime) -> int:
    with transaction() as session:
        return Task.say_silent(session, now)
