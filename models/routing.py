"""Who may take a message nobody was named for: an expression in a small part of CEL, judged when it is written.

CEL as it is can be made to run for seconds, and nothing can interrupt it. What is allowed here has no loops, no
patterns and no sums of texts, so its cost is bounded by its length times the length of one message.
"""

import functools
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cel

from models.errors import Invalid

log = logging.getLogger(__name__)

MAX_CHARACTERS = 500
MAX_DEPTH = 10
MAX_CALLS = 20
TEXT_CHARACTERS = 20_000  # of a message; an expression does not see what stands behind them

EXAMPLE = 'message.text.contains("deploy") && topic.name != "Announcements"'
FIELDS: dict[str, dict[str, str | int]] = {  # what can be asked about, with values to try an expression on
    "message": {"text": "Can you deploy it?", "author": "Mira", "author_kind": "user"},
    "topic": {"name": "Releases", "id": 7},
    "creative": {"name": "Website", "id": 3},
    "agent": {"name": "scout"},
}
CALLS = ("contains", "startsWith", "endsWith", "size", "lowerAscii", "has", "int", "string")
WORDS = ("true", "false", "null", "in")
PATHS = tuple(f"{name}.{part}" for name, parts in FIELDS.items() for part in parts)

_token = re.compile(
    r"""[ \t\r\n]*(?:
    (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*') |
    (?P<number>[0-9]+) |
    (?P<name>[A-Za-z_][A-Za-z0-9_]*) |
    (?P<sign>&&|\|\||==|!=|<=|>=|[<>!%(),.\[\]])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """One word of an expression: its kind (text, number, name, sign; end for none), and whether space stands before."""

    kind: str
    text: str
    apart: bool


NOTHING = Token("end", "", True)


def check(expression: str) -> None:
    """Refuse what cannot be read, is not known or could take long; a blank one takes nothing and is fine.

    Raises `Invalid` with the field `routing_expression`.
    """
    if not expression.strip():
        return
    if len(expression) > MAX_CHARACTERS:
        raise _refused(f"Use at most {MAX_CHARACTERS} characters; this has {len(expression):,}.")
    _check_tokens(list(_tokens(expression)))
    try:
        program = _compiled(expression)
    except ValueError as error:
        raise _refused(f"This cannot be read{_place(error)}.") from error
    try:
        answer = program.execute(_context(FIELDS))
    except Exception as error:
        raise _refused("This compares or reads things that do not fit, such as a number with a text.") from error
    if not isinstance(answer, bool):
        raise _refused("This gives a value, not a yes or no: compare it with something.")


def accepts(expression: str, facts: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the expression takes a message with these facts: the names of `FIELDS`, each with its parts.

    An expression that cannot be evaluated takes nothing; that is logged, without its text.
    """
    if not expression.strip():
        return False
    try:
        return _compiled(expression).execute(_context(facts)) is True
    except Exception as error:
        where = {"topic": facts.get("topic", {}).get("id"), "agent": facts.get("agent", {}).get("name")}
        log.warning("routing expression failed", extra={**where, "error": type(error).__name__})
        return False


def _tokens(expression: str) -> Iterator[Token]:
    position, end = 0, len(expression.rstrip(" \t\r\n"))
    while position < end:
        match = _token.match(expression, position)
        if match is None:
            raise _unreadable(expression[position:].lstrip())
        kind = str(match.lastgroup)
        yield Token(kind, match[kind], apart=match.start(kind) > position)
        position = match.end()


def _check_tokens(tokens: list[Token]) -> None:
    depth = calls = 0
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else NOTHING
        after = tokens[index + 1] if index + 1 < len(tokens) else NOTHING
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        calls += token.kind == "name" and after.text == "("
        if depth > MAX_DEPTH:
            raise _refused(f"Brackets may stand {MAX_DEPTH} deep at most.")
        if calls > MAX_CALLS:
            raise _refused(f"At most {MAX_CALLS} calls such as contains() may be made.")
        if token.text == "[" and (before.kind == "text" or before.text in (")", "]") or _is_fact(before)):
            raise _refused("A value cannot be read by its place in brackets; lists may only stand behind in.")
        if token.kind == "text" and not token.apart and before.kind in ("text", "name"):
            raise _refused(f"Put a plain text in quotes: {token.text} may not touch {before.text}.")
        if token.kind == "name":
            _check_name(
                token, before, after, tokens[index - 2] if index > 1 else NOTHING, tokens[index + 2 : index + 3]
            )


def _check_name(token: Token, before: Token, after: Token, owner: Token, part: list[Token]) -> None:
    if after.text == "(":
        if token.text not in CALLS:
            raise _refused(f"{token.text}() cannot be used. These can: {', '.join(CALLS)}.")
    elif before.text == ".":
        if token.text not in FIELDS.get(owner.text, {}):
            raise _unknown(f"{owner.text}.{token.text}")
    elif token.text not in WORDS and (token.text not in FIELDS or after.text != "." or not part):
        raise _unknown(token.text)


def _is_fact(token: Token) -> bool:
    return token.kind == "name" and token.text not in WORDS


@functools.lru_cache(maxsize=1_000)
def _compiled(expression: str) -> cel.Program:
    return cel.compile(expression)


def _context(facts: Mapping[str, Mapping[str, Any]]) -> cel.Context:
    shown = {name: dict(facts.get(name) or {}) for name in FIELDS}
    shown["message"]["text"] = str(shown["message"].get("text", ""))[:TEXT_CHARACTERS]
    return cel.Context(variables=shown, functions={"lowerAscii": _lower_ascii})


_ascii_upper_to_lower = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _lower_ascii(text: str) -> str:
    """CEL's own meaning: letters beyond ASCII stay as they are."""
    return text.translate(_ascii_upper_to_lower)


def _place(error: ValueError) -> str:
    found = re.search(r"<input>:(\d+):(\d+):", str(error))
    return f"; look at line {found[1]}, character {found[2]}" if found else ""


def _unreadable(rest: str) -> Invalid:
    if rest[0] in "\"'":
        return _refused(f"A text is not closed: {rest[:20]}")
    return _refused(f"The sign {rest[0]} cannot be used. These can: && || ! == != < <= > >= in % ( ) [ ]")


def _unknown(name: str) -> Invalid:
    return _refused(f"{name} is not known. These are: {', '.join(PATHS)}.")


def _refused(sentence: str) -> Invalid:
    return Invalid(routing_expression=f"{sentence} Example: {EXAMPLE}")
