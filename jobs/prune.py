"""What is kept only for a while: idempotency keys, old sign-in attempts, rows of processes that are no more, prompts
that nobody waits for.
"""

from datetime import datetime

from models.database import transaction
from models.idempotency_key import IdempotencyKey
from models.permission_request import PermissionRequest
from models.process import Process
from models.sign_in_attempt import SignInAttempt


def prune(now: datetime) -> int:
    """Deletes or closes what is past its time, one kind a transaction; says how many rows."""
    gone = 0
    forget = IdempotencyKey.forget_old, SignInAttempt.forget_old, Process.forget_dead, PermissionRequest.close_forgotten
    for kept in forget:
        with transaction() as session:
            gone += kept(session, now)
    return gone
