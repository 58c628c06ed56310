"""In and out at the front door."""

import threading
from datetime import timedelta

import argon2
import flask
import pytest
from sqlalchemy import delete, update

from models import passwords
from models.database import transaction
from models.sign_in_attempt import SignInAttempt
from models.user import User
from tests.conditions import until
from tests.visitor import PASSWORD, Visitor, newcomer, words


@pytest.fixture
def nora(app: flask.Flask) -> User:
    return newcomer()


@pytest.fixture
def visitor(app: flask.Flask) -> Visitor:
    return Visitor(app)


def attempts(user: User) -> int:
    with transaction() as session:
        return SignInAttempt.unseen(session, user.email)[0]


def fail(visitor: Visitor, user: User, times: int = 1) -> None:
    visitor.get("/sign-in")
    for _ in range(times):
        assert visitor.post("/sign-in", email=user.email, password="not this one").status_code == 422


def is_in(visitor: Visitor) -> bool:
    """Somebody who is signed in is sent on from the sign-in page."""
    return visitor.get("/sign-in").status_code == 303


def test_the_right_password_lets_in_and_leads_home(visitor: Visitor, nora: User) -> None:
    visitor.get("/sign-in")
    response = visitor.post("/sign-in", email=f"  {nora.email.upper()} ", password=PASSWORD)
    assert (response.status_code, response.location) == (303, "/")
    assert is_in(visitor)


def test_a_person_comes_back_to_the_page_they_asked_for(visitor: Visitor, nora: User) -> None:
    assert 'name="next" value="/topics/7?before=3"' in visitor.get("/sign-in?next=/topics/7%3Fbefore%3D3").text
    response = visitor.post("/sign-in", email=nora.email, password=PASSWORD, next="/topics/7?before=3")
    assert response.location == "/topics/7?before=3"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "evil",
        "/a\nb",
        "/\x00",
        "//[x",
    ],
)
def test_nobody_is_led_to_another_host(visitor: Visitor, nora: User, elsewhere: str) -> None:
    visitor.get("/sign-in")
    response = visitor.post("/sign-in", email=nora.email, password=PASSWORD, next=elsewhere)
    assert response.location == "/"


def test_a_wrong_password_says_so_and_keeps_the_email(visitor: Visitor, nora: User) -> None:
    visitor.get("/sign-in")
    response = visitor.post("/sign-in", email=nora.email, password="not this one")
    assert response.status_code == 422
    assert "Email and password do not match." in words(response)
    assert "Nine tries are left for five minutes." in words(response)
    assert f'value="{nora.email}"' in response.text
    assert "not this one" not in response.text
    assert not is_in(visitor)


@pytest.mark.parametrize("email", ["nobody@example.org", "", "\x00", "x" * 5000, "<b>@example.org", "ⓝ@example.org"])
def test_an_unknown_account_gets_the_very_same_answer(visitor: Visitor, nora: User, email: str) -> None:
    visitor.address = "10.1.1.1"
    visitor.get("/sign-in")
    known = visitor.post("/sign-in", email=nora.email, password="wrong")
    unknown = visitor.post("/sign-in", email=email, password="wrong")
    assert (unknown.status_code, words(unknown)) == (known.status_code, words(known))
    with transaction() as session:
        session.execute(delete(SignInAttempt).where(SignInAttempt.address == "10.1.1.1"))


def test_a_password_that_was_never_set_opens_nothing(visitor: Visitor) -> None:
    with transaction() as session:
        user = User.create(session, "invited@example.org", "Ivo", "member")
    fail(visitor, user)


def test_after_ten_failures_the_right_password_is_refused_too(visitor: Visitor, nora: User) -> None:
    fail(visitor, nora, 9)
    last = visitor.post("/sign-in", email=nora.email, password="wrong")
    assert "No tries are left for five minutes." in words(last)
    response = visitor.post("/sign-in", email=nora.email, password=PASSWORD)
    assert response.status_code == 429
    assert 240 < int(response.headers["Retry-After"]) <= 301
    assert "Too many tries for this account. Try again in" in words(response)
    assert f'value="{nora.email}"' in response.text
    assert not is_in(visitor)
    assert attempts(nora) == 10


