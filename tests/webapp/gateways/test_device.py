"""The device key: the signature of the documentation, to the letter."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from webapp.gateways.device import DeviceKey, signed_text
from webapp.gateways.wire import Challenge


def raw(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "==")


def test_the_signed_text_has_eleven_fields_in_order() -> None:
    text = signed_text(
        "d1",
        client_id="gateway-client",
        client_mode="backend",
        role="operator",
        scopes=["operator.read", "operator.write"],
        signed_at=1795170763080,
        token="tok",
        nonce="n-1",
        platform=" Linux ",
    )
    assert text == ("v3|d1|gateway-client|backend|operator|operator.read,operator.write|1795170763080|tok|n-1|linux|")


def test_a_proof_can_be_checked_with_the_public_key() -> None:
    key = DeviceKey.make()
    proof = key.proof(
        Challenge("n-1", 7), client_id="a", client_mode="b", role="c", scopes=["x"], token="", platform="linux"
    )
    public = raw(proof["publicKey"])
    assert proof["id"] == key.id == hashlib.sha256(public).hexdigest()
    assert (proof["signedAt"], proof["nonce"]) == (7, "n-1")
    signed = f"v3|{key.id}|a|b|c|x|7||n-1|linux|"
    Ed25519PublicKey.from_public_bytes(public).verify(raw(proof["signature"]), signed.encode())


def test_a_key_is_the_same_after_it_was_stored() -> None:
    key = DeviceKey.make()
    assert DeviceKey.read(key.secret).id == key.id
    assert key.secret not in repr(key)
    with pytest.raises(ValueError):
        DeviceKey.read("short")
