"""Passwords and secrets: what is accepted, what is stored, and that an unknown account costs the same."""

import re
from collections.abc import Iterator

import argon2
import pytest

from models import passwords
from models.errors import Invalid
from tests import hashing


@pytest.fixture(scope="module", autouse=True)
def earnest() -> Iterator[None]:
    hashing.in_earnest()
    yield
    hashing.cheap()


def refusal(password: str, email: str = "") -> str:
    with pytest.raises(Invalid) as refused:
        passwords.check_password(password, email)
    return refused.value.fields["password"]


def test_a_password_is_verified_against_its_own_hash_only():
    stored = passwords.hash_password("correct horse")
    assert passwords.verify(stored, "correct horse")
    assert not passwords.verify(stored, "correct house")


def test_two_hashes_of_one_password_differ_and_do_not_contain_it():
    first, second = passwords.hash_password("correct horse"), passwords.hash_password("correct horse")
    assert first != second
    assert "correct" not in first
    assert first.startswith("$argon2id$")


def test_a_hash_is_made_as_rfc_9106_recommends_where_memory_is_dear():
    found = argon2.extract_parameters(passwords.hash_password("correct horse"))
    assert found == argon2.profiles.RFC_9106_LOW_MEMORY


def test_a_letter_written_as_two_characters_is_the_same_password():
    assert passwords.verify(passwords.hash_password("caf\u00e9 au lait"), "cafe\u0301 au lait")


def test_an_unknown_account_costs_one_full_verification_and_is_refused(monkeypatch):
    seen = []

    class Watched(argon2.PasswordHasher):
        def verify(self, stored: str, password: bytes) -> bool:
            seen.append(argon2.extract_parameters(stored))
            return super().verify(stored, password)

    monkeypatch.setattr(passwords, "_hasher", Watched())
    known = passwords.hash_password("correct horse")
    assert not passwords.verify(None, "correct horse")
    assert not passwords.verify(known, "wrong password")
    assert seen[0] == seen[1]


def test_a_hash_that_is_none_of_ours_is_refused_without_an_error():
    assert not passwords.verify("plain text", "plain text")


def test_a_password_beyond_the_bound_is_refused_before_any_work(monkeypatch):
    monkeypatch.setattr(passwords, "_hasher", None)
    assert not passwords.verify("whatever", "x" * 1_001)


def test_only_other_parameters_ask_for_a_new_hash():
    assert not passwords.needs_rehash(passwords.hash_password("correct horse"))
    assert passwords.needs_rehash(argon2.PasswordHasher(time_cost=1, memory_cost=8_192).hash("correct horse"))


def test_nine_characters_are_too_few_and_ten_are_enough():
    assert refusal("123456789") == "Use at least 10 characters; this password has 9."
    passwords.check_password("1234567890")


def test_the_upper_bound_counts_bytes_not_characters():
    passwords.check_password("x" * 1_000)
    assert refusal("\u00e9" * 501) == "Use a shorter password: at most 1,000 bytes."


def test_the_own_email_address_is_refused_in_any_case():
    assert "email address" in refusal(" Alice@Example.org ", email="alice@example.org")
    passwords.check_password("alice@example.org", email="bob@example.org")


def test_a_secret_is_safe_in_a_url_and_never_comes_twice():
    made = {passwords.new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", secret) for secret in made)


def test_a_digest_is_the_same_every_time_and_tells_secrets_apart():
    assert passwords.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert passwords.digest("abd") != passwords.digest("abc")


def test_text_with_a_lone_surrogate_is_only_a_wrong_password():
    assert not passwords.verify(passwords.hash_password("correct horse"), "correct \ud800horse")
