"""Which gateways this process holds, in the rows: taken, renewed, given back; each verb is one transaction."""

from collections.abc import Collection
from datetime import timedelta

from models import gateway_work
from models.base import database_time
from models.database import reading, repeated, transaction
from models.gateway import Gateway
from models.gateway_checks import CLOSED
from models.gateway_request import GatewayRequest
from models.gateway_states import GatewayState, Happening


def to_take(held_addresses: Collection[str]) -> list[int]:
    """Wanted gateways that nobody holds: at an address nobody holds, or one of those held here."""
    with reading() as session:
        wanted = gateway_work.to_take(session)
        ids = [id for some in wanted.values() for id in some]
        if held_addresses:
            joining = gateway_work.to_join(session, list(held_addresses))
            ids += [id for some in joining.values() for id in some]
    return sorted(set(ids))


@repeated
def hold(id: int, process_id: int) -> Gateway | None:
    """The row, once it is held; None when somebody was faster. What its last holder left behind is put right.

    Raises Refusal, and nothing is held, when a secret of it cannot be opened.
    """
    with transaction() as session:
        if Gateway.hold(session, id, process_id) is None:
            return None
        row = session.get_one(Gateway, id)
        now = database_time(session)
        gateway_work.take_over(session, row, now)
        GatewayRequest.put_back_all(session, id, now)
        return row


@repeated
def closed(id: int, why: str) -> None:
    """A secret of it cannot be opened, so that nobody can hold it: its row says why, once, and it is tried again."""
    with transaction() as session:
        row = session.get_one(Gateway, id, options=CLOSED, with_for_update={"key_share": True})
        if row.removed_at is not None or (row.state, row.reason) == (GatewayState.ERROR, why):
            return
        row.state = GatewayState.STARTING  # one that is stopped refuses nothing
        row.happened(session, Happening.REFUSED, database_time(session), why, retry_in=timedelta(0))


@repeated
def renew(epochs: dict[int, int]) -> set[int]:
    """Of {gateway id: epoch}, the ids that are still held."""
    with transaction() as session:
        return Gateway.renew(session, epochs)


@repeated
def release(id: int, epoch: int) -> None:
    """Gives one back."""
    with transaction() as session:
        Gateway.release(session, id, epoch)


def asked_of_nobody() -> list[int | None]:
    """Gateways that nobody holds and of which something is asked; None among them: a draft waits to be tried."""
    with reading() as session:
        now = database_time(session)
        ids: list[int | None] = list(GatewayRequest.of_unheld(session, now))
        return [*ids, None] if GatewayRequest.waits(session, None, now) else ids
