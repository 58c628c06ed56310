"""Every setting, read once at the start by `Config.from_env` and handed down as values: nobody else asks for one."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from models.database import Rules
from webapp import proxies, secret_key, values
from webapp.environment import PREFIX, ConfigError, Environment, Source

__all__ = ["Config", "ConfigError"]

WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 (compared with, never listened on by itself)


@dataclass(frozen=True)
class Config:
    """What the hub was told. Times are in seconds; secrets do not show themselves in a repr."""

    data_dir: Path
    database_url: str | None = field(repr=False)  # None: the embedded Postgres
    host: str
    port: int
    workers: int
    public_url: str
    allowed_origins: tuple[str, ...]
    trusted_proxies: tuple[values.Network, ...]
    gateway_hosts: values.Hosts
    secret_keys: tuple[str, ...] = field(repr=False)  # newest first
    rules: Rules
    on_stop: str
    sources: Mapping[str, Source]  # by variable name
    unread: tuple[str, ...] = ()  # SWITCHYARD_ variables that nobody reads

    @classmethod
    def from_env(cls, environ: Mapping[str, str], argv_data_dir: str | None = None) -> "Config":
        """Reads and judges all settings, and makes the secret key at the first run.

        Raises ConfigError with every problem there is, not only the first.
        """
        env = Environment(environ)
        host = env.take("HOST", values.host, "127.0.0.1")
        port = env.take("PORT", values.port, 8000)
        config = cls(
            data_dir=env.data_dir(argv_data_dir),
            database_url=env.take("DATABASE_URL", values.database_url, None, secret=True),
            host=host,
            port=port,
            workers=env.take("WORKERS", values.workers, 1),
            public_url=env.take("PUBLIC_URL", values.base_url, own_url(host, port)),
            allowed_origins=env.take("ALLOWED_ORIGINS", values.list_of(values.origin), ()),
            trusted_proxies=env.take("TRUSTED_PROXIES", values.list_of(values.network), ()),
            gateway_hosts=env.take("GATEWAY_HOSTS", values.hosts, values.Hosts()),
            secret_keys=env.take("SECRET_KEY", values.secret_keys, (), secret=True),
            rules=_rules(env),
            on_stop=env.take("ON_STOP", values.one_of("stop", "leave"), "stop"),
            sources=env.sources,
            unread=env.unread(),
        )
        env.raise_problems()
        if config.secret_keys:
            return config
        keys = env.keep("SECRET_KEY", secret_key.read_or_make, config.data_dir, config.secret_keys)
        env.raise_problems()
        return dataclasses.replace(config, secret_keys=keys)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the hub directly."""
        literal = values.address(self.host)
        return literal.is_loopback if literal else self.host == "localhost"

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers come over https, so that cookies may be kept off plain http."""
        return self.public_url.startswith("https:")

    def listening_on(self, port: int) -> "Config":
        """The same, once the system has chosen the port (SWITCHYARD_PORT=0)."""
        public = own_url(self.host, port) if self.sources[PREFIX + "PUBLIC_URL"] == "default" else self.public_url
        return dataclasses.replace(self, port=port, public_url=public)

    def allows_host(self, header: str | None) -> bool:
        """Whether a request's Host is the public URL's, the listening address or localhost, at any port.

        Who listens on every address may be called by any literal one: only a name can be turned on us by its owner.
        """
        name = values.host_of(header or "")
        if name is None:
            return False
        literal = values.address(name)
        if literal is not None and self.host in WILDCARDS:
            return True
        if literal is not None and self.host == "localhost":
            return literal.is_loopback
        return name in (urlsplit(self.public_url).hostname, self.host, "localhost")

    def allows_origin(self, origin: str, own: str | None = None) -> bool:
        """Whether a browser page, or a plugin's base URL, may open a socket. Scheme, host and port are compared.

        `own` is what the request itself was sent to, as `https://hub.example.org`, once its Host was allowed: a page
        of that very address is ours.
        """
        ours = {self.public_url, own_url("localhost", self.port), own_url(self.host, self.port), *self.allowed_origins}
        found = values.origin_of(origin)
        return found is not None and (found in ours or found == values.origin_of(own or ""))

    def client(self, peer: str, forwarded_for: str | None, forwarded_proto: str | None) -> proxies.Client:
        """Who asks: from the socket's address and two forwarding headers, believed only from trusted peers."""
        return proxies.client(peer, forwarded_for, forwarded_proto, self.trusted_proxies)

    def shown(self) -> dict[str, str]:
        """Every setting by its variable name, as text that may be printed: secrets are left out."""
        rules = {PREFIX + name.upper(): f"{value:.10g}" for name, value in dataclasses.asdict(self.rules).items()}
        return {
            PREFIX + "DATA_DIR": str(self.data_dir),
            PREFIX + "DATABASE_URL": _without_password(self.database_url),
            PREFIX + "HOST": self.host,
            PREFIX + "PORT": str(self.port),
            PREFIX + "WORKERS": str(self.workers),
            PREFIX + "PUBLIC_URL": self.public_url,
            PREFIX + "ALLOWED_ORIGINS": ", ".join(self.allowed_origins),
            PREFIX + "TRUSTED_PROXIES": ", ".join(map(str, self.trusted_proxies)),
            PREFIX + "GATEWAY_HOSTS": str(self.gateway_hosts),
            PREFIX + "SECRET_KEY": f"{len(self.secret_keys)} set",
            **rules,
            PREFIX + "ON_STOP": self.on_stop,
        }


def own_url(host: str, port: int) -> str:
    """The address of a hub that listens there, for who sits at the same machine."""
    return values.write_origin("http", "127.0.0.1" if host in WILDCARDS else host, port)


def _rules(env: Environment) -> Rules:
    """Without a heartbeat of its own, a shorter stale time brings a quicker beat: three in each."""
    usual = Rules()
    stale = env.take("STALE_SECONDS", values.seconds, usual.stale_seconds)
    beat = env.take("HEARTBEAT_SECONDS", values.seconds, min(usual.heartbeat_seconds, stale / 3))
    if beat >= stale:
        env.problems.append(
            f"{PREFIX}STALE_SECONDS is {stale:g}: use more than {PREFIX}HEARTBEAT_SECONDS, which is {beat:g}."
        )
    return Rules(
        grace_seconds=env.take("GRACE_SECONDS", values.seconds, usual.grace_seconds),
        heartbeat_seconds=beat,
        stale_seconds=stale,
        buffer_ttl_seconds=env.take("BUFFER_TTL_SECONDS", values.seconds, usual.buffer_ttl_seconds),
        slot_idle_seconds=env.take("SLOT_IDLE_SECONDS", values.seconds, usual.slot_idle_seconds),
        idle_disconnect_seconds=env.take("IDLE_DISCONNECT_SECONDS", values.seconds, usual.idle_disconnect_seconds),
    )


def _without_password(url: str | None) -> str:
    if url is None:
        return "embedded"
    parts = make_url(url)
    secret = [name for name in parts.query if "password" in name]
    return parts.difference_update_query(secret).render_as_string(hide_password=True)
