"""Passwords and other secrets people hold: made, judged and compared. Only hashes are ever stored.

Hashing takes a tenth of a second and stops every greenlet: doors run `hash_password` and `verify` in a thread pool.
"""

import base64
import hashlib
import secrets
import unicodedata

import argon2

from models.errors import Invalid

MIN_CHARACTERS = 10
MAX_BYTES = 1_000  # argon2 takes any length; a bound keeps a posted novel from costing anything

_hasher = argon2.PasswordHasher()  # argon2id, 64 MiB, 3 passes: the second recommendation of RFC 9106


def check_password(password: str, email: str = "") -> None:
    """Refuse a new password that is too short, too long or the person's own email address.

    Raises `Invalid` with the field `password`.
    """
    if len(password) < MIN_CHARACTERS:
        raise Invalid(password=f"Use at least {MIN_CHARACTERS} characters; this password has {len(password)}.")
    if _size(password) > MAX_BYTES:
        raise Invalid(password=f"Use a shorter password: at most {MAX_BYTES:,} bytes.")
    if email and password.strip().casefold() == email.strip().casefold():
        raise Invalid(password="Choose a password that is not your email address.")  # noqa: S106 (a sentence)


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its parameters and salt (97 characters)."""
    return _hasher.hash(_normal(password))


def verify(password_hash: str | None, password: str) -> bool:
    """Whether the password belongs to the hash. `None` (no such account) takes as long as a wrong password."""
    if _size(password) > MAX_BYTES:
        return False
    try:
        return _hasher.verify(password_hash or _nobody, _normal(password))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's; hash again after the next sign-in."""
    return _hasher.check_needs_rehash(password_hash)


def new_secret() -> str:
    """A fresh secret for tokens and links: 256 random bits, 43 characters that are safe in a URL."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """The SHA-256 of a `new_secret` in hex. Enough for what is already random; never use it for a password."""
    return hashlib.sha256(_encoded(secret)).hexdigest()


def _normal(password: str) -> bytes:
    """One keyboard writes é as one character, another as two: both are the same password."""
    return _encoded(unicodedata.normalize("NFKC", password))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _size(text: str) -> int:
    return len(_encoded(text))


def _random_base64(size: int) -> str:
    return base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")


# The hash of no password, in the form of a real one, for `verify` to work on when there is no such account.
_nobody = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    f"${_random_base64(_hasher.salt_len)}${_random_base64(_hasher.hash_len)}"
)
