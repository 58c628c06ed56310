"""`create_app(config)`: reads as a list."""

import pathlib
import re
from collections.abc import MutableMapping
from datetime import timedelta
from functools import partial
from typing import Any

import flask
from flask.sessions import SecureCookieSessionInterface
from flask_sock import Sock
from flask_wtf import CSRFProtect
from itsdangerous import URLSafeTimedSerializer
from werkzeug.routing import IntegerConverter, Map

from models import sealed
from models.database import repeated
from webapp import api, auth, errors, fragments, headers, measure, pages, prompts
from webapp.cable import agent_channel, endpoint, payloads
from webapp.cable.handshake import SOCK_SERVER_OPTIONS
from webapp.cable.sockets import Sockets
from webapp.cable.thinking import Thinking
from webapp.config import Config
from webapp.gateways.fleet import Fleet
from webapp.hub import EXTENSION, Hub
from webapp.streams import Streams

ROOT = pathlib.Path(__file__).resolve().parent.parent
BODY_LIMIT = 1 << 20
BIGGEST_ID = 2**53
SLASHES = re.compile("//+")
SIGNED_IN_FOR = timedelta(days=30)


class IdConverter(IntegerConverter):
    """`<int:id>` in an address: what no row can have is an address where nothing is."""

    def __init__(self, map: Map) -> None:
        super().__init__(map, max=BIGGEST_ID)


class Cookies(SecureCookieSessionInterface):
    """Flask's signed cookie. What signs is made once: made for each request, as Flask does, it costs more than many
    a view.
    """

    _signs: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: flask.Flask) -> URLSafeTimedSerializer | None:
        """The serializer with this app's keys, which do not change while it runs."""
        if self._signs is None:
            self._signs = super().get_signing_serializer(app)
        return self._signs


class Templates(flask.templating.Environment):
    """What every template knows, in one dictionary: Jinja's chain of two is walked for every name of every import."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """These, as they are when a template is loaded, and its own."""
        return {**self.globals, **(d or {})}


class Switchyard(flask.Flask):
    """A view is a door: its whole work is repeated when two transactions stood in each other's way."""

    jinja_environment = Templates

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session_interface = Cookies()

    def wsgi_app(self, environ: Any, start_response: Any) -> Any:
        """Takes `//api/v1/...` for what it means. A redirect would turn the POST of a plain client into a GET."""
        environ["PATH_INFO"] = SLASHES.sub("/", environ.get("PATH_INFO") or "/")
        return super().wsgi_app(environ, start_response)

    def dispatch_request(self) -> Any:
        """Runs the view of this request."""
        return repeated(super().dispatch_request)()


def create_app(config: Config, database_url: str) -> flask.Flask:
    """The application, with nothing started yet: `wsgi.py` starts what runs by itself."""
    app = Switchyard("webapp", static_folder=str(ROOT / "static"), root_path=str(ROOT / "webapp"))
    app.config.update(settings(config))
    app.url_map.converters["int"] = IdConverter
    app.json.sort_keys = False  # type: ignore[attr-defined]
    streams = Streams(database_url, payloads.READERS, after=agent_channel.stamp_written)
    sockets = Sockets(agent_channel.beat, Thinking(streams).beat, presence_seconds=config.rules.heartbeat_seconds)
    hub = app.extensions[EXTENSION] = Hub(config, streams, sockets)
    hub.holds["figures"] = partial(measure.figures, hub)
    fleet = hub.fleet = Fleet(
        streams, config.rules, config.gateway_hosts, config.data_dir, leave_processes=config.on_stop == "leave"
    )
    hub.holds["gateways"] = fleet.figures

    # Its own context processor would look the person up for an error page too, while the database is away.
    auth.login_manager.init_app(app, add_context_processor=False)
    csrf = CSRFProtect(app)
    sock = Sock(app)
    measure.install(app)
    headers.install(app)
    errors.install(app)
    fragments.install(app)
    prompts.install(app)

    for blueprint in api.BLUEPRINTS:
        csrf.exempt(blueprint)
        app.register_blueprint(blueprint)
    for blueprint in pages.BLUEPRINTS:
        app.register_blueprint(blueprint)
    endpoint.install(app, sock)
    return app


def settings(config: Config) -> dict[str, Any]:
    """What Flask and its extensions are told."""
    return {
        "SECRET_KEY": cookie_key(config.secret_keys[0]),
        "SECRET_KEY_FALLBACKS": [cookie_key(key) for key in config.secret_keys[1:]],
        "SESSION_COOKIE_NAME": "switchyard",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": config.secure_cookies,
        "PERMANENT_SESSION_LIFETIME": SIGNED_IN_FOR,
        # An answer that is late must not bring back a cookie that signing out has ended.
        "SESSION_REFRESH_EACH_REQUEST": False,
        # A form that stays open over night must not lose what was typed into it.
        "WTF_CSRF_TIME_LIMIT": None,
        "MAX_CONTENT_LENGTH": BODY_LIMIT,
        "MAX_FORM_MEMORY_SIZE": BODY_LIMIT,
        "SOCK_SERVER_OPTIONS": SOCK_SERVER_OPTIONS,
        "TRAP_HTTP_EXCEPTIONS": False,
        "TEMPLATES_AUTO_RELOAD": False,
    }


def cookie_key(key: str) -> bytes:
    """The part of a secret key that signs cookies; it tells nothing of the part that seals secrets."""
    return sealed.derive(key, "cookies")
