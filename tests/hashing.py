"""Cheap password hashes for the process of the tests, as one in earnest takes a quarter of a second of two cores.

A hub in a process of its own, and tests/models/test_passwords.py, hash in earnest.
"""

import argon2

from models import passwords

EARNEST = passwords._hasher, passwords._nobody
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def cheap() -> None:
    """From now on this process hashes cheaply."""
    passwords._hasher, passwords._nobody = CHEAP, CHEAP.hash("nobody has this password")


def in_earnest() -> None:
    """From now on this process hashes as a hub does."""
    passwords._hasher, passwords._nobody = EARNEST
