"""One gateway under two addresses (`localhost` and `127.0.0.1`): both rows hear all of it, and it is told once.

From protocol 4 on a gateway says which start of which gateway it is (`boot_id`); before that it cannot be told.
"""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from models import gateway_work
from models.gateway import Gateway
from models.gateway_states import ConnectionState
from models.gateway_work import Place

SAME = "It is the same gateway as {name}, at another address: what it says is told once. Remove one of the two."


def of(session: Session, gateway_ids: Collection[int]) -> list[Gateway]:
    """Connected gateways that are the same as one of these, the oldest first."""
    one = aliased(Gateway)
    alike = (Gateway.boot_id == one.boot_id, Gateway.address != one.address, one.id.in_(list(gateway_ids)))
    there = (Gateway.connection == ConnectionState.CONNECTED, Gateway.removed_at.is_(None))
    return list(session.scalars(select(Gateway).where(*alike, *there).order_by(Gateway.id)))


def tells(session: Session, gateway_ids: Collection[int], key: str, run_id: str, place: Place | str) -> bool:
    """Whether a twin tells what came in here under this key: it was asked there, it fits there better, or it is older.

    `place` is where it belongs by what these gateways know (`gateway_work.place_of`).
    """
    others = [twin.id for twin in of(session, gateway_ids)]
    if not others:
        return False
    if gateway_work.task_of_run(session, others, run_id) is not None:
        return True
    fits, fits_there = (not isinstance(found, str) for found in (place, gateway_work.place_of(session, others, key)))
    return fits_there if fits != fits_there else min(others) < min(gateway_ids)
