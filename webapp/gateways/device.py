"""The key a hub shows to gateways on other machines: an Ed25519 pair, kept for good, and what it signs."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from webapp.gateways.wire import Challenge


class DeviceKey:
    """One key pair. Its `secret` is what must be sealed; all else may be shown."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def make(cls) -> "DeviceKey":
        """A new pair."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, secret: str) -> "DeviceKey":
        """The pair again, from its `secret`. Raises ValueError when it is none."""
        padded = secret + "=" * (-len(secret) % 4)
        return cls(Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(padded)))

    @property
    def secret(self) -> str:
        """The private half as text."""
        return _base64(self._key.private_bytes_raw())

    @property
    def id(self) -> str:
        """What the gateway calls this device: the SHA-256 of the public half, in hex."""
        return hashlib.sha256(self._public).hexdigest()

    @property
    def public_key(self) -> str:
        """The public half, as it goes over the wire."""
        return _base64(self._public)

    def __repr__(self) -> str:
        return f"DeviceKey({self.id[:8]})"

    def proof(
        self,
        challenge: Challenge,
        *,
        client_id: str,
        client_mode: str,
        role: str,
        scopes: Sequence[str],
        token: str,
        platform: str,
    ) -> dict[str, Any]:
        """The `device` of a connect request. `token` is whatever is sent as token or device token, else empty."""
        text = signed_text(
            self.id,
            client_id=client_id,
            client_mode=client_mode,
            role=role,
            scopes=scopes,
            signed_at=challenge.ts,
            token=token,
            nonce=challenge.nonce,
            platform=platform,
        )
        return {
            "id": self.id,
            "publicKey": self.public_key,
            "signature": _base64(self._key.sign(text.encode())),
            "signedAt": challenge.ts,
            "nonce": challenge.nonce,
        }


def signed_text(
    device_id: str,
    *,
    client_id: str,
    client_mode: str,
    role: str,
    scopes: Sequence[str],
    signed_at: int,
    token: str,
    nonce: str,
    platform: str = "",
    device_family: str = "",
) -> str:
    """What is signed, in the gateway's third form: eleven fields, in this order, without any escaping."""
    fields = ["v3", device_id, client_id, client_mode, role, ",".join(scopes), str(signed_at), token, nonce]
    return "|".join([*fields, _plain(platform), _plain(device_family)])


def _plain(text: str) -> str:
    """Trimmed, and ASCII letters (only those) in lower case."""
    return "".join(sign.lower() if sign.isascii() else sign for sign in text.strip())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
