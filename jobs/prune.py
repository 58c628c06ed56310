"""What is kept only for a while: idempotency keys, sign-in attempts, ended runs, rows of dead processes, prompts that
nobody waits for.
"""

from datetime import datetime

from models.database import transaction
from models.gateway_figures import GatewayFigures
from models.hub_figures import HubFigures
from models.idempotency_key import IdempotencyKey
from models.permission_request import PermissionRequest
from models.process import Process
from models.processed_run import ProcessedRun
from models.sign_in_attempt import SignInAttempt

FORGET = (
    IdempotencyKey.forget_old,
    SignInAttempt.forget_old,
    Process.forget_dead,
    ProcessedRun.forget_old,
    PermissionRequest.close_forgotten,
    HubFigures.forget_old,
    GatewayFigures.forget_old,
)


def prune(now: datetime) -> int:
    """Deletes or closes what is past its time, one kind a transaction; says how many rows."""
    gone = 0
    for kept in FORGET:
        with transaction() as session:
            gone += kept(session, now)
    return gone
