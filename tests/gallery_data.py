"""Realistic people, agents and conversations for the gallery: the hub of a small company, one Friday at 14:21."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from models.markup import render

NOW = datetime(2026, 11, 20, 14, 21, 6, tzinfo=UTC)


def before(**length: float) -> datetime:
    """A moment before the gallery's now."""
    return NOW - timedelta(**length)


def after(**length: float) -> datetime:
    """A moment after the gallery's now."""
    return NOW + timedelta(**length)


def item(label: str, icon: str, href: str, **more: Any) -> dict[str, Any]:
    """One line of the navigation."""
    return {"label": label, "icon": icon, "href": href, **more}


def navigation(current: str) -> list[dict[str, Any]]:
    """The groups of the navigation, with the open page marked."""
    groups = [
        (None, [
            item("Now", "house", "/now.html"),
            item("Approvals", "stamp", "/approvals.html", count=2, needs_you=True, id="approvals"),
            item("Tasks", "list-checks", "/tasks.html", count=7),
            item("Tray", "inbox", "/empty.html", count=4),
        ]),
        ("Topics", [
            item("Release 2.4", "hash", "/topic.html"),
            item("Nightly build", "hash", "/topics/2", count=3, unread=True),
            item("Invoices, October", "hash", "/topics/3"),
            item("Docs site", "hash", "/topics/4"),
            item("Ask the handbook", "hash", "/topics/5", count=1, unread=True),
            item("New topic", "plus", "/topics/new"),
        ]),
        ("Running", [
            item("Agents", "bot", "/agents.html"),
            item("Gateways", "router", "/gateway.html"),
            item("Supervisor", "activity", "/supervisor"),
            item("Slots", "armchair", "/slots"),
            item("Chats", "messages-square", "/chats"),
            item("Plugins", "plug", "/plugins"),
        ]),
        ("Looking back", [
            item("Trace", "route", "/trace"),
            item("Activity", "history", "/activity"),
            item("Doctor", "stethoscope", "/doctor"),
        ]),
        ("This hub", [
            item("People", "users", "/people"),
            item("Settings", "settings-2", "/form.html"),
            item("Playground", "flask-conical", "/components.html"),
        ]),
    ]  # fmt: skip
    for _, items in groups:
        for entry in items:
            entry["current"] = entry["href"] == current
    return [{"heading": heading, "items": items} for heading, items in groups]


def shell(current: str, **more: Any) -> dict[str, Any]:
    """What layout.html asks for."""
    bottom = [
        item("Now", "house", "/now.html"),
        item("Topics", "hash", "/topic.html"),
        item("Approvals", "stamp", "/approvals.html", count=2, needs_you=True),
    ]
    for entry in bottom:
        entry["current"] = entry["href"] == current
    return {
        "nav": navigation(current),
        "bottom": bottom,
        "gateway": {
            "state": "trouble",
            "words": "home needs pairing",
            "short": "1 in trouble",
            "href": "/gateway.html",
        },
        "approvals": 2,
        "seats": {"taken": 5, "total": 5},
        "me": {"id": 1, "name": "Mira", "initials": "MK", "href": "/settings"},
        "search": {"action": "/search"},
        "zone": "UTC",
        **more,
    }


MIRA = {"kind": "user", "id": 1, "name": "Mira", "initials": "MK"}
JONAS = {"kind": "user", "id": 2, "name": "Jonas", "initials": "JB"}
SCOUT = {"kind": "agent", "id": 1, "name": "scout", "initials": "sc"}
HUB = {"kind": "system", "id": None, "name": "Switchyard", "initials": "sy"}


def message(id: int, author: dict[str, Any], html: str, at: datetime, **more: Any) -> SimpleNamespace:
    """A message as components/message.html wants it."""
    fields = {"continued": False, "delivery": None, "why": None, "source": "person", "from_where": None}
    return SimpleNamespace(id=id, author=author, html=html, created_at=at, **{**fields, **more})


