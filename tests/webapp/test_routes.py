"""Every route and every role, from the application's own map: what it answers, what it refuses.

The table is `routes.txt`: method, rule, and who may come:

open            anybody
signed-in       anybody who is signed in; what they find there is their own
own             only who has a right on the very thing; nobody else, whatever the role
member, approver, operator, admin       that role and those above it
token, token-own, token-member, ...     the same for programs; without a token 401
"""

import hashlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flask
import pytest
from sqlalchemy import select, text
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from models import registration
from models.access_token import AccessToken
from models.agent_session import AgentSession
from models.base import Base, database_time
from models.browser import Browser
from models.creative import Creative, Level
from models.database import engine, transaction
from models.gateway import Gateway
from models.gateway_request import GatewayRequest, Verb
from models.one_time_link import OneTimeLink
from models.permission_request import Kind, PermissionRequest, Prompt
from models.topic import Topic
from models.tray_item import TrayItem
from models.user import Role, User
from tests.visitor import Visitor, newcomer

TABLE = Path(__file__).parent / "routes.txt"
NOWHERE = 8_888_888
GUARDED = {"member": Role.MEMBER, "approver": Role.APPROVER, "operator": Role.OPERATOR, "admin": Role.ADMIN}
# Written whenever somebody comes in or is looked up: no effect of the request itself.
TOUCHED = {"browsers", "sign_in_attempts", "idempotency_keys", "access_tokens"}
WORDS = {"secret": "no-such-secret", "filename": "switchyard.css"}
# What is sent, so that it is the right that is refused and not the form.
FIELDS = {
    "/messages": {"text": "Let me in"},
    "/reassign": {"agent_id": 1},
    "/shares": {"level": "read", "user_id": 1},
    "/decision": {"behavior": "allow"},
    "/suspend": {"reason": "quota", "execution_generation": "x"},
    "/read": {"last_message_id": 1},
}
# A request that no test may send blindly: it would end the session that sends it, or stream for ever.
ENDS = {("POST", "/sign-out"), ("POST", "/settings/sign-out-everywhere")}


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    method: str
    rule: str
    who: str

    @property
    def api(self) -> bool:
        """Whether programs come here, by token."""
        return self.who.startswith("token")

    @property
    def role(self) -> Role | None:
        """The least role, None when any will do."""
        return GUARDED.get(self.who.removeprefix("token-"))

    @property
    def own(self) -> bool:
        """Whether a right on the thing itself is needed."""
        return self.who in ("own", "token-own")


def table() -> list[Line]:
    """The lines of the file."""
    rows = (line.split() for line in TABLE.read_text().splitlines() if line.strip() and not line.startswith("#"))
    return [Line(*row) for row in rows]


