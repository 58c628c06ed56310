"""What a person decides about themselves, and their access tokens."""

import re
from datetime import timedelta

import flask
import pytest
from sqlalchemy import select, update

from models.access_token import AccessToken
from models.base import database_time
from models.browser import Browser
from models.database import transaction
from models.user import Role, User
from tests.visitor import PASSWORD, Visitor, newcomer, words

TOKEN = re.compile(r"sy_[A-Za-z0-9]{10}_[\w-]{43}")
MINE = {"name": "Nora", "locale": "en", "zone": "UTC", "theme": "", "single_keys": "yes"}


@pytest.fixture
def nora(app: flask.Flask) -> User:
    return newcomer()


@pytest.fixture
def visitor(app: flask.Flask, nora: User) -> Visitor:
    return Visitor(app).sign_in(nora)


def again(user: User) -> User:
    with transaction() as session:
        return session.get_one(User, user.id)


def tokens(user: User) -> list[AccessToken]:
    with transaction() as session:
        return AccessToken.of(session, user)


def opens(text: str) -> bool:
    with transaction() as session:
        return AccessToken.find(session, text, database_time(session)) is not None


def make(visitor: Visitor, label: str = "laptop", days: str = "90") -> str:
    """A token, made on the page."""
    response = visitor.post("/settings/tokens", label=label, days=days)
    assert response.status_code == 201
    [text] = set(TOKEN.findall(response.text))
    return text


def test_the_page_says_who_one_is(visitor: Visitor, nora: User) -> None:
    assert f"You sign in as {nora.email}. Your role is member." in words(visitor.get("/settings"))


def test_everything_about_oneself_can_be_changed(visitor: Visitor, nora: User) -> None:
    given = {"name": "  Nora   Two ", "locale": "ko", "zone": "Asia/Seoul", "theme": "dark"}
    assert visitor.post("/settings", **given).status_code == 303
    changed = again(nora)
    assert (changed.name, changed.locale, changed.zone, changed.theme) == ("Nora Two", "ko", "Asia/Seoul", "dark")
    assert changed.single_keys is False
    page = visitor.get("/settings")
    assert 'data-theme="dark"' in page.text
    assert 'data-zone="Asia/Seoul"' in page.text
    assert 'data-keys="off"' in page.text
    assert 'value="Nora Two"' in page.text


def test_the_device_decides_again_when_one_takes_the_choice_back(visitor: Visitor, nora: User) -> None:
    visitor.post("/settings", **{**MINE, "theme": "light", "zone": "Europe/Oslo"})
    visitor.post("/settings", **MINE)
    assert (again(nora).theme, again(nora).zone, again(nora).single_keys) == (None, "UTC", True)
    assert "data-theme" not in visitor.get("/settings").text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", " ", "Give a name."),
        ("name", "x" * 81, "Give a name of at most 80 characters; this one has 81."),
        ("name", "a\x07b", "Use letters, digits and blanks for the name"),
        ("locale", "tlh", "Choose one of the languages."),
        ("zone", "Mars/Base", "Choose one of the time zones."),
        ("zone", "../../etc/passwd", "Choose one of the time zones."),
        ("theme", "pink", "Choose light, dark, or as this device."),
    ],
)
def test_what_cannot_be_is_refused_with_all_values_kept(
    visitor: Visitor, nora: User, field: str, value: str, sentence: str
) -> None:
    response = visitor.post("/settings", **{**MINE, "name": "Kept", "locale": "ko", field: value})
    assert response.status_code == 422
    assert "Not saved" in words(response)
    assert sentence in words(response)
    assert field == "name" or 'value="Kept"' in response.text
    assert field == "locale" or '<option value="ko" selected>' in response.text
    assert again(nora).name == "Nora"


def test_one_cannot_change_what_is_not_on_the_form(visitor: Visitor, nora: User) -> None:
    visitor.post("/settings", **{**MINE, "role": "admin", "email": "x@example.org", "id": "1"})
    assert (again(nora).role, again(nora).email) == ("member", nora.email)


def test_a_new_password_needs_the_current_one(visitor: Visitor, nora: User) -> None:
    response = visitor.post("/settings/password", current_password="wrong", password="another horse battery")
    assert response.status_code == 422
    assert "This is not your current password. Nine tries are left for five minutes." in words(response)
    assert again(nora).password_hash == nora.password_hash


def test_a_new_password_that_is_too_short_is_refused(visitor: Visitor, nora: User) -> None:
    response = visitor.post("/settings/password", current_password=PASSWORD, password="short")
    assert response.status_code == 422
    assert "Use at least 10 characters; this password has 5." in words(response)
    assert "The password is as it was" in words(response)


