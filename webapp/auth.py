"""Who is asking: a person by cookie, or a person's plugin or script by bearer token."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlsplit

import flask
import gevent
from flask_login import LoginManager, UserMixin, current_user
from werkzeug.wrappers import Response

from models import passwords
from models.access_token import AccessToken
from models.browser import Browser
from models.database import at_once, reading
from models.errors import Forbidden, NotSignedIn
from models.user import Role, User
from webapp.hub import hub
from webapp.together import Together

View = TypeVar("View", bound=Callable[..., Any])

login_manager = LoginManager()
login_manager.session_protection = None  # addresses of phones change; a new password is what ends a cookie


class SignedIn(UserMixin):
    """A person as Flask-Login wants one. The cookie holds id, cookie key and browser: a new key ends all cookies."""

    def __init__(self, user: User, browser_id: int) -> None:
        self.user, self.browser_id = user, browser_id

    def get_id(self) -> str:
        """What the cookie stores."""
        return f"{self.user.id}:{self.user.cookie_key}:{self.browser_id}"


@login_manager.user_loader
def load(stored: str) -> SignedIn | None:
    """The person of a cookie, None when it has ended."""
    id, _, rest = stored.partition(":")
    key, _, browser = rest.rpartition(":")
    if not id.isdecimal() or not browser.isdecimal():
        return None
    with reading() as session:
        found = Browser.find(session, int(browser), int(id), key)
    if found is None:
        return None
    user, is_late = found
    if is_late:
        with at_once() as session:
            Browser.note(session, int(browser), address())
    return SignedIn(user, int(browser))


@login_manager.unauthorized_handler
def ask_to_sign_in() -> Response:
    """Strangers are asked to sign in, and then come back to where they were."""
    asked = flask.request
    back = asked.full_path.rstrip("?") if asked.method in ("GET", "HEAD") and asked.path != "/" else None
    return flask.redirect(flask.url_for("sign_in.form", next=back), 303)


def person() -> User:
    """The person who is signed in; the row as it was at the start of the request. Raises NotSignedIn."""
    if not current_user.is_authenticated:
        raise NotSignedIn("Sign in first.")
    return current_user.user


def browser_id() -> int:
    """The browser of this request. Raises NotSignedIn."""
    if not current_user.is_authenticated:
        raise NotSignedIn("Sign in first.")
    return current_user.browser_id


def signed_in(view: View) -> View:
    """Only for people who are signed in; others are asked to."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs) if current_user.is_authenticated else ask_to_sign_in()

    return guarded  # type: ignore[return-value]


def at_least(role: Role) -> Callable[[View], View]:
    """Only for people whose role includes this one."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not current_user.is_authenticated:
                return ask_to_sign_in()
            require(person(), role)
            return view(*args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def require(user: User, role: Role) -> None:
    """Raises Forbidden, in words, unless the person's role includes this one."""
    if not user.is_at_least(role):
        raise Forbidden(f"This needs the role {role}; you are {user.role}. An admin can change that under People.")


def bearer(header: str | None) -> str:
    """The token of an Authorization header; any case of the scheme. Raises NotSignedIn."""
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn
    return token.strip()


def by_token(text: str) -> AccessToken:
    """The valid token with this text and (as `.user`) its owner. Raises NotSignedIn."""
    with reading() as session:
        return _known(AccessToken.find(session, text))


def by_token_together(text: str) -> AccessToken:
    """The same for sockets, of which many may come in at once. Not to be changed: those of one token share it."""
    return _known(_tokens.ask(text))


def _known(token: AccessToken | None) -> AccessToken:
    if token is None:
        raise NotSignedIn("This access token is unknown, expired or revoked. Make a new one under Settings.")
    return token


def _find_tokens(texts: list[str]) -> list[AccessToken | None]:
    with reading() as session:
        return AccessToken.find_each(session, texts)


_tokens = Together(_find_tokens)


def token() -> AccessToken:
    """The token of this request. Raises NotSignedIn. Looked up once a request."""
    if "access_token" not in flask.g:
        flask.g.access_token = by_token(bearer(flask.request.headers.get("Authorization")))
    return flask.g.access_token


def in_thread(work: Callable[..., Any], *args: Any) -> Any:
    """Runs what costs CPU (argon2) in the hub's thread pool, so that no socket waits for it."""
    return gevent.get_hub().threadpool.apply(work, args)


def password_fits(user: User | None, password: str) -> bool:
    """Whether the password is this person's; takes as long when there is nobody."""
    return in_thread(passwords.verify, user.password_hash if user else None, password)


def address() -> str:
    """The address of who asks, behind the proxies that are trusted."""
    return client().address


def client() -> Any:
    """Who asks, as `webapp.proxies.Client`."""
    headers = flask.request.headers
    peer = flask.request.environ.get("REMOTE_ADDR") or "127.0.0.1"
    return hub().config.client(peer, headers.get("X-Forwarded-For"), headers.get("X-Forwarded-Proto"))


def local_path(target: str | None) -> str:
    """A path of this hub to go back to; anything that could lead elsewhere becomes the home page."""
    try:
        parts = urlsplit(target or "")
    except ValueError:  # "//[x": half an address
        return "/"
    if not target or parts.scheme or parts.netloc or not target.startswith("/") or target[1:2] in ("/", "\\"):
        return "/"
    return target if target.isprintable() and "\\" not in target else "/"
