"""Kinds of fields that calls share: what validates them, and what the OpenAPI document says of them."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

# JavaScript reads greater integers wrongly, so no id is greater.
MAX_ID = 2**53 - 1

Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
# A plugin may write its ids as digits; one that is out of range is merely unknown.
LooseId = int | Annotated[str, Meta(pattern="^ *[0-9]{1,20} *$")]
Limit = Annotated[int, Meta(ge=1, le=200, description="How many at most.")]
After = Annotated[int, Meta(ge=1, le=MAX_ID, description="Begin behind this id: the `next` of the page before.")]


def known_id(given: int | str | None) -> int | None:
    """The id as a number; 0, which nothing has, for one that is out of range."""
    if given is None:
        return None
    number = int(given)
    return number if 0 < number <= MAX_ID else 0


def known_texts(given: Iterable[str]) -> list[str]:
    """The ids among these texts: without what the database cannot hold, and each once."""
    return list(dict.fromkeys(text for text in given if text.strip() and "\x00" not in text))


class Page(msgspec.Struct, forbid_unknown_fields=True):
    """Which part of a list: `limit` things behind the one with the id `after`."""

    limit: Limit = 50
    after: After | None = None
