"""What is kept only for a while: idempotency keys, old sign-in attempts, rows of processes that are no more."""

from datetime import datetime

from models.database import transaction
from models.idempotency_key import IdempotencyKey
from models.process import Process
from models.sign_in_attempt import SignInAttempt


def prune(now: datetime) -> int:
    """Deletes what is past its time, one kind a transaction; says how many rows."""
    gone = 0
    for kept in (IdempotencyKey.forget_old, SignInAttempt.forget_old, Process.forget_dead):
        with transaction() as session:
            gone += kept(session, now)
    return gone