def routes(app: flask.Flask) -> Iterator[tuple[str, Rule]]:
    """Every method of every rule."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, rule


def written(rule: Rule) -> str:
    """The rule without blanks, as it stands in the table."""
    return rule.rule.replace(" ", "")


@dataclass
class Scene:
    """Alice's things, which nobody else may see; somebody of each role; a way to write addresses."""

    app: flask.Flask
    alice: User
    ids: dict[str, int]
    people: dict[Role, User] = field(default_factory=dict)
    visitors: dict[Role, Visitor] = field(default_factory=dict)
    tokens: dict[Role, str] = field(default_factory=dict)

    def address(self, rule: str, real: bool) -> str:
        """The address of Alice's thing, or of one that does not exist."""

        def value(found: re.Match[str]) -> str:
            kind, name = found[1] or "string", found[2]
            if kind == "int":
                return str(self.ids[self.named(rule, name)] if real else NOWHERE)
            any_of = re.match(r"any\('?([\w-]+)", found[0][1:])
            return any_of[1] if any_of else WORDS.get(name, "x")

        return re.sub(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>", value, rule)

    def named(self, rule: str, name: str) -> str:
        """Which of Alice's things a placeholder means: `id` is that of the folder before it."""
        if name != "id":
            return name.removesuffix("_id")
        folder = rule.split("/<int:id>")[0].rsplit("/", 1)[-1]
        return {"people": "user", "tray": "item", "supervisor": "gateway", "browsers": "browser"}.get(
            folder, folder.removesuffix("s")
        )

    def ask(self, line: Line, role: Role | None, real: bool) -> TestResponse:
        """One request by somebody of this role (None: a stranger), with whatever token the door wants."""
        address = self.address(line.rule, real)
        if line.api:
            headers = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
            body: Any = None if line.method == "GET" else self.fields(line)
            return self.app.test_client().open(address, method=line.method, json=body, headers=headers)
        visitor = self.visitors[role] if role else Visitor(self.app)
        if line.method == "GET":
            return visitor.get(address)
        visitor.get("/settings" if role else "/sign-in")
        return visitor.post(address, **{name: str(value) for name, value in self.fields(line).items()})

    def fields(self, line: Line) -> dict[str, Any]:
        """What a request of this route holds."""
        found = next((fields for end, fields in FIELDS.items() if line.rule.endswith(end)), {})
        return {"user_id": 1} if line.method == "DELETE" and found else dict(found)


@pytest.fixture(scope="module")
def scene(app: flask.Flask) -> Scene:
    alice, victim = newcomer(Role.MEMBER, "Alice"), newcomer(Role.MEMBER, "Victor")
    with transaction() as session:
        now = database_time(session)
        docs = Creative.create(session, alice, "Secret plans")
        share = docs.share(session, Level.READ, user_id=victim.id)
        scout, _, _ = registration.register(session, alice, "scout", "laptop", "my-repo", now)
        topic = Topic.create(session, docs, "Secret topic", scout.id)
        posted = topic.post(session, alice, "Secret words", now)
        prompt = Prompt(Kind.TOOL, "abcde", alice.id, "Bash", input={"command": "ls"})
        approval = PermissionRequest.ask(session, prompt, scout.id, topic.id, posted.tasks[0].id, posted.message.id)
        token, _ = AccessToken.create(session, alice, "hers", now)
        browser = Browser.begin(session, alice, "10.0.0.1", "Firefox/1")
        plugin = session.scalars(select(AgentSession).where(AgentSession.agent_id == scout.id)).one()
        gateway = Gateway(name="harbor", url="wss://h.example", address="wss://h.example:443", token="t")
        session.add(gateway)
        session.flush()
        item = TrayItem.put(session, gateway.id, "agent:main:x", "run-1", "words", "job", "No topic has this key.")
        admin = User.create(session, f"{uuid.uuid4().hex}@example.org", "Root", Role.ADMIN)
        request = GatewayRequest.ask(session, Verb.TEST, gateway.id, admin, now)
        link, _ = OneTimeLink.invite(session, "new@example.org", Role.MEMBER, admin, now)
        ids = {
            "topic": topic.id,
            "creative": docs.id,
            "share": share.id,
            "agent": scout.id,
            "task": posted.tasks[0].id,
            "message": posted.message.id,
            "approval": approval.id,
            "token": token.id,
            "browser": browser.id,
            "plugin": plugin.id,
            "gateway": gateway.id,
            "item": item.id,
            "request": request.id,
            "invitation": link.id,
            "user": victim.id,
        }
        ids |= more_things(session, alice, gateway, scout, now)
    scene = Scene(app, alice, ids)
    for role in Role:
        person = scene.people[role] = newcomer(role, role.title())
        scene.visitors[role] = Visitor(app).sign_in(person)
        with transaction() as session:
            _, scene.tokens[role] = AccessToken.create(
                session, session.get_one(User, person.id), "t", database_time(session)
            )
    return scene


def more_things(session: Any, alice: User, gateway: Gateway, scout: Any, now: Any) -> dict[str, int]:
    """A chat of Alice's and a slot."""
    found: dict[str, int] = {}
    for table, id in (("chat", "chat_sessions"), ("slot", "chat_slots")):
        found[table] = session.scalar(text(f"SELECT coalesce(max(id), {NOWHERE}) FROM {id}"))
    return found


def test_every_route_is_in_the_table_and_no_line_is_left_over(app: flask.Flask) -> None:
    there = {(method, written(rule)) for method, rule in routes(app)}
    told = [(line.method, line.rule) for line in table()]
    assert sorted(there - set(told)) == [], "say in routes.txt who may come here"
    assert sorted(set(told) - there) == [] and len(told) == len(set(told))


def test_each_line_names_somebody_that_exists() -> None:
    known = {"open", "signed-in", "own", *GUARDED}
    assert {line.who.removeprefix("token-") for line in table()} - known <= {"token"}


@pytest.mark.parametrize("line", [line for line in table() if line.who != "open"], ids=str)
def test_a_stranger_is_asked_to_sign_in_or_for_a_token(scene: Scene, line: Line) -> None:
    answer = scene.ask(line, None, real=True)
    if line.api:
        assert (answer.status_code, answer.json["code"]) == (401, "not_signed_in")
    else:
        assert answer.status_code == 303 and answer.location.startswith("/sign-in"), answer.status_code


@pytest.mark.parametrize("line", [line for line in table() if line.role or line.own], ids=str)
def test_who_has_no_right_is_refused_and_nothing_changes(scene: Scene, line: Line) -> None:
    if (line.method, line.rule) in ENDS:
        return
    before = everything()
    for role in Role:
        if line.role is not None and role.includes(line.role):
            continue
        answer = scene.ask(line, role, real=True)
        assert answer.status_code in (403, 404), (role, answer.status_code, answer.text[:300])
        assert "Secret" not in answer.text, role
    assert everything() == before


@pytest.mark.parametrize("line", [line for line in table() if line.role], ids=str)
def test_who_has_the_role_comes_in(scene: Scene, line: Line) -> None:
    for role in Role:
        if line.role is not None and role.includes(line.role):
            answer = scene.ask(line, role, real=False)
            assert answer.status_code not in (401, 403, 500), (role, answer.status_code, answer.text[:300])


@pytest.mark.parametrize("line", [line for line in table() if line.method == "POST" and not line.api], ids=str)
def test_no_form_is_taken_without_its_token(scene: Scene, line: Line) -> None:
    before = everything()
    answer = scene.visitors[Role.ADMIN].client.post(scene.address(line.rule, True), data={"csrf_token": "made up"})
    assert answer.status_code == 400
    assert everything() == before


def everything() -> str:
    """A digest of all rows of all tables, but those that any visit touches."""
    digest = hashlib.sha256()
    with engine().connect() as connection:
        for table in sorted(set(Base.metadata.tables) - TOUCHED):
            rows = f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
            digest.update(f"{table}{connection.scalar(text(rows))}".encode())
    return digest.hexdigest()
