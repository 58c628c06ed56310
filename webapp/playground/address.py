"""Where a hub is and who calls: the base URL and token of a plugin, checked once, and the addresses made of them."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

PASSES_UNCHANGED = "!~*'()"  # besides letters, digits and -_. : what JavaScript's encodeURIComponent leaves alone


class PlaygroundError(Exception):
    """Something stands in the way, as a sentence a person can act on. It never carries the token."""


class Unreachable(PlaygroundError):
    """The hub did not answer; the same request may succeed later."""


@dataclass(frozen=True)
class HubAddress:
    """A hub as its plugin sees it; `origin` is the configured base URL, letter by letter."""

    origin: str
    token: str = field(repr=False)
    secure: bool
    host: str
    port: int
    prefix: str

    @classmethod
    def parse(cls, url: str, token: str) -> "HubAddress":
        """Check a base URL such as `https://hub.example/base/` and a token; PlaygroundError names what is wrong."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise PlaygroundError(f"The URL cannot be read ({error}). Give one like http://127.0.0.1:8000.") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PlaygroundError("The URL needs http:// or https:// and a host, for example http://127.0.0.1:8000.")
        if parts.username or parts.query or parts.fragment:
            raise PlaygroundError("The URL may carry a path, but no user, query or fragment. Remove that part.")
        # Checked here because http.client would quote a bad header, token and all, in its error.
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise PlaygroundError("The token is empty or has blanks or odd characters in it. Paste it as it was shown.")
        secure = parts.scheme == "https"
        return cls(url, token, secure, parts.hostname, port or (443 if secure else 80), parts.path.rstrip("/"))

    @property
    def shown(self) -> str:
        """The address for people."""
        return f"{'https' if self.secure else 'http'}://{self._host}:{self.port}{self.prefix}"

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def socket_url(self) -> str:
        """The address of the socket, token included: for the handshake only, never for a log."""
        query = quote(self.token, safe=PASSES_UNCHANGED)
        return f"{'wss' if self.secure else 'ws'}://{self._host}:{self.port}{self.prefix}/cable?token={query}"
