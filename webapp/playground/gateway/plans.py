"""What an answer will be: read from the words in double brackets of the message, as the lab's model server does."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

MOCK = re.compile(r"\[\[mock\s+([^\]]*)\]\]")
TOOL = re.compile(r"\[\[tool\s+(\S+)\s+(\{.*?\})\s*\]\]", re.DOTALL)
LINE = "0123456789abcdefghijklmnopqrstuvwxyz "
LARGEST = 20_000_000  # characters of `size` and pieces of `words`, so that a slip does not eat the machine
SLOWEST = 3_600_000  # milliseconds of `delay` and `first`

HELP = """I am the playground gateway: I repeat what you write, unless it holds words in double brackets.

| write | and the answer |
| --- | --- |
| `[[mock words=80 delay=60]]` | streams, word by word |
| `[[mock reply=Good+morning]]` | is exactly this |
| `[[mock hang=1]]` | never comes, until you stop it |
| `[[mock error=400]]` | is an error |
| `[[mock words=30 cut=12]]` | breaks off and begins anew |
| `[[tool exec {"command":"uname -s"}]]` | asks for an approval first |

`/new` starts the session over, `/status` says that I live."""


@dataclass(frozen=True)
class Habits:
    """What is done when the message says nothing of it. Seconds. `answers`: to messages of exactly these words."""

    chunks: int = 4
    delay: float = 0.0
    first: float = 0.0
    prefix: str = "You said: "
    answers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """One answer: its pieces, their pace in seconds, and what goes wrong with it."""

    pieces: tuple[str, ...]
    delay: float = 0.0
    first: float = 0.0
    error: int = 0  # an HTTP status of the model
    cut: int = 0  # the model's stream breaks off after so many pieces ...
    times: int = 1  # ... so many times
    hang: bool = False
    tool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The whole answer, without white space at its end."""
        return "".join(self.pieces).rstrip()

    def after_tool(self, result: str) -> "Plan":
        """What is said once the tool has run."""
        return replace(self, tool="", pieces=split(f"Tool said: {result}", max(len(self.pieces), 1)))

    def second(self) -> "Plan":
        """The same as a second answer in one text."""
        return replace(self, pieces=("\n\n", *self.pieces), first=0.0)


def read(message: str, habits: Habits) -> Plan:
    """The plan for one message."""
    words = dict(item.partition("=")[::2] for body in MOCK.findall(message) for item in body.split())
    tool = TOOL.search(message)
    arguments = _object(tool[2]) if tool else None
    return Plan(
        pieces=_pieces(words, message, habits),
        delay=_number(words, "delay", SLOWEST, habits.delay * 1000) / 1000,
        first=_number(words, "first", SLOWEST, habits.first * 1000) / 1000,
        error=int(_number(words, "error", 599)),
        cut=int(_number(words, "cut", LARGEST)),
        times=int(_number(words, "times", 1000, 1)),
        hang=bool(_number(words, "hang", 1)),
        tool=tool[1] if tool and arguments is not None else "",
        arguments=arguments or {},
    )


def plain(message: str) -> str:
    """The message without its steering."""
    return TOOL.sub("", MOCK.sub("", message)).strip()


def split(text: str, wanted: int) -> tuple[str, ...]:
    """`wanted` pieces of about the same size, fewer when the text is shorter."""
    wanted = max(1, min(wanted, len(text) or 1))
    base, extra = divmod(len(text), wanted)
    ends = [0]
    for index in range(wanted):
        ends.append(ends[-1] + base + (index < extra))
    return tuple(text[start:end] for start, end in pairwise(ends))


def _pieces(words: dict[str, str], message: str, habits: Habits) -> tuple[str, ...]:
    if wanted := int(_number(words, "words", LARGEST // 10)):
        return tuple(f"w{number:04d} " for number in range(1, wanted + 1))
    if size := int(_number(words, "size", LARGEST)):
        text = (LINE * (size // len(LINE) + 1))[:size]
    elif "reply" in words:
        text = words["reply"].replace("+", " ")
    else:
        said = plain(message)
        text = habits.answers.get(said, habits.prefix + said)
    return split(text, int(_number(words, "chunks", LARGEST, habits.chunks)))


def _number(words: dict[str, str], name: str, largest: int, otherwise: float = 0) -> float:
    given = words.get(name, "")
    return min(int(given), largest) if given.isdecimal() and given.isascii() else otherwise


def _object(text: str) -> dict[str, Any] | None:
    try:
        read_ = json.loads(text)
    except ValueError:
        return None
    return read_ if isinstance(read_, dict) else None
