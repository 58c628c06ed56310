"""People, as admins manage them."""

import re
import threading

import flask
import pytest
from sqlalchemy import select, update

from models import agent_removal, membership, registration
from models.access_token import AccessToken
from models.agent import Agent
from models.base import database_time
from models.chat_session import ChatSession
from models.creative import Creative, Level
from models.database import transaction
from models.errors import WrongState
from models.message import Message, Source
from models.one_time_link import OneTimeLink
from models.permission_request import Kind, PermissionRequest, Prompt
from models.task import Task
from models.topic import Topic
from models.user import Role, User
from tests.seats import Seats
from tests.visitor import PASSWORD, Visitor, newcomer, words

LINK = re.compile(r"http://127\.0\.0\.1:8000(/(?:invitation|reset)/[\w.-]+)")
BELOW_ADMIN = [role for role in Role if role is not Role.ADMIN]


@pytest.fixture
def ada(app: flask.Flask) -> User:
    """The only admin of this hub."""
    with transaction() as session:
        session.execute(update(User).where(User.role == Role.ADMIN).values(role=Role.MEMBER))
    return newcomer(Role.ADMIN, "Ada")


@pytest.fixture
def visitor(app: flask.Flask, ada: User) -> Visitor:
    return Visitor(app).sign_in(ada)


@pytest.fixture
def bob(app: flask.Flask) -> User:
    return newcomer(name="Bob")


def again(user: User) -> User:
    with transaction() as session:
        return session.get_one(User, user.id)


def test_the_list_shows_everybody_with_their_role(visitor: Visitor, ada: User, bob: User) -> None:
    response = visitor.get("/people")
    assert response.status_code == 200
    for person in (ada, bob):
        assert f'href="/people/{person.id}"' in response.text
        assert person.email in words(response)


def test_an_invitation_is_shown_once_as_a_link_that_works(app: flask.Flask, visitor: Visitor) -> None:
    visitor.get("/people")
    made = visitor.post("/people/invitations", email="Carl@Example.org", role="viewer")
    assert made.status_code == 201
    [path] = set(LINK.findall(made.text))
    people = visitor.get("/people")
    assert "carl@example.org as a viewer" in words(people)
    assert LINK.findall(people.text) == []
    guest = Visitor(app)
    guest.get(path)
    assert guest.post(path, name="Carl", password=PASSWORD).status_code == 303
    assert "One person" not in words(visitor.get("/people"))
    assert "carl@example.org as a viewer" not in words(visitor.get("/people"))


def test_an_invitation_can_be_taken_back(app: flask.Flask, visitor: Visitor) -> None:
    visitor.get("/people")
    made = visitor.post("/people/invitations", email="dora@example.org", role="member")
    [path] = set(LINK.findall(made.text))
    with transaction() as session:
        id = session.scalars(select(OneTimeLink.id).where(OneTimeLink.email == "dora@example.org")).one()
    assert visitor.post(f"/people/invitations/{id}/take-back").status_code == 303
    assert Visitor(app).get(path).status_code == 404
    assert "dora@example.org" not in words(visitor.get("/people"))
    assert visitor.post(f"/people/invitations/{id}/take-back").status_code == 404


def test_a_second_invitation_for_an_address_ends_the_first(app: flask.Flask, visitor: Visitor) -> None:
    visitor.get("/people")
    first = LINK.findall(visitor.post("/people/invitations", email="eli@example.org", role="member").text)[0]
    second = LINK.findall(visitor.post("/people/invitations", email="eli@example.org", role="viewer").text)[0]
    assert Visitor(app).get(first).status_code == 404
    assert Visitor(app).get(second).status_code == 200


@pytest.mark.parametrize(
    ("email", "role", "sentence"),
    [
        ("nonsense", "member", "Give an email address such as ann@example.org."),
        ("fay@example.org", "king", "Choose one of the roles viewer, member, approver, operator, admin."),
    ],
)
def test_a_refused_invitation_keeps_what_was_typed(visitor: Visitor, email: str, role: str, sentence: str) -> None:
    visitor.get("/people")
    response = visitor.post("/people/invitations", email=email, role=role)
    assert response.status_code == 422
    assert sentence in words(response)
    assert f'value="{email}"' in response.text


def test_nobody_who_has_an_account_is_invited(visitor: Visitor, bob: User) -> None:
    visitor.get("/people")
    response = visitor.post("/people/invitations", email=bob.email.upper(), role="member")
    assert response.status_code == 422
    assert f"{bob.email} has an account here." in words(response)