def test_a_changed_password_signs_out_all_other_browsers(app: flask.Flask, visitor: Visitor, nora: User) -> None:
    elsewhere = Visitor(app).sign_in(nora)
    response = visitor.post("/settings/password", current_password=PASSWORD, password="another horse battery")
    assert response.status_code == 303
    assert "Your password is changed." in words(visitor.get("/settings"))
    assert elsewhere.get("/settings").status_code == 303
    Visitor(app).sign_in(nora, "another horse battery")


def test_guessing_the_current_password_is_limited_too(visitor: Visitor) -> None:
    for _ in range(10):
        assert visitor.post("/settings/password", current_password="no", password="x").status_code == 422
    response = visitor.post("/settings/password", current_password=PASSWORD, password="another horse battery")
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 200
    assert "Too many tries." in words(response)


def test_signing_out_everywhere_ends_every_cookie_and_no_token(app: flask.Flask, visitor: Visitor, nora: User) -> None:
    text = make(visitor)
    elsewhere = Visitor(app).sign_in(nora)
    visitor.get("/settings")
    response = visitor.post("/settings/sign-out-everywhere")
    assert (response.status_code, response.location) == (303, "/sign-in?signed_out=yes")
    assert visitor.get("/settings").status_code == 303
    assert elsewhere.get("/settings").status_code == 303
    assert opens(text)


def test_failed_tries_are_shown_until_their_owner_has_seen_them(app: flask.Flask, nora: User) -> None:
    stranger = Visitor(app, address="203.0.113.9")
    stranger.get("/sign-in")
    for _ in range(3):
        stranger.post("/sign-in", email=nora.email, password="guess")
    visitor = Visitor(app).sign_in(nora)
    said = words(visitor.get("/settings"))
    assert "3 tries to sign in as you failed" in said
    assert "from 203.0.113.9" in said
    assert "3 tries to sign in as you failed." in words(visitor.get("/topics"))
    assert visitor.post("/settings/tries").status_code == 303
    assert "sign in as you failed" not in words(visitor.get("/settings"))
    assert "sign in as you failed" not in words(visitor.get("/topics"))


def test_nobody_is_told_of_the_failures_of_others(app: flask.Flask, visitor: Visitor, nora: User) -> None:
    other = newcomer(name="Otto")
    stranger = Visitor(app)
    stranger.get("/sign-in")
    stranger.post("/sign-in", email=other.email, password="guess")
    visitor.post("/settings/tries")
    assert "sign in as you failed" not in words(visitor.get("/settings"))
    assert "One try to sign in as you failed" in words(Visitor(app).sign_in(other).get("/settings"))


def test_a_token_is_shown_once_and_works(visitor: Visitor, nora: User) -> None:
    text = make(visitor, "my laptop")
    assert opens(text)
    [token] = tokens(nora)
    assert token.secret_digest not in text
    page = visitor.get("/settings")
    assert TOKEN.findall(page.text) == []
    assert f"sy_{token.public_id}_..." in words(page)
    assert "my laptop" in words(page)


def test_no_address_and_no_cookie_holds_a_token(visitor: Visitor) -> None:
    response = visitor.post("/settings/tokens", label="laptop", days="")
    [text] = set(TOKEN.findall(response.text))
    secret = text.rpartition("_")[2]
    assert response.location is None
    assert all(secret not in value for value in response.headers.getlist("Set-Cookie"))
    assert response.headers["Cache-Control"] == "no-store"
    again = visitor.get("/settings/tokens")
    assert (again.status_code, again.location) == (303, "/settings#tokens")


@pytest.mark.parametrize(("days", "length"), [("30", 30), ("90", 90), ("365", 365), ("", None)])
def test_a_token_expires_when_it_was_told_to(visitor: Visitor, nora: User, days: str, length: int | None) -> None:
    make(visitor, days=days)
    [token] = tokens(nora)
    assert (token.expires_at is None) == (length is None)
    if token.expires_at is not None and length is not None:
        assert abs(token.expires_at - token.created_at - timedelta(days=length)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("label", "days", "sentence"),
    [
        ("", "90", "Give a label."),
        ("x" * 81, "90", "Give a label of at most 80 characters; this one has 81."),
        ("laptop", "7", "Choose one of the lifetimes."),
        ("laptop", "-1", "Choose one of the lifetimes."),
    ],
)
def test_a_refused_token_says_why(visitor: Visitor, nora: User, label: str, days: str, sentence: str) -> None:
    response = visitor.post("/settings/tokens", label=label, days=days)
    assert response.status_code == 422
    assert "No token was made" in words(response)
    assert sentence in words(response)
    assert tokens(nora) == []


