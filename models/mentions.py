"""Who is named with @ in a text. Names in code do not count: there they are quoted, not called."""

import re
from collections.abc import Iterable
from typing import Protocol, TypeVar

CODE = re.compile(r"(?ms)^[ ]{0,3}(```+|~~~+).*?(?:^[ ]{0,3}\1|\Z)|`+[^`\n]*`+")
AT = re.compile(r"(?<![\w@./-])@")


class Named(Protocol):
    """Something that can be named: by its handle (scout) or its full name (Claude Channel (scout))."""

    handle: str
    name: str


T = TypeVar("T", bound=Named)


def mentioned(text: str, candidates: Iterable[T]) -> list[T]:
    """The candidates named in the text, each once, in the order of their naming. The longest name wins."""
    if "@" not in text:
        return []
    names = sorted(
        ((name.casefold(), candidate) for candidate in candidates for name in (candidate.handle, candidate.name)),
        key=lambda pair: -len(pair[0]),
    )
    text = CODE.sub(" ", text).casefold()
    found: list[T] = []
    for at in AT.finditer(text):
        start = at.end()
        for name, candidate in names:
            if text.startswith(name, start) and not _goes_on(text, start + len(name), name):
                if candidate not in found:
                    found.append(candidate)
                break
    return found


def _goes_on(text: str, end: int, name: str) -> bool:
    """Whether a longer word begins here: @scouts is not @scout, but @scout. and @scout's are."""
    rest = text[end : end + 2]
    if not rest or not (name[-1].isalnum() or name[-1] == "_"):
        return False
    if rest[0].isalnum() or rest[0] == "_":
        return True
    return rest[0] == "-" and rest[1:].isalnum()