def test_a_password_link_is_shown_once_and_an_earlier_one_ends(app: flask.Flask, visitor: Visitor, bob: User) -> None:
    visitor.get(f"/people/{bob.id}")
    first = LINK.findall(visitor.post(f"/people/{bob.id}/reset").text)[0]
    second = visitor.post(f"/people/{bob.id}/reset")
    assert second.status_code == 201
    guest = Visitor(app)
    assert guest.get(first).status_code == 404
    guest.get(LINK.findall(second.text)[0])
    guest.post(LINK.findall(second.text)[0], password="a quite new password")
    Visitor(app).sign_in(bob, "a quite new password")


def test_a_role_can_be_changed(visitor: Visitor, bob: User) -> None:
    visitor.get(f"/people/{bob.id}")
    assert visitor.post(f"/people/{bob.id}/role", role="operator").status_code == 303
    assert again(bob).role == Role.OPERATOR
    assert f"{bob.name} is operator now." in words(visitor.get("/people"))


@pytest.mark.parametrize("role", ["", "king", "ADMIN"])
def test_an_unknown_role_is_refused(visitor: Visitor, bob: User, role: str) -> None:
    visitor.get(f"/people/{bob.id}")
    assert visitor.post(f"/people/{bob.id}/role", role=role).status_code == 422
    assert again(bob).role == Role.MEMBER


def test_the_last_admin_stays_one(visitor: Visitor, ada: User, bob: User) -> None:
    visitor.get(f"/people/{ada.id}")
    response = visitor.post(f"/people/{ada.id}/role", role="member")
    assert response.status_code == 422
    assert "Ada is the only admin here. Make somebody else an admin first." in words(response)
    assert again(ada).role == Role.ADMIN
    visitor.post(f"/people/{bob.id}/role", role="admin")
    assert visitor.post(f"/people/{ada.id}/role", role="member").status_code == 303
    assert visitor.get("/people").status_code == 403