def test_the_list_says_when_a_token_was_used_and_when_it_ended(visitor: Visitor, nora: User) -> None:
    text = make(visitor)
    assert "never used · expires" in words(visitor.get("/settings"))
    assert opens(text)
    assert "last used just now" in words(visitor.get("/settings"))
    with transaction() as session:
        session.execute(update(AccessToken).values(expires_at=database_time(session) - timedelta(hours=1)))
    assert "expired" in words(visitor.get("/settings"))


def test_revoking_names_what_ends_and_then_ends_it(visitor: Visitor, nora: User) -> None:
    text = make(visitor, "old laptop")
    [token] = tokens(nora)
    asked = visitor.get(f"/settings/tokens/{token.id}/revoke")
    assert "Revoke old laptop" in words(asked)
    assert opens(text)
    assert visitor.post(f"/settings/tokens/{token.id}/revoke").status_code == 303
    assert not opens(text)
    page = words(visitor.get("/settings"))
    assert "old laptop is revoked." in page
    assert token.public_id not in page
    assert visitor.post(f"/settings/tokens/{token.id}/revoke").status_code == 303


def test_nobody_revokes_the_token_of_somebody_else(app: flask.Flask, visitor: Visitor, nora: User) -> None:
    text = make(visitor)
    [token] = tokens(nora)
    other = Visitor(app).sign_in(newcomer("admin", "Otto"))
    assert other.get(f"/settings/tokens/{token.id}/revoke").status_code == 404
    assert other.post(f"/settings/tokens/{token.id}/revoke").status_code == 404
    assert opens(text)


@pytest.mark.parametrize("id", ["0", "99999999999999999999999"])
def test_an_unknown_token_is_a_page_in_words(visitor: Visitor, id: str) -> None:
    assert visitor.get(f"/settings/tokens/{id}/revoke").status_code == 404


def test_markup_in_a_name_is_only_text(visitor: Visitor, nora: User) -> None:
    visitor.post("/settings", **{**MINE, "name": "<script>alert(1)</script>"})
    make(visitor, "<img src=x onerror=alert(1)>")
    page = visitor.get("/settings").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    with transaction() as session:
        assert session.scalars(select(User.name).where(User.id == nora.id)).one() == "<script>alert(1)</script>"


def test_browsers_are_listed_and_ended_one_by_one(app: flask.Flask) -> None:
    nora = newcomer(name="Nora")
    here, there = Visitor(app).sign_in(nora), Visitor(app, "10.1.2.3").sign_in(nora)
    page = here.get("/settings")
    assert "from 10.1.2.3" in words(page) and "this browser" in words(page)
    ended = re.search(r'action="(/settings/browsers/\d+/sign-out)"', page.text)
    assert ended is not None and page.text.count('/sign-out"') >= 1
    assert here.post(ended[1]).status_code == 303
    assert there.get("/settings").status_code == 303  # to the sign-in
    assert "10.1.2.3" not in words(here.get("/settings"))
    assert here.post(ended[1]).status_code == 404  # it is signed out already


def test_nobody_ends_the_browser_of_somebody_else(app: flask.Flask) -> None:
    nora, mallory = newcomer(name="Nora"), newcomer(name="Mallory")
    hers = Visitor(app).sign_in(nora)
    with transaction() as session:
        [browser] = Browser.of(session, nora, database_time(session))
    assert Visitor(app).sign_in(mallory).post(f"/settings/browsers/{browser.id}/sign-out").status_code == 404
    assert hers.get("/settings").status_code == 200


def test_a_new_password_leaves_one_browser_in_the_list(app: flask.Flask) -> None:
    nora = newcomer(name="Nora")
    Visitor(app, "10.9.9.9").sign_in(nora)
    here = Visitor(app).sign_in(nora)
    here.post("/settings/password", current_password=PASSWORD, password="another good one")
    assert "10.9.9.9" not in words(here.get("/settings"))


def test_an_admin_ends_a_browser_of_a_person(app: flask.Flask) -> None:
    nora, ada = newcomer(name="Nora"), newcomer(Role.ADMIN, "Ada")
    hers, admin = Visitor(app).sign_in(nora), Visitor(app).sign_in(ada)
    page = admin.get(f"/people/{nora.id}").text
    ended = re.search(rf'action="(/people/{nora.id}/browsers/\d+/sign-out)"', page)
    assert ended is not None
    admin.post(ended[1])
    assert hers.get("/settings").status_code == 303
