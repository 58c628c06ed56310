"""What a connection shows to its gateway, and what it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

from webapp.gateways.device import DeviceKey

READ, WRITE, APPROVALS = "operator.read", "operator.write", "operator.approvals"
WANTED = (READ, WRITE, APPROVALS)
# Without the last two nobody is asked: commands that need a person are refused by the gateway itself.
CAPS = ("tool-events", "approvals", "exec-approvals")

# What is shorter is part of any word.
HIDDEN, SHORTEST = "[hidden]", 6


@dataclass(frozen=True)
class Credentials:
    """The shared secret (token or password), the hub's device key, and the token the gateway gave that key.

    `device_scopes` are the scopes the device token was given for: with it no others may be asked.
    """

    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    device: DeviceKey | None = None
    device_token: str | None = field(default=None, repr=False)
    device_scopes: tuple[str, ...] = ()
    scopes: tuple[str, ...] = WANTED
    caps: tuple[str, ...] = CAPS

    @property
    def has_secret(self) -> bool:
        """Whether there is a shared secret, so that the device token is only the second choice."""
        return bool(self.token or self.password)

    def same_key(self, other: "Credentials") -> bool:
        """Whether both act under the same shared secret, and so may share a socket."""
        mine, theirs = (self.token or "", self.password or ""), (other.token or "", other.password or "")
        return all(compare_digest(one.encode(), two.encode()) for one, two in zip(mine, theirs, strict=True))

    def shown(self, by_device: bool) -> dict[str, str]:
        """The `auth` of a connect request; `by_device`: show the device token instead of the shared secret."""
        if by_device and self.device_token:
            return {"deviceToken": self.device_token}
        if self.token:
            return {"token": self.token}
        return {"password": self.password} if self.password else {}

    def hidden(self, value: Any) -> Any:
        """The value without our secrets: a gateway may quote what it was shown, and people read its words."""
        if isinstance(value, str):
            for secret in (self.token, self.password, self.device_token):
                value = value.replace(secret, HIDDEN) if secret and len(secret) >= SHORTEST else value
            return value
        if isinstance(value, Mapping):
            return {self.hidden(name): self.hidden(item) for name, item in value.items()}
        return [self.hidden(item) for item in value] if isinstance(value, list) else value

    def asked(self, by_device: bool) -> tuple[str, ...]:
        """The scopes to ask for."""
        return self.device_scopes if by_device and self.device_scopes else self.scopes
