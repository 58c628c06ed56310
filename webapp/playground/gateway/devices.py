"""Devices: proof that a key is held, requests to be paired, and the tokens of those that are."""

import base64
import hashlib
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from webapp.playground.gateway import refusals
from webapp.playground.gateway.sessions import milliseconds

OLDEST = 120_000  # milliseconds a signature may lie back


@dataclass
class Pending:
    """A device that asked and waits for its owner's word."""

    device_id: str
    public_key: str
    client: dict[str, Any]
    role: str
    scopes: list[str]
    remote_ip: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    at: int = field(default_factory=milliseconds)

    def as_json(self) -> dict[str, Any]:
        """As `device.pair.requested` tells it."""
        return {
            "requestId": self.request_id,
            **self.described(),
            "silent": False,
            "isRepair": False,
            "ts": self.at,
        }

    def described(self) -> dict[str, Any]:
        """What is known of the device."""
        return {
            "deviceId": self.device_id,
            "publicKey": self.public_key,
            "platform": self.client.get("platform"),
            "clientId": self.client["id"],
            "clientMode": self.client["mode"],
            "role": self.role,
            "roles": [self.role],
            "scopes": self.scopes,
            "remoteIp": self.remote_ip,
        }


@dataclass
class Paired:
    """A device its owner knows, with what it may ask for."""

    pending: Pending
    scopes: list[str]
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    at: int = field(default_factory=milliseconds)
    approved_via: str = "owner"

    def as_json(self) -> dict[str, Any]:
        """As `device.pair.approve` answers."""
        return {
            **self.pending.described(),
            "scopes": self.scopes,
            "approvedVia": self.approved_via,
            "createdAtMs": self.at,
            "approvedAtMs": self.at,
            "tokens": [{"role": self.pending.role, "scopes": self.scopes, "createdAtMs": self.at}],
        }


class Devices:
    """Survives crashes, as the state folder of a real gateway does."""

    def __init__(self) -> None:
        self.pending: dict[str, Pending] = {}  # by request id
        self.paired: dict[str, Paired] = {}  # by device id
        self.revoked: set[str] = set()  # tokens that were good once

    def ask(self, pending: Pending) -> tuple[Pending, bool]:
        """The open request of this device, and whether it is new: asking again gives the same one."""
        for open_ in self.pending.values():
            if open_.device_id == pending.device_id and set(pending.scopes) <= set(open_.scopes):
                return open_, False
        self.pending = {key: each for key, each in self.pending.items() if each.device_id != pending.device_id}
        self.pending[pending.request_id] = pending
        return pending, True

    def approve(self, request_id: str) -> Paired:
        """Pair; KeyError when nobody asks under this id."""
        pending = self.pending.pop(request_id)
        paired = Paired(pending, pending.scopes)
        self.paired[pending.device_id] = paired
        return paired

    def pair_silently(self, pending: Pending) -> Paired:
        """What happens on the gateway's own machine."""
        paired = Paired(pending, pending.scopes, approved_via="silent")
        return self.paired.setdefault(pending.device_id, paired)

    def reject(self, request_id: str) -> Pending:
        """Say no; KeyError when nobody asks under this id."""
        return self.pending.pop(request_id)

    def revoke(self, device_id: str) -> Paired:
        """The device is a stranger again; KeyError when it was one."""
        paired = self.paired.pop(device_id)
        self.revoked.add(paired.token)
        return paired


def verify(device: dict[str, Any], params: dict[str, Any], nonce: str) -> None:
    """Check that the sender of `connect` holds the key it shows; Refused when not."""
    try:
        raw = _decoded(device["publicKey"])
        signature = _decoded(device["signature"])
        key = Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise refusals.device("DEVICE_AUTH_PUBLIC_KEY_INVALID", "public-key-invalid") from None
    if hashlib.sha256(raw).hexdigest() != device["id"]:
        raise refusals.device("DEVICE_AUTH_DEVICE_ID_MISMATCH", "id-mismatch")
    if device["nonce"] != nonce:
        raise refusals.device("DEVICE_AUTH_NONCE_MISMATCH", "nonce-mismatch")
    if abs(time.time() * 1000 - device["signedAt"]) > OLDEST:
        raise refusals.device("DEVICE_AUTH_SIGNATURE_EXPIRED", "signature-expired")
    if not any(_signed(key, signature, text) for text in _texts(device, params)):
        raise refusals.device("DEVICE_AUTH_SIGNATURE_INVALID", "signature-invalid")


def _texts(device: dict[str, Any], params: dict[str, Any]) -> tuple[str, str]:
    client, auth = params["client"], params.get("auth") or {}
    token = auth.get("token") or auth.get("deviceToken") or ""
    scopes = ",".join(params.get("scopes") or [])
    role = params.get("role", "operator")
    parts = [device["id"], client["id"], client["mode"], role, scopes, str(device["signedAt"]), token, device["nonce"]]
    more = [str(client.get(name) or "").strip() for name in ("platform", "deviceFamily")]
    lower = ["".join(letter.lower() if letter.isascii() else letter for letter in each) for each in more]
    return "|".join(["v3", *parts, *lower]), "|".join(["v2", *parts])


def _signed(key: Ed25519PublicKey, signature: bytes, text: str) -> bool:
    try:
        key.verify(signature, text.encode())
    except InvalidSignature:
        return False
    return True


def _decoded(text: str) -> bytes:
    # base64url without padding, nothing else
    if "=" in text:
        raise ValueError("padding")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
