"""Secrets that must be read again (gateway tokens, device keys): a column type that seals them in the row.

The first of the hub's keys seals, all of them open. Each stored value names its key, so that a missing one can be told.
"""

import base64
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from models.errors import Refusal


class KeyMissing(Refusal):
    """A stored secret cannot be opened with the keys of this hub."""

    status, code = 503, "key_missing"

    def __init__(self, key: str) -> None:
        """`key` is the public id of the key that is missing."""
        super().__init__(
            f"A stored secret was sealed with key {key}, which this hub does not have. "
            "Add that key to SWITCHYARD_SECRET_KEY, behind the first one, or set the secret anew."
        )
        self.key = key


class Damaged(Refusal):
    """A stored secret was changed or cut, and no longer opens with its key. Set the secret anew."""

    status, code = 503, "key_missing"


class Secret(str):
    """An opened secret: text that does not show itself in a traceback or a repr."""

    def __repr__(self) -> str:
        return "<secret>"


class KeyRing:
    """The hub's keys in their order; the first one seals."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.ids = [key_id(key) for key in keys]
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(derive(key, "sealing"))) for key in keys])

    def seal(self, value: str) -> str:
        """`<key id>:<Fernet token>`."""
        return f"{self.ids[0]}:{self._fernet.encrypt(value.encode('utf-8', 'surrogatepass')).decode()}"

    def open(self, stored: str) -> Secret:
        """The value again. Raises `KeyMissing` or `Damaged`."""
        key, _, token = stored.partition(":")
        try:
            return Secret(self._fernet.decrypt(token.encode()).decode("utf-8", "surrogatepass"))
        except InvalidToken:
            raise (Damaged() if key in self.ids else KeyMissing(key)) from None


class Sealed(TypeDecorator[str]):
    """A text column whose values lie in the database sealed. Cannot be searched: each sealing differs."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else ring().seal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Secret | None:
        return None if value is None else ring().open(value)


def use_keys(keys: Sequence[str]) -> None:
    """Set the keys of this process, newest first: any text each, as in SWITCHYARD_SECRET_KEY.

    Without any, sealed columns can neither be written nor read (a migration needs none).
    """
    global _ring
    _ring = KeyRing(keys) if keys else None


def ring() -> KeyRing:
    """The keys of this process; `ring().ids` are their public ids, newest first."""
    if _ring is None:
        raise RuntimeError("No key seals secrets in this process: hand the keys to models.database.connect.")
    return _ring


def derive(key: str, purpose: str) -> bytes:
    """32 bytes for one purpose ("sealing", "cookies"), from any text. One purpose tells nothing of another."""
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=b"switchyard", info=purpose.encode())
    return kdf.derive(key.encode())


def key_id(key: str) -> str:
    """The public id of a key: 8 hex characters, for backups and for naming the one that is missing."""
    return derive(key, "id").hex()[:8]


_ring: KeyRing | None = None
