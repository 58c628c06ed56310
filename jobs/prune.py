"""What is kept only for a while: idempotency keys, sign-in attempts, ended runs, rows of dead processes, prompts that
nobody waits for.
"""

from datetime import datetime

from models.database import transaction
from models.idempotency_key import IdempotencyKey
from models.permission_request import PermissionRequest
from models.process import Process
from models.processed_run import ProcessedRun
from models.sign_in_attempt import SignInAttempt


def prune(now: datetime) -> int:
    """Deletes or closes what is past its time, one kind a transaction; says how many rows."""
    gone = 0
    forget = IdempotencyKey.forget_old, SignInAttempt.forget_old, Process.forget_dead, ProcessedRun.forget_old
    for kept in (*forget, PermissionRequest.close_forgotten):
        with transaction() as session:
            gone += kept(session, now)
    return gone
