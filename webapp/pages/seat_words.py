"""How the board of the seats reads: its lead, each seat, the use of the last day."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from models.seat_use import Cell
from models.user import User
from webapp import words
from webapp.fragments import moment

WIDE, HIGH = 720, 72
PREFIX = "chat-slot-"


def lead(rows: Sequence[Any], line: Sequence[Any]) -> str | None:
    """ "All five seats are taken, and one is missing. One chat waits." """
    if not rows:
        return None
    serving = [row for row in rows if row.state != "missing"]
    taken = sum(row.chat_id is not None for row in serving)
    missing = len(rows) - len(serving)
    if serving and taken == len(serving):
        first = words.plural(taken, "The one seat is taken", f"{words.whole(taken)} seats are taken")
    elif taken == 0:
        first = "No seat is taken"
    else:
        many = f"{{Word}} of {words.spelled(len(serving))} seats are taken"
        first = words.plural(taken, f"One of {words.spelled(len(serving))} seats is taken", many)
    lost = words.plural(missing, ", and one is missing.", ", and {word} are missing.") if missing else "."
    waits = f" {words.plural(len(line), 'One chat waits.', '{Word} chats wait.')}" if line else ""
    return f"{first}{lost}{waits}"


def card(row: Any, user: User, now: datetime) -> dict[str, Any]:
    """One seat as slots/slots.html wants it; what a chat is called is told to its person only."""
    mine = row.holder_id == user.id
    found = {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "lamp": lamp(row),
        "title": None,
        "href": f"/chats/{row.chat_id}" if mine else None,
        "meta": [],
        "left": None,
        "taken": row.chat_id is not None,
    }
    if row.state == "missing":
        found["title"] = "Not on the gateway any more"
        found["meta"] = [f"{row.gateway_name} no longer lists this agent"]
    if row.chat_id is None:
        return found
    found["title"] = (row.title or "New chat") if mine else f"A chat of {row.holder_name}"
    about: list[Any] = ["you" if mine else row.holder_name]
    if row.at_work:
        about.append("finishes its answer, then closes" if row.state == "draining" else "answering now")
    else:
        about.append(Markup("idle {}").format(moment(row.last_active_at, "span")))
        about.append(Markup("free again {}").format(moment(row.expires_at, "deadline")))
    found["meta"] = about
    whole = row.idle_seconds
    found["left"] = 100 if row.at_work else round(100 * max(0.0, (row.expires_at - now).total_seconds()) / whole)
    return found


def lamp(row: Any) -> dict[str, str] | None:
    """{state, word} of a seat; a free one has no lamp."""
    if row.state == "missing":
        return {"state": "trouble", "word": "Missing"}
    if row.state == "draining":
        return {"state": "waiting", "word": "Draining"}
    if row.state == "free":
        return None
    return {"state": "working", "word": "Answering"} if row.at_work else {"state": "live", "word": "Taken"}


def chart(cells: Sequence[Cell], seats: int) -> dict[str, Any] | None:
    """The use of the last day as a line of steps, and as figures by the hour; None when nobody sat anywhere."""
    most = max((cell.most for cell in cells), default=0)
    if most == 0:
        return None
    top = max(seats, most)
    wide = WIDE / len(cells)
    points = []
    for number, cell in enumerate(cells):
        y = round(HIGH - HIGH * cell.most / top, 1)
        points += [f"{round(number * wide, 1)},{y}", f"{round((number + 1) * wide, 1)},{y}"]
    hours = [
        (first.begins, max(first.most, second.most)) for first, second in zip(cells[::2], cells[1::2], strict=True)
    ]
    return {
        "points": " ".join(points),
        "wide": WIDE,
        "high": HIGH,
        "top": top,
        "words": f"at most {most} of {seats} taken",
        "hours": hours,
        "begins": cells[0].begins,
    }


def discovered(agents: Sequence[Any], workspace_agent: str) -> list[str]:
    """Which of the agents that a gateway lists look like seats: by their prefix, else all but the workspace agent."""
    ids = [str(agent["id"]) for agent in agents if str(agent["id"]).lower() != workspace_agent.lower()]
    like = [id for id in ids if id.startswith(f"{PREFIX}{workspace_agent}")]
    return like or ids
