"""The pages of chats and seats in the gallery: the board full and in trouble, who waits, a chat in line."""

from types import SimpleNamespace
from typing import Any

from tests import gallery_data as data
from tests import gallery_shell as shell
from tests import gallery_talk as talk
from webapp.pages.forms import Form

TAKEN = {"state": "live", "word": "Taken"}


def seat(number: int, title: str | None, meta: list[str], left: int | None, state: str, lamp: Any) -> dict[str, Any]:
    """One seat of the board."""
    href = f"/chats/{number}" if number in (1, 4) and title else None
    return {
        "id": number,
        "name": f"desk-{number}",
        "state": state,
        "lamp": lamp,
        "title": title,
        "href": href,
        "meta": meta,
        "left": left,
        "taken": left is not None,
    }


def board() -> list[dict[str, Any]]:
    """Six seats in their moods."""
    missing = {"state": "trouble", "word": "Missing"}
    return [
        seat(
            1, "Tax question, Keller", ["you", "answering now"], 100, "taken", {"state": "working", "word": "Answering"}
        ),
        seat(2, "A chat of Jonas", ["Jonas", "idle 4 min", "free again in 26 min"], 87, "taken", TAKEN),
        seat(3, "A chat of Ada", ["Ada", "idle 28 min", "free again in 2 min"], 7, "taken", TAKEN),
        seat(4, "Invoice reminders", ["you", "finishes its answer, then closes"], 100, "draining", WAITING),
        seat(5, None, [], None, "free", None),
        seat(6, "Not on the gateway any more", ["office no longer lists this agent"], None, "missing", missing),
    ]


WAITING = {"state": "waiting", "word": "Draining"}
WAITS = "Every seat of office is taken. Place 1 in the line, waiting for 3 min; desk-3 is expected to be free in 2 min."


def pages() -> dict[str, tuple[str, dict[str, Any]]]:
    """File name to template and context."""
    pool = SimpleNamespace(id=1, gateway_name="office", workspace_agent="main", when_full="wait")
    hours = [(shell.before(hours=24 - hour), hour % 6) for hour in range(24)]
    points = " ".join(f"{number * 15},{72 - 12 * (number % 6)}" for number in range(49))
    chart = {
        "points": points,
        "wide": 720,
        "high": 72,
        "top": 6,
        "words": "at most 5 of 5 taken",
        "hours": hours,
        "begins": shell.before(hours=24),
    }
    kept = [
        {
            "name": "desk-2",
            "gateway_name": "office",
            "released_at": shell.before(minutes=9),
            "why": "The gateway refused: missing scope: operator.admin",
        }
    ]
    slots = {
        "lead": "All four seats are taken, and one is missing. One chat waits.",
        "boards": [{"pool": pool, "seats": board()}],
        "line": [{"title": "Compare three suppliers", "href": "/chats/7", "words": WAITS}],
        "chart": chart,
        "not_reset": kept,
        "may_change": True,
        "width": "table",
    }
    row = {
        "agent_short": "pilot",
        "last_active_at": shell.before(minutes=4),
        "fallback": False,
        "gateway_agent_id": None,
    }
    chats = [
        ("Tax question, Keller", {"state": "working", "word": "Answering"}, {"slot_name": "desk-1", "state": "active"}),
        ("Compare three suppliers", {"state": "waiting", "word": "Place 1"}, {"slot_name": None, "state": "waiting"}),
        ("Read the lease", {"state": "off", "word": "Resting"}, {"slot_name": None, "state": "expired"}),
    ]
    listed = [
        {"row": SimpleNamespace(**{**row, **more}, id=number), "title": title, "lamp": lamp}
        for number, (title, lamp, more) in enumerate(chats, 1)
    ]
    tabs = [
        {"href": "/chats", "label": "Open", "current": True},
        {"href": "/chats?archived=yes", "label": "Archived", "current": False},
    ]
    chat = {
        "topic": {"id": 5, "name": "Compare three suppliers", "lead": "With pilot.", "last_message_id": 3},
        "seat": {"id": 7, "lamp": {"state": "waiting", "word": "Place 1"}, "words": WAITS, "waits": True},
        "items": [*talk.SHORT_TALK, {"kind": "moved", "words": "continued on slot 3"}],
        "route": data.ROUTE,
        "once": "a1b2",
        "people": data.PEOPLE,
    }
    form = Form(gateway_id="1", agent="main", ids="desk-1\ndesk-2", when_full="wait", create="")
    choices = {
        "gateways": [("1", "office")],
        "when": [("wait", "It waits in line")],
        "listed": [("office", ["desk-1"])],
    }
    around = {name: shell.shell(name) for name in ("/slots.html", "/chats.html")}
    return {
        "slots.html": ("slots/slots.html", {**around["/slots.html"], **slots}),
        "slots-empty.html": ("slots/slots.html", {**around["/slots.html"], "boards": [], "may_change": True}),
        "pool.html": ("slots/pool.html", {**around["/slots.html"], "form": form, **choices}),
        "chats.html": (
            "chats/chats.html",
            {
                **around["/chats.html"],
                "lead": "One of your chats has a seat.",
                "chats": listed,
                "tabs": tabs,
                "may_open": True,
            },
        ),
        "chat.html": ("topics/topic.html", {**around["/chats.html"], **chat}),
    }