APPROVAL = SimpleNamespace(
    id=4, heading="mason asks to run a command on client-vps", may_decide=True, question=None, choices=None, facts=None,
    command="docker build --platform linux/arm64 -t atlas:try .", where="In ~/work/atlas, as build.",
    created_at=before(minutes=1), expires_at=after(minutes=9), href="/approvals/4", decide="/approvals/4/decision",
)  # fmt: skip
QUESTION = SimpleNamespace(
    id=3, heading="mason asks a question", may_decide=True, command=None, facts=None, where="Docs site",
    question="Group the changelog by date or by part of the product?", created_at=before(minutes=6), expires_at=None,
    choices=[{"label": "By date", "value": "date"}, {"label": "By part", "value": "part"}], href="/approvals/3",
    decide="/approvals/3/decision",
)  # fmt: skip
LONG_APPROVAL = SimpleNamespace(
    id=5, heading="scout asks to edit a file on office", may_decide=True, question=None, choices=None, where=None,
    command="\n".join(f"+ line {number} of the new build stage" for number in range(1, 32)),
    facts=[("Folder", "~/work/atlas"), ("Why", "“Publish the fixed documentation.”"),
           ("Take care", "--delete removes files on web-2 that are not in build/site.")],
    created_at=before(minutes=1), expires_at=after(minutes=9), href="/approvals/5", decide="/approvals/5/decision",
)  # fmt: skip
TASK = SimpleNamespace(
    id=12, state="waiting", title="scribe dropped 6 s ago", why=None, from_at=before(seconds=6), until=after(seconds=24),
    text="If it is not back by 14:21:30 this task is cancelled. Then one click runs it again.",
    actions=[{"label": "Hand to another agent", "href": "/tasks/12/reassign", "kind": ""},
             {"label": "Cancel now", "href": "/tasks/12/cancel", "kind": "text"}],
)  # fmt: skip
FAILED = SimpleNamespace(
    id=13, state="trouble", title="scout could not finish", why="“context length exceeded”", from_at=None, until=None,
    text="The gateway ended this run at 14:12. What it had said is kept above.",
    actions=[{"label": "Run again", "href": "/tasks/13/retry", "kind": ""}],
)  # fmt: skip
STEPS = [
    SimpleNamespace(id=1, kind="file", verb="Read", what="ci/build.log", figures="1,204 lines, 0.4 s", state="done",
                    input=None, output=None),
    SimpleNamespace(id=2, kind="command", verb="Ran", what="git log --oneline -5 -- Dockerfile", state="done",
                    figures="allowed by rule 3, 0.2 s", input="git log --oneline -5 -- Dockerfile",
                    output="c0ffee1 Move the base image to trixie\n0badf00 Pin the cross compiler"),
]  # fmt: skip
ANSWER = SimpleNamespace(
    task_id=11, agent=SCOUT, where="on office", since=before(seconds=41), stop="/tasks/11/cancel", why=None, state=None,
    html="<p>The image moved from <code>bookworm</code> to <code>trixie</code> at 07:12, and the cross compiler is no longer where"
    " the build script looks for it. Two ways out:</p><ul><li>pin the old image, which is one line and safe for today;</li>"
    "<li>or install <code>gcc-aarch64-linux-gnu</code> in the build stage, which is the right</li></ul>",
)  # fmt: skip
ROUTE = {"to": SCOUT, "state": None, "words": ", this topic’s agent.", "more": "Name another with @.", "link": None}
ROUTE_AWAY = {"to": {"kind": "agent", "name": "scribe", "initials": "sr"}, "state": "waiting",
              "words": ", which is away; it waits in the queue.", "more": None, "link": None}  # fmt: skip
ROUTE_NOBODY = {"to": None, "state": "trouble", "words": "Will go to nobody: no agent here takes this.", "more": None,
                "link": {"href": "/agents", "label": "Agents"}}  # fmt: skip

CONVERSATION = [
    {"kind": "day", "at": before(minutes=3)},
    {"kind": "message", "message": message(1, JONAS, "<p>@mason try whether the image builds on the client’s machine.</p>",
                                           before(minutes=3))},
    {"kind": "approval", "approval": APPROVAL},
    {"kind": "message", "message": message(2, MIRA, "<p>It has been red since this morning. @scout find out why, and fix it if "
                                           "it is small.</p>", before(minutes=2), delivery="answered")},
    {"kind": "steps", "steps": STEPS},
    {"kind": "answer", "answer": ANSWER},
    {"kind": "message", "message": message(3, MIRA, "<p>@scribe please translate the notes into German and French.</p>",
                                           before(minutes=1), delivery="accepted")},
    {"kind": "task", "task": TASK},
]  # fmt: skip

