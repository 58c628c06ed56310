"""Which gateways this process holds, in the rows: taken, renewed, given back; each verb is one transaction."""

from collections.abc import Collection

from models import gateway_work
from models.base import database_time
from models.database import reading, repeated, transaction
from models.gateway import Gateway
from models.gateway_request import GatewayRequest


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
    """The row, once it is held; None when somebody was faster. What its last holder left behind is put right."""
    with transaction() as session:
        if Gateway.hold(session, id, process_id) is None:
            return None
        row = session.get_one(Gateway, id)
        gateway_work.take_over(session, row, database_time(session))
        return row


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
