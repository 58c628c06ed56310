"""Links that work once: the first account, an invitation, a new password."""

from datetime import timedelta

import flask
import pytest
from sqlalchemy import delete, update

from models.base import database_time
from models.database import transaction
from models.one_time_link import OneTimeLink
from models.sign_in_attempt import SignInAttempt
from models.user import Role, User
from tests.visitor import PASSWORD, Visitor, newcomer, words

ADA = {"name": "Ada", "email": "Ada@Example.org", "password": PASSWORD}


@pytest.fixture
def visitor(app: flask.Flask) -> Visitor:
    return Visitor(app)


@pytest.fixture
def nobody(app: flask.Flask) -> None:
    """A hub without any account."""
    with transaction() as session:
        session.execute(delete(OneTimeLink))
        session.execute(update(User).values(removed_at=database_time(session)))
        session.execute(update(User).values(email=User.id.concat("@gone.invalid")))


@pytest.fixture
def link(nobody: None) -> str:
    """The path that the terminal shows."""
    return set_up()


@pytest.fixture
def admin(app: flask.Flask) -> User:
    return newcomer(Role.ADMIN, "Ada")


def set_up() -> str:
    """The path of a new set-up link."""
    with transaction() as session:
        return f"/set-up/{OneTimeLink.set_up(session, database_time(session))}"


def invite(admin: User, email: str, role: str = Role.APPROVER) -> str:
    with transaction() as session:
        return f"/invitation/{OneTimeLink.invite(session, email, role, admin, database_time(session))[1]}"


def reset(admin: User, user: User) -> str:
    with transaction() as session:
        return f"/reset/{OneTimeLink.reset(session, user, admin, database_time(session))[1]}"


def found(email: str) -> User | None:
    with transaction() as session:
        return User.by_email(session, email)


def expire() -> None:
    with transaction() as session:
        session.execute(update(OneTimeLink).values(expires_at=OneTimeLink.expires_at - timedelta(days=8)))


def test_a_hub_without_an_account_says_where_the_link_is(visitor: Visitor, nobody: None) -> None:
    assert visitor.get("/").status_code == 303
    response = visitor.get("/", follow=True)
    assert response.status_code == 200
    assert "Open the link that the hub printed on its terminal" in words(response)
    assert "switchyard user create EMAIL --name NAME --admin --password-stdin" in words(response)


def test_the_set_up_link_makes_the_admin_and_signs_in(visitor: Visitor, link: str) -> None:
    visitor.get(link)
    response = visitor.post(link, **ADA)
    assert (response.status_code, response.location) == (303, "/")
    ada = found("ada@example.org")
    assert ada is not None
    assert (ada.name, ada.role) == ("Ada", Role.ADMIN)
    assert visitor.get("/sign-in").status_code == 303
    visitor.post("/sign-out")


def test_the_account_made_by_the_link_can_sign_in_elsewhere(app: flask.Flask, visitor: Visitor, link: str) -> None:
    visitor.get(link)
    visitor.post(link, **ADA)
    ada = found("ada@example.org")
    assert ada is not None
    Visitor(app).sign_in(ada)


def test_the_set_up_link_works_once(app: flask.Flask, visitor: Visitor, link: str) -> None:
    late = Visitor(app)
    late.get(link)
    visitor.get(link)
    visitor.post(link, **ADA)
    for response in (late.get(link), late.post(link, name="Eve", email="eve@example.org", password=PASSWORD)):
        assert response.status_code == 404
        assert "This link has ended." in words(response)
    assert found("eve@example.org") is None


def test_the_set_up_link_ends_with_the_first_account_however_it_was_made(visitor: Visitor, link: str) -> None:
    newcomer()
    response = visitor.get(link)
    assert response.status_code == 404
    assert "This hub has an account already" in words(response)


def test_a_new_set_up_link_ends_the_one_before(visitor: Visitor, link: str) -> None:
    newer = set_up()
    assert visitor.get(link).status_code == 404
    assert visitor.get(newer).status_code == 200


def test_an_expired_set_up_link_says_so(visitor: Visitor, link: str) -> None:
    expire()
    assert visitor.get(link).status_code == 404


@pytest.mark.parametrize("secret", ["x", "x.y", "%00.%00", "a" * 500, "é.é", "."])
@pytest.mark.parametrize("kind", ["set-up", "invitation", "reset"])
def test_a_made_up_link_is_a_page_in_words(visitor: Visitor, kind: str, secret: str) -> None:
    response = visitor.get(f"/{kind}/{secret}")
    assert response.status_code == 404
    assert "has expired" in words(response) or "has ended" in words(response)