SHORT_TALK = [
    {"kind": "day", "at": before(minutes=40)},
    *[
        {"kind": "message", "message": message(n, JONAS, f"<p>Line {n} of a talk that is longer than a window.</p>",
                                               before(minutes=40 - n), delivery="answered")}
        for n in range(1, 21)
    ],
]  # fmt: skip
LONG_REPLY = render(
    """Take the **largest** unit that fits:

```python
def span(length):
    # the largest unit
    return "a very long line that must scroll inside its box, not stretch the page to the side: " + str(41)
```

```diff
-said = f"{seconds} seconds"
+said = f"{seconds} s"
```

# What comes out

| Length | Words |
| ---: | --- |
| 41 | 41 s |
| 360 | 6 min |

> Never “0 s”.

1. First, see [the paper](https://example.org/).
2. Second.
"""
)
MORE_TALK = [
    {"kind": "day", "at": before(days=1)},
    {"kind": "message", "message": message(101, MIRA, "<p>@scout how do I say how long something took?</p>", before(days=1),
                                           delivery="answered")},
    {"kind": "message", "message": message(102, MIRA, "<p>In Python.</p>", before(days=1), continued=True,
                                           delivery="answered")},
    {"kind": "message", "message": message(
        103, SCOUT, LONG_REPLY, before(hours=23), source="reply")},
    {"kind": "day", "at": before(minutes=30)},
    {"kind": "message", "message": message(104, SCOUT, "<p>The nightly build is green again.</p>", before(minutes=30),
                                           source="proactive", from_where="from office, cron nightly")},
    {"kind": "message", "message": message(105, JONAS, "<p>Who looks after this?</p>", before(minutes=20),
                                           why="Nobody here takes this. Name an agent with @, or let scout take what is written "
                                           "here.")},
    {"kind": "message", "message": message(106, JONAS, "<p>@scribe then you.</p>", before(minutes=19), delivery="accepted",
                                           why="scribe is not connected. It gets this when it is back.")},
    {"kind": "message", "message": message(107, JONAS, "<p>@scout and a summary.</p>", before(minutes=9), delivery="failed",
                                           why="The gateway gave no answer.")},
    {"kind": "task", "task": FAILED},
    {"kind": "message", "message": message(108, MIRA, "<p>Working on it?</p>", before(minutes=1), delivery="working")},
    {"kind": "message", "message": message(109, HUB, "<p>office lost its connection: the gateway restarted itself.</p>",
                                           before(seconds=50), source="notice")},
    {"kind": "decided", "approval": SimpleNamespace(id=9, words="Allowed by Mira, 14:20", command="rsync -a build/site/")},
    {"kind": "message", "message": message(110, MIRA, "<p>Averyveryveryverylongwordwithoutanyspacethatmustbreaksomewhere"
                                           "otherwisethepagescrolls sideways at 320 px.</p>", before(seconds=4),
                                           delivery="delivered")},
]  # fmt: skip
PEOPLE = [
    {"kind": "user", "name": "Mira", "initials": "MK", "lamp": None, "words": "here"},
    {"kind": "user", "name": "Jonas", "initials": "JB", "lamp": None, "words": "here"},
    {"kind": "agent", "name": "scout", "initials": "sc", "lamp": {"state": "working", "word": "working"}},
    {"kind": "agent", "name": "scribe", "initials": "sr", "lamp": {"state": "waiting", "word": "dropped"}},
    {"kind": "agent", "name": "mason", "initials": "ma", "lamp": {"state": "needs-you", "word": "asks you"}},
]
TOPICS = [
    {"id": 1, "name": "Release 2.4", "creative": "Atlas", "agent": SCOUT, "unread": 0, "last_at": before(minutes=1),
     "last_words": "Mira: @scribe please translate the notes into German and French.",
     "lamp": {"state": "working", "word": "Working"}},
    {"id": 2, "name": "Nightly build", "creative": "Atlas", "agent": None, "unread": 3, "last_at": before(hours=3),
     "last_words": "scout: The nightly build is green again.", "lamp": None},
    {"id": 3, "name": "Invoices, October", "creative": None, "agent": None, "unread": 0, "last_at": before(days=3),
     "last_words": "ledger: 24 of 38 done.", "lamp": {"state": "waiting", "word": "24 s left"}},
]  # fmt: skip