def test_the_limit_counts_for_one_address_and_one_account(app: flask.Flask, visitor: Visitor, nora: User) -> None:
    fail(visitor, nora, 10)
    Visitor(app, address="10.9.9.9").sign_in(nora)
    Visitor(app).sign_in(newcomer(name="Otto"))


def test_the_limit_ends_five_minutes_after_the_first_failure(visitor: Visitor, nora: User) -> None:
    fail(visitor, nora, 10)
    earlier = update(SignInAttempt).where(SignInAttempt.email == nora.email)
    with transaction() as session:
        session.execute(earlier.values(at=SignInAttempt.at - timedelta(minutes=5)))
    visitor.sign_in(nora)


def test_many_tries_at_once_do_not_slip_through_the_limit(
    app: flask.Flask, nora: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitors = [Visitor(app) for _ in range(16)]
    judged: list[str] = []
    statuses: list[int] = []
    ready = threading.Barrier(len(visitors))

    def judge(stored: str | None, password: str) -> bool:
        """No try is over before each of them was let in or refused."""
        judged.append(password)
        until(lambda: len(judged) + len(statuses) >= len(visitors), "all tries to be let in or refused", 30)
        return False

    monkeypatch.setattr(passwords, "verify", judge)

    def guess(visitor: Visitor) -> None:
        visitor.get("/sign-in")
        ready.wait(20)
        statuses.append(visitor.post("/sign-in", email=nora.email, password="wrong").status_code)

    threads = [threading.Thread(target=guess, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [422] * 10 + [429] * 6


def test_a_success_is_not_counted_as_a_failure(visitor: Visitor, nora: User) -> None:
    fail(visitor, nora, 2)
    visitor.sign_in(nora)
    assert attempts(nora) == 2


def test_signing_out_ends_the_session(visitor: Visitor, nora: User) -> None:
    visitor.sign_in(nora)
    response = visitor.post("/sign-out")
    assert (response.status_code, response.location) == (303, "/sign-in?signed_out=yes")
    assert "You are signed out." in words(visitor.get(response.location))
    assert not is_in(visitor)


def test_signing_out_needs_the_token_of_the_form(visitor: Visitor, nora: User) -> None:
    visitor.sign_in(nora)
    visitor.token = "made up"
    assert visitor.post("/sign-out").status_code == 400
    assert is_in(visitor)


def test_signing_in_begins_a_new_session(app: flask.Flask, visitor: Visitor, nora: User) -> None:
    """Whoever planted a cookie in this browser before knows nothing of the session that begins now."""
    visitor.get("/sign-in")
    planted = visitor.token
    with visitor.client.session_transaction() as before:
        before["planted"] = "yes"
    visitor.sign_in(nora)
    with visitor.client.session_transaction() as after:
        assert "planted" not in after
    visitor.token = planted
    assert visitor.post("/sign-out").status_code == 400


def test_a_changed_password_ends_every_cookie(app: flask.Flask, visitor: Visitor, nora: User) -> None:
    visitor.sign_in(nora)
    with transaction() as session:
        session.get_one(User, nora.id).set_password(passwords.hash_password("another horse battery"))
    assert not is_in(visitor)


def test_a_removed_person_is_out_and_stays_out(visitor: Visitor, nora: User) -> None:
    visitor.sign_in(nora)
    with transaction() as session:
        session.execute(update(User).where(User.id == nora.id).values(removed_at=nora.created_at))
    assert not is_in(visitor)
    fail(visitor, nora)


def test_the_cookie_lasts_thirty_days_and_no_script_reads_it(visitor: Visitor, nora: User) -> None:
    visitor.get("/sign-in")
    response = visitor.post("/sign-in", email=nora.email, password=PASSWORD)
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    kept = visitor.client.get_cookie("switchyard")
    assert kept is not None and kept.expires is not None
    days = (kept.expires - nora.created_at).total_seconds() / 86400
    assert 29.9 < days < 30.1


def test_an_old_hash_is_made_anew_at_the_next_sign_in(visitor: Visitor, nora: User) -> None:
    old = argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    with transaction() as session:
        session.get_one(User, nora.id).password_hash = old
    visitor.sign_in(nora)
    with transaction() as session:
        stored = session.get_one(User, nora.id).password_hash
    assert stored is not None
    assert not passwords.needs_rehash(stored)
    visitor.post("/sign-out")
    visitor.sign_in(nora)
