"""A page of fifty rows as an admin gets it, beside the same template with the same values and no database."""

import io
import pathlib
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import flask
from flask_login import current_user
from jinja2 import Template
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from werkzeug.local import LocalProxy
from werkzeug.test import EnvironBuilder

from models import database, registration, schema
from models.base import database_time
from models.topic import Topic
from models.user import Role, User
from tests.bench.row import Row
from tests.postgres import leave, server
from tests.statements import counted
from tests.visitor import Visitor, newcomer
from webapp.app import create_app
from webapp.config import Config

ROWS, TURNS, EACH = 50, 40, 10
MARK = 0.5
KEY = "a-bench-key-that-is-long-enough-for-everybody"
PLAIN = "/bench-plain"


class Plain:
    """What a page was rendered from, rendered again: nothing is looked up."""

    def __init__(self) -> None:
        self.template: Template | None = None
        self.context: dict[str, Any] = {}
        self.person: Any = None

    def note(self, sender: flask.Flask, template: Template, context: dict[str, Any], **_: Any) -> None:
        """Called before a page is rendered. What the layout would look up meanwhile is looked up here."""
        self.template, self.person = template, current_user._get_current_object()
        self.context = {
            name: value._get_current_object() if isinstance(value, LocalProxy) else value
            for name, value in context.items()
        }

    def view(self) -> str:
        """The page."""
        assert self.template is not None
        flask.g._login_user = self.person
        return self.template.render(self.context)


def rows() -> Iterator[Row]:
    """Two rows: people, tasks."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    _admin(f"CREATE DATABASE {name}")
    url = make_url(server()).set(database=name).render_as_string(hide_password=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            database.connect(url, [KEY])
            schema.upgrade(database.engine())
            settings = {"SWITCHYARD_DATA_DIR": str(pathlib.Path(folder)), "SWITCHYARD_SECRET_KEY": KEY}
            app, plain = create_app(Config.from_env(settings), url), Plain()
            app.add_url_rule(PLAIN, view_func=plain.view, endpoint="bench_plain")
            visitor = Visitor(app).sign_in(_people())
            for path in ("/people", "/tasks"):
                yield _measured(app, visitor, plain, path)
    finally:
        database.dispose()
        _admin(f"DROP DATABASE {name} WITH (FORCE)")
        leave()


def _admin(statement: str) -> None:
    engine = create_engine(server())
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def _people() -> User:
    """An admin among fifty people, with fifty open tasks."""
    admin = newcomer(Role.ADMIN, "Ada")
    for number in range(ROWS - 1):
        newcomer(Role.MEMBER, f"Person {number}".replace(" ", ""))
    with database.transaction() as session:
        now = database_time(session)
        agent = registration.register(session, session.merge(admin), "scout", "desk", None, now).agent
        creative = registration.register(session, session.merge(admin), "scout", "desk", None, now).topic.creative_id
        ids = []
        for number in range(ROWS):
            topic = Topic(creative_id=creative, name=f"Topic {number}", primary_agent_id=agent.id)
            session.add(topic)
            session.flush()
            ids.append(topic.id)
    for id in ids:
        with database.transaction() as session:
            topic = Topic.locked(session, id)
            assert topic is not None
            topic.post(session, admin, "A line of work.", database_time(session))
    return admin


def _measured(app: flask.Flask, visitor: Visitor, plain: Plain, path: str) -> Row:
    with flask.before_render_template.connected_to(plain.note, app):
        page = visitor.get(path)
    assert page.status_code == 200, page.text
    ask, ask_plain = _asker(app, visitor, path), _asker(app, visitor, PLAIN)
    with counted() as statements:
        same = abs(ask_plain() - ask()) < 200  # a token for forms is as long as another, a time may not be
    assert same, "the two pages differ"
    pairs = [(_seconds(ask), _seconds(ask_plain)) for _ in range(TURNS)][TURNS // 10 :]
    ratio = median(without / with_ for with_, without in pairs)
    milliseconds = [median(pair[side] for pair in pairs) * 1000 / EACH for side in (0, 1)]
    detail = f"{milliseconds[0]:.1f} ms, {len(statements)} statements; without {milliseconds[1]:.1f} ms"
    return Row(f"{path} with {ROWS} rows, of the speed without database", ratio, MARK, detail, at_least=True)


def _asker(app: flask.Flask, visitor: Visitor, path: str) -> Callable[[], int]:
    """A function that asks for a page as the server does, and gives the length of the answer."""
    cookie = visitor.client.get_cookie("switchyard")
    assert cookie is not None
    headers = {"Host": "localhost", "Cookie": f"switchyard={cookie.value}"}
    environ = EnvironBuilder(path, headers=headers, environ_base={"REMOTE_ADDR": "127.0.0.1"}).get_environ()

    def ask() -> int:
        told: list[str] = []
        answer = app.wsgi_app({**environ, "wsgi.input": io.BytesIO()}, lambda status, headers: told.append(status))
        length = sum(map(len, answer))
        assert told == ["200 OK"], told
        return length

    return ask


def _seconds(ask: Callable[[], int]) -> float:
    started = time.perf_counter()
    for _ in range(EACH):
        ask()
    return time.perf_counter() - started