def test_a_refused_form_names_every_field_and_keeps_what_was_typed(visitor: Visitor, link: str) -> None:
    visitor.get(link)
    response = visitor.post(link, name=" ", email="ada", password="short")
    assert response.status_code == 422
    said = words(response)
    assert "The account was not made" in said
    assert "Give a name." in said
    assert "Give an email address such as ann@example.org." in said
    assert "Use at least 10 characters; this password has 5." in said
    assert 'value="ada"' in response.text
    assert "short" not in response.text
    assert visitor.post(link, **ADA).status_code == 303


def test_a_password_that_is_the_address_is_refused(visitor: Visitor, link: str) -> None:
    visitor.get(link)
    response = visitor.post(link, name="Ada", email="ada@example.org", password="ADA@example.org")
    assert response.status_code == 422
    assert "Choose a password that is not your email address." in words(response)


def test_an_invitation_makes_an_account_with_its_address_and_role(visitor: Visitor, admin: User) -> None:
    path = invite(admin, "Ivo@example.org")
    assert "ivo@example.org" in words(visitor.get(path))
    response = visitor.post(path, name="Ivo", email="other@example.org", role="admin", password=PASSWORD)
    assert (response.status_code, response.location) == (303, "/")
    ivo = found("ivo@example.org")
    assert ivo is not None
    assert (ivo.name, ivo.role) == ("Ivo", Role.APPROVER)
    assert found("other@example.org") is None


def test_an_invitation_works_once(visitor: Visitor, admin: User) -> None:
    path = invite(admin, "once@example.org")
    visitor.get(path)
    visitor.post(path, name="Ona", password=PASSWORD)
    response = visitor.get(path)
    assert response.status_code == 404
    assert "This invitation was used, taken back or has expired." in words(response)


def test_an_invitation_for_an_address_that_has_an_account_meanwhile_says_so(visitor: Visitor, admin: User) -> None:
    path = invite(admin, "taken@example.org")
    with transaction() as session:
        User.create(session, "taken@example.org", "Tak", Role.MEMBER)
    visitor.get(path)
    response = visitor.post(path, name="Other", password=PASSWORD)
    assert response.status_code == 422
    assert "taken@example.org has an account here." in words(response)


def test_a_reset_link_sets_a_new_password_and_ends_all_cookies(app: flask.Flask, visitor: Visitor, admin: User) -> None:
    nora = newcomer()
    elsewhere = Visitor(app).sign_in(nora)
    path = reset(admin, nora)
    assert nora.email in words(visitor.get(path))
    response = visitor.post(path, password="another horse battery")
    assert (response.status_code, response.location) == (303, "/")
    assert visitor.get("/sign-in").status_code == 303
    assert elsewhere.get("/settings").status_code == 303
    Visitor(app).sign_in(nora, "another horse battery")
    assert visitor.get(path).status_code == 404


def test_a_refused_new_password_leaves_the_link_usable(visitor: Visitor, admin: User) -> None:
    path = reset(admin, newcomer())
    visitor.get(path)
    response = visitor.post(path, password="short")
    assert response.status_code == 422
    assert "The password is as it was" in words(response)
    assert visitor.post(path, password="another horse battery").status_code == 303


def test_a_reset_link_ends_with_its_account(visitor: Visitor, admin: User) -> None:
    nora = newcomer()
    path = reset(admin, nora)
    with transaction() as session:
        session.get_one(User, nora.id).remove(database_time(session))
    assert visitor.get(path).status_code == 404


def test_a_link_of_one_kind_opens_no_other_door(visitor: Visitor, admin: User) -> None:
    secret = reset(admin, newcomer()).rpartition("/")[2]
    assert visitor.get(f"/invitation/{secret}").status_code == 404
    assert visitor.get(f"/set-up/{secret}").status_code == 404


def test_an_expired_link_says_whom_to_ask(visitor: Visitor, admin: User) -> None:
    path = reset(admin, newcomer())
    expire()
    assert "Ask an admin here for a new one." in words(visitor.get(path))


def test_a_link_is_not_counted_as_a_try_to_sign_in(visitor: Visitor, admin: User) -> None:
    nora = newcomer()
    path = reset(admin, nora)
    visitor.get(path)
    visitor.post(path, password="another horse battery")
    with transaction() as session:
        assert SignInAttempt.unseen(session, nora.email)[0] == 0
