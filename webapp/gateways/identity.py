"""What this hub shows to one gateway: its token, its device key (made once, kept sealed), and what it asks for."""

from models.agent import Agent
from models.database import repeated, transaction
from models.gateway import Gateway
from webapp.gateways.credentials import Credentials
from webapp.gateways.device import DeviceKey
from webapp.gateways.scopes import wanted_scopes


def credentials_of(row: Gateway) -> Credentials:
    """From its row."""
    device = DeviceKey.read(row.device_key) if row.device_key else None
    return Credentials(
        token=_plain(row.token),
        device=device,
        device_token=_plain(row.device_token),
        device_scopes=tuple(row.device_scopes or ()),
        scopes=wanted_scopes(row.url),
    )


def with_device(gateway_id: int) -> Gateway:
    """The row, with a device key: made at the first connect, and kept for good. Agents' own keys are compared anew."""
    _compare_keys(gateway_id)
    return _with_device(gateway_id)


@repeated
def _compare_keys(gateway_id: int) -> None:
    with transaction() as session:
        Agent.judge_keys(session, session.get_one(Gateway, gateway_id))


@repeated
def _with_device(gateway_id: int) -> Gateway:
    with transaction() as session:
        row = session.get_one(Gateway, gateway_id, with_for_update={"key_share": True})
        if row.device_key is None:
            row.device_key = DeviceKey.make().secret
            session.flush()
        return row


def _plain(secret: str | None) -> str | None:
    """An opened secret as the plain text that goes over the wire; its holder does not show it."""
    return None if secret is None else str(secret)
