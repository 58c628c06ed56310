"""What a gateway may be called, where it may be, which token it has there, and how it is started."""

import re
from collections.abc import Mapping, Sequence
from hmac import compare_digest

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from models.errors import Invalid, KeyDiffers, NameTaken, Refusal
from models.gateway import Gateway
from models.user import check_name

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
OURS = ("OPENCLAW_GATEWAY_PORT", "OPENCLAW_GATEWAY_TOKEN")
LONGEST_TOKEN = 4096
MOST_WORDS = 100
# Secrets are opened when somebody needs one, not with the row.
CLOSED = tuple(map(defer, (Gateway.token, Gateway.device_key, Gateway.device_token, Gateway.env)))
NO_TOKEN = "This is no token: it is too long, or has signs in it that nobody can type."  # noqa: S105 (a sentence)


def check_port(port: int | None) -> int:
    """The port. Raises Invalid."""
    if port is None or not 1 <= port <= 65535:
        raise Invalid(port="Give the port it listens on, from 1 to 65535.")
    return port


def check_command(command: Sequence[str], token: str | None) -> list[str]:
    """The command's words. Raises Invalid: every process of the machine can read them, so no secret is in them."""
    words = list(command)
    if not words or not words[0].strip():
        raise Invalid(command="Give the command that starts it, and its arguments.")
    if len(words) > MOST_WORDS or any("\x00" in word or len(word) > 4096 for word in words):
        raise Invalid(command=f"The command is too long: at most {MOST_WORDS} words of 4,096 characters.")
    if token and any(token in word for word in words):
        raise Invalid(command="Leave the token out of the command: the process finds it in OPENCLAW_GATEWAY_TOKEN.")
    return words


def check_env(env: Mapping[str, str]) -> dict[str, str]:
    """What the process finds in its environment besides ours. Raises Invalid."""
    for name, value in env.items():
        if not VARIABLE.fullmatch(name):
            raise Invalid(env=f"{name[:80]} is no name of a variable. Write NAME=VALUE.")
        if name in OURS:
            raise Invalid(env=f"{name} is set by the hub. Leave it out.")
        if "\x00" in value or len(value) > 32_768:
            raise Invalid(env=f"The value of {name} is too long, or has a zero byte in it.")
    return dict(env)


def differs(one: str | None, other: str | None) -> bool:
    """Whether two tokens are different ones; none is a token too."""
    return not compare_digest((one or "").encode(), (other or "").encode())


def free_name(session: Session, name: str, mine: int | None) -> str:
    """The name, if no other gateway has it in any case; `mine` is the one that asks. Raises Invalid, NameTaken."""
    name = check_name(name, limit=80)
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("gateway names", 0))))
    taken = (func.lower(Gateway.name) == name.lower(), Gateway.removed_at.is_(None))
    other = session.scalars(select(Gateway.id).where(*taken)).first()
    if other is not None and other != mine:
        raise NameTaken(name=f"There is a gateway named {name} here. Choose another name.")
    return name


def check_key(session: Session, address: str, token: str | None, mine: int | None) -> None:
    """Raises KeyDiffers when another gateway at this address has another token."""
    # Two that are added at the same moment must see each other.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"gateway address {address}", 0))))
    for other in sharing(session, address):
        if other.id != mine and differs(other.token, token):
            raise KeyDiffers(
                token=f"{other.name} uses this address with another token. Use {other.name}, or give the same token."
            )


def sharing(session: Session, address: str) -> list[Gateway]:
    """The gateways at this address, under their row locks."""
    here = select(Gateway).where(Gateway.address == address, Gateway.removed_at.is_(None)).order_by(Gateway.id)
    return list(session.scalars(here.options(*CLOSED).with_for_update(key_share=True)))


def check_token(given: str | None) -> str | None:
    """The token without blanks around it, None for none. Raises Invalid."""
    token = (given or "").strip()
    if len(token) > LONGEST_TOKEN or not token.isprintable():
        raise Invalid(token=NO_TOKEN)
    return token or None


def drop_device_token(gateway: Gateway) -> None:
    """What it granted to this hub's device under another token; and a device key that cannot be opened any more."""
    gateway.device_token = gateway.device_scopes = None
    try:
        str(gateway.device_key)
    except Refusal:
        gateway.device_key = None  # with it the gateway could not be held