def test_two_admins_cannot_make_each_other_the_last(ada: User, bob: User) -> None:
    with transaction() as session:
        membership.change_role(session, session.get_one(User, bob.id), Role.ADMIN)
    ready, outcomes = threading.Barrier(2), []

    def demote(user: User) -> None:
        ready.wait(10)
        try:
            with transaction() as session:
                membership.change_role(session, session.get_one(User, user.id), Role.MEMBER)
            outcomes.append("done")
        except WrongState:
            outcomes.append("refused")

    threads = [threading.Thread(target=demote, args=(user,)) for user in (ada, bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["done", "refused"]
    assert sorted([again(ada).role, again(bob).role]) == [Role.ADMIN, Role.MEMBER]


def test_who_is_no_admin_any_more_has_not_invited_either(app: flask.Flask, visitor: Visitor, bob: User) -> None:
    visitor.get(f"/people/{bob.id}")
    visitor.post(f"/people/{bob.id}/role", role="admin")
    with transaction() as session:
        path = "/invitation/" + OneTimeLink.invite(session, "z@example.org", "admin", bob, database_time(session))[1]
    visitor.post(f"/people/{bob.id}/role", role="member")
    assert Visitor(app).get(path).status_code == 404


def test_the_confirm_page_names_what_is_lost(visitor: Visitor, bob: User) -> None:
    with transaction() as session:
        now = database_time(session)
        registered = registration.register(session, bob, "scout", "laptop", None, now)
        registered.topic.post(session, bob, "do this", now)
        message = Message.add(session, registered.topic.id, "May I?", Source.PROMPT, agent_id=registered.agent.id)
        prompt = Prompt(Kind.TOOL, "abcde", bob.id, tool_name="Bash")
        PermissionRequest.ask(session, prompt, registered.agent.id, registered.topic.id, None, message.id)
        AccessToken.create(session, bob, "laptop", now)
        Creative.create(session, bob, "Docs")
    said = words(visitor.get(f"/people/{bob.id}/remove"))
    assert "One agent stops. One open task is cancelled." in said
    assert "One approval that they wait for is closed" in said
    assert "One access token ends." in said
    assert "One creative loses its owner; it stays for those it is shared with." in said
    assert again(bob).removed_at is None


def test_removing_a_person_ends_all_that_was_theirs(app: flask.Flask, visitor: Visitor, ada: User, bob: User) -> None:
    theirs = Visitor(app).sign_in(bob)
    with transaction() as session:
        now = database_time(session)
        registered = registration.register(session, bob, "scout", "laptop", None, now)
        posted = registered.topic.post(session, bob, "do this", now)
        _, text = AccessToken.create(session, bob, "laptop", now)
        docs = Creative.create(session, ada, "Docs")
        docs.share(session, Level.FEEDBACK, user_id=bob.id)
    visitor.get(f"/people/{bob.id}/remove")
    assert visitor.post(f"/people/{bob.id}/remove").status_code == 303
    assert theirs.get("/settings").status_code == 303
    with transaction() as session:
        now = database_time(session)
        assert AccessToken.find(session, text, now) is None
        assert session.get_one(Agent, registered.agent.id).removed_at is not None
        assert session.get_one(Task, posted.tasks[0].id).status == "cancelled"
        assert docs.level_of(session, bob.id) is None
        assert session.get_one(Topic, registered.topic.id).last_message_id is not None
    assert visitor.get(f"/people/{bob.id}").status_code == 404


def test_an_agent_that_the_admin_may_not_open_is_no_link(visitor: Visitor, bob: User) -> None:
    with transaction() as session:
        scout = registration.register(session, bob, "scout", "laptop", None, database_time(session)).agent.id
    page = visitor.get(f"/people/{bob.id}")
    assert "May give work to scout, through" in words(page) and f"/agents/{scout}" not in page.text


def test_the_seats_of_who_is_removed_go_on(visitor: Visitor, ada: User, bob: User) -> None:
    with transaction() as session:
        mira = User.create(session, f"mira-{bob.id}@example.org", "Mira", Role.MEMBER)
        seats = Seats.enter(session, mira, database_time(session), 1, "wait")
        shared = Creative.create(session, mira, "Shared")
        shared.share(session, Level.FEEDBACK, user_id=bob.id)
        first, second = seats.open(bob, "do this"), seats.open(mira, "and this")
        assert (first.state, second.state) == ("active", "waiting")
        task = session.scalars(select(Task.id).where(Task.topic_id == first.topic_id)).one()
    assert "One chat rests: its seat goes to whoever is next" in words(visitor.get(f"/people/{bob.id}/remove"))
    assert visitor.post(f"/people/{bob.id}/remove").status_code == 303
    with transaction() as session:
        assert (ChatSession.get(session, first.id).state, ChatSession.get(session, second.id).state) == (
            "expired",
            "active",
        )
        gone = session.get_one(Task, task)
        assert (gone.status, gone.why) == ("cancelled", "Bob is no longer here.")
        agent_removal.remove(session, seats.pilot.id, session.get_one(User, mira.id), database_time(session))
        assert ChatSession.get(session, second.id).state == "expired"


def test_a_removed_person_can_be_invited_again(app: flask.Flask, visitor: Visitor, bob: User) -> None:
    visitor.get(f"/people/{bob.id}/remove")
    visitor.post(f"/people/{bob.id}/remove")
    path = LINK.findall(visitor.post("/people/invitations", email=bob.email, role="member").text)[0]
    guest = Visitor(app)
    guest.get(path)
    assert guest.post(path, name="Bob", password=PASSWORD).status_code == 303


def test_nobody_removes_themselves(visitor: Visitor, ada: User, bob: User) -> None:
    visitor.get(f"/people/{bob.id}")
    visitor.post(f"/people/{bob.id}/role", role="admin")
    assert visitor.get(f"/people/{ada.id}/remove").status_code == 403
    assert visitor.post(f"/people/{ada.id}/remove").status_code == 403
    assert "Remove Ada" not in words(visitor.get(f"/people/{ada.id}"))
    assert again(ada).removed_at is None


@pytest.mark.parametrize("id", ["0", "999999", "99999999999999999999999"])
def test_an_unknown_person_is_a_page_in_words(visitor: Visitor, id: str) -> None:
    for response in (visitor.get(f"/people/{id}"), visitor.post(f"/people/{id}/role", role="viewer")):
        assert response.status_code == 404


@pytest.mark.parametrize("role", BELOW_ADMIN)
def test_only_admins_see_and_change_people(app: flask.Flask, ada: User, bob: User, role: Role) -> None:
    with transaction() as session:
        invitation, _ = OneTimeLink.invite(session, "kim@example.org", "viewer", ada, database_time(session))
    other = Visitor(app).sign_in(newcomer(role, "Otto"))
    assert 'href="/people"' not in other.get("/settings").text
    for path in ("/people", f"/people/{bob.id}", f"/people/{bob.id}/remove"):
        assert other.get(path).status_code == 403
    posts = {
        "/people/invitations": {"email": "x@example.org", "role": "admin"},
        f"/people/invitations/{invitation.id}/take-back": {},
        f"/people/{bob.id}/role": {"role": "admin"},
        f"/people/{bob.id}/reset": {},
        f"/people/{bob.id}/remove": {},
    }
    other.get("/settings")
    for path, fields in posts.items():
        response = other.post(path, **fields)
        assert response.status_code == 403, path
        assert "This needs the role admin" in words(response)
    assert (again(bob).role, again(bob).removed_at) == (Role.MEMBER, None)
    with transaction() as session:
        assert invitation.id in [link.id for link in OneTimeLink.open_invitations(session, database_time(session))]
        assert session.scalars(select(OneTimeLink).where(OneTimeLink.email == "x@example.org")).first() is None
