"""How an approval reads: who asks to do what, the command complete, the agent's words in quotes.

Whatever an agent sent is untrusted. It stays text, what cannot be seen in it is written out, and it never stands where
the hub itself speaks: a word of an agent's is no label, and only fields we know become facts.
"""

import json
import unicodedata
from types import SimpleNamespace
from typing import Any, NamedTuple

from markupsafe import Markup

from models.inbox import MOST_INPUT
from models.markup import one_line
from models.permission_request import ApprovalStatus, Behavior, Kind, allowed
from webapp import avatars, fragments

LINES = 12
# Characters of a command in a list or a topic; more than that is for the approval's own page.
SHOWN = 2_000
TOOL_NAME = 60
VALUE = 300
LABELS = {
    "cwd": "Folder",
    "host": "Host",
    "file_path": "File",
    "path": "Path",
    "url": "Address",
    "pattern": "Pattern",
    "timeout": "Time limit",
}
# Letters that change the direction of what follows: a text with them is not what it seems to be.
TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Told(NamedTuple):
    """What an input says: the command (or diff), complete, and what goes with it as (label, value)."""

    command: str | None
    facts: list[tuple[str, str]]
    why: str | None


# -- the words of others ---------------------------------------------------------------------------------------------


def told(input: Any) -> Told:
    """An input as people read it; one that has a field we do not know is shown whole, as JSON."""
    if isinstance(input, str):
        read = _parsed(input)
        return told(read) if isinstance(read, dict) else Told(exact(input), [], None)
    if not isinstance(input, dict):
        return Told(None if input is None else exact(written(input)), [], None)
    rest = {key: value for key, value in input.items() if value is not None or key not in LABELS}
    command = _command(rest)
    why = rest.pop("description", None) if isinstance(rest.get("description"), str) else None
    if command is None or any(key not in LABELS or len(written(value)) > VALUE for key, value in rest.items()):
        return Told(exact(written(input)), [], None)
    return Told(exact(command), [(LABELS[key], exact(_bare(value))) for key, value in rest.items()], why)


def _command(rest: dict[str, Any]) -> str | None:
    """Takes what is to be run or written out of an input; None when it is of another kind."""
    if isinstance(rest.get("command"), str):
        return rest.pop("command")
    if isinstance(rest.get("old_string"), str) and isinstance(rest.get("new_string"), str):
        before, after = rest.pop("old_string").split("\n"), rest.pop("new_string").split("\n")
        return "\n".join([*(f"- {line}" for line in before), *(f"+ {line}" for line in after)])
    return rest.pop("content") if isinstance(rest.get("content"), str) else None


def written(value: Any) -> str:
    """A value as JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def exact(text: str) -> str:
    """The text to the letter, with every sign that cannot be seen written out (`\\u202e`)."""
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else _written_out(sign) for sign in text.replace("\r\n", "\n")
    )


def spoken(text: str) -> str:
    """Words of an agent's: as they are, but nothing in them turns the direction of reading or controls anything."""
    return "".join(
        _written_out(sign) if sign in TURNS or (unicodedata.category(sign) == "Cc" and sign not in "\n\t") else sign
        for sign in text.replace("\r\n", "\n")
    )


def quoted(text: str) -> str:
    """Words of an agent's within a page, always in quotes."""
    return f"“{spoken(text)}”"


def _written_out(sign: str) -> str:
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _bare(value: Any) -> str:
    return value if isinstance(value, str) else written(value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# -- a request -------------------------------------------------------------------------------------------------------


def heading(row: Any) -> str:
    """Who asks to do what: "scout asks to use Bash"."""
    if row.kind == Kind.QUESTION:
        return f"{row.agent_short} asks a question"
    if row.kind == Kind.EXEC:
        return f"{row.agent_short} asks to run a command" + (f" on {row.gateway_name}" if row.gateway_name else "")
    return f"{row.agent_short} asks to use {one_line(exact(row.tool_name or 'a tool'), TOOL_NAME)}"


def request(row: Any, whole: Any = None) -> SimpleNamespace:
    """A row of `models.inbox` as components/approval.html wants it; `whole` is its input for the page of its own."""
    cut = whole is None and (row.input_size or 0) > MOST_INPUT
    begun = row.input_text if cut else (_parsed(row.input_text) if row.input_text and whole is None else whole)
    found = Told(exact(begun), [], None) if cut else told(begun)
    why = found.why if row.kind == Kind.EXEC else row.description or found.why
    may = allowed(row.kind, row.choices)
    facts: list[tuple[str, Any]] = [(name, Markup("<code>{}</code>").format(value)) for name, value in found.facts]
    return SimpleNamespace(
        id=row.id,
        message_id=row.message_id,
        task_id=row.task_id,
        agent={"name": row.agent_short, "initials": avatars.initials("agent", row.agent_id, row.agent_short)},
        heading=heading(row),
        may_decide=row.mine and row.status == ApprovalStatus.PENDING,
        question=spoken(row.question) if row.kind == Kind.QUESTION and row.question else None,
        choices=None,
        allowed=may,
        command=found.command,
        more=more(found.command, row.input_size if cut else None),
        facts=[*facts, *([("Why", quoted(why))] if why else [])],
        where=None,
        topic={"name": row.topic_name, "href": place(row)},
        always=Behavior.ALLOW_ALWAYS in may,
        created_at=row.created_at,
        expires_at=row.expires_at,
        href=f"/approvals/{row.id}",
        decide=f"/approvals/{row.id}/decision",
        open=row.status == ApprovalStatus.PENDING,
        words=outcome(row),
        line=in_short(row, found.command),
    )


def more(command: str | None, size: int | None) -> str | None:
    """What stands below a command that is not shown whole in a list; None for a short one."""
    lines = (command or "").count("\n") + 1
    if size is not None:
        return f"The whole request, {size:,} characters"
    if lines > LINES:
        return f"The whole request, {lines:,} lines"
    return f"The whole request, {len(command):,} characters" if command and len(command) > SHOWN else None


def in_short(row: Any, command: str | None) -> str:
    """The first words of what was asked, on one line."""
    if row.kind == Kind.QUESTION:
        return one_line(spoken(row.question or ""), 120)
    return one_line(command or exact(row.tool_name or ""), 120)


def outcome(row: Any) -> Markup | None:
    """ "Allowed by Mira, 14:20"; None while it is open."""
    if row.status == ApprovalStatus.PENDING:
        return None
    if row.status == ApprovalStatus.ELSEWHERE:
        return Markup("Decided elsewhere") + (
            Markup(": {}").format(one_line(spoken(row.reason), 120)) if row.reason else ""
        )
    if row.status == ApprovalStatus.EXPIRED:
        return Markup("Expired")
    always = row.behavior == Behavior.ALLOW_ALWAYS
    verb = "Denied" if row.status == ApprovalStatus.DENIED else "Always allowed" if always else "Allowed"
    said = Markup("<strong>{}</strong> by {}, {}").format(
        verb, row.decider_name, fragments.moment(row.decided_at, "moment")
    )
    return said + Markup(": {}").format(quoted(one_line(row.reason, 120))) if row.reason else said


def place(row: Any) -> str:
    """Where in its topic it stands."""
    if row.message_id is None:
        return f"/topics/{row.topic_id}"
    return f"/topics/{row.topic_id}?around={row.message_id}#message-{row.message_id}"


def fragment(row: Any) -> str:
    """What all readers of a topic see of it alike: the card without its buttons, or what was decided."""
    return fragments.render("streams/approval.html", a=request(row))
