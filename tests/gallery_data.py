"""Realistic people, agents, tasks and approvals for the gallery."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from tests.gallery_shell import after, before

MIRA = {"kind": "user", "id": 1, "name": "Mira", "initials": "MK"}
JONAS = {"kind": "user", "id": 2, "name": "Jonas", "initials": "JB"}
SCOUT = {"kind": "agent", "id": 1, "name": "scout", "initials": "sc"}
HUB = {"kind": "system", "id": None, "name": "Switchyard", "initials": "sy"}


def message(id: int, author: dict[str, Any], html: str, at: datetime, **more: Any) -> SimpleNamespace:
    """A message as components/message.html wants it."""
    fields = {"continued": False, "delivery": None, "why": None, "source": "person", "from_where": None}
    return SimpleNamespace(id=id, author=author, html=html, created_at=at, **{**fields, **more})


APPROVAL = SimpleNamespace(
    id=4,
    heading="mason asks to run a command on client-vps",
    may_decide=True,
    question=None,
    choices=None,
    facts=None,
    command="docker build --platform linux/arm64 -t atlas:try .",
    where="In ~/work/atlas, as build.",
    created_at=before(minutes=1),
    expires_at=after(minutes=9),
    href="/approvals/4",
    decide="/approvals/4/decision",
)
QUESTION = SimpleNamespace(
    id=3,
    heading="mason asks a question",
    may_decide=True,
    command=None,
    facts=None,
    where="Docs site",
    question="Group the changelog by date or by part of the product?",
    created_at=before(minutes=6),
    expires_at=None,
    choices=[{"label": "By date", "value": "date"}, {"label": "By part", "value": "part"}],
    href="/approvals/3",
    decide="/approvals/3/decision",
)
LONG_APPROVAL = SimpleNamespace(
    id=5,
    heading="scout asks to edit a file on office",
    may_decide=True,
    question=None,
    choices=None,
    where=None,
    command="\n".join(f"+ line {number} of the new build stage" for number in range(1, 32)),
    facts=[
        ("Folder", "~/work/atlas"),
        ("Why", "“Publish the fixed documentation.”"),
        ("Take care", "--delete removes files on web-2 that are not in build/site."),
    ],
    created_at=before(minutes=1),
    expires_at=after(minutes=9),
    href="/approvals/5",
    decide="/approvals/5/decision",
)
TASK = SimpleNamespace(
    id=12,
    state="waiting",
    word="Dropped",
    title="scribe dropped 6 s ago",
    why=None,
    from_at=before(seconds=6),
    until=after(seconds=24),
    text="If it is not back by 14:21:30 this task is cancelled. Then one click runs it again.",
    actions=[
        {"label": "Hand to another agent", "href": "/tasks/12/reassign", "kind": ""},
        {"label": "Cancel now", "href": "/tasks/12/cancel", "kind": "text"},
    ],
)
FAILED = SimpleNamespace(
    id=13,
    state="trouble",
    word="Failed",
    title="scout could not finish",
    why="“context length exceeded”",
    from_at=None,
    until=None,
    text="The gateway ended this run at 14:12. What it had said is kept above.",
    actions=[{"label": "Run again", "href": "/tasks/13/retry", "kind": ""}],
)
STEPS = [
    SimpleNamespace(
        id=1,
        kind="file",
        verb="Read",
        what="ci/build.log",
        figures="1,204 lines, 0.4 s",
        state="done",
        input=None,
        output=None,
    ),
    SimpleNamespace(
        id=2,
        kind="command",
        verb="Ran",
        what="git log --oneline -5 -- Dockerfile",
        state="done",
        figures="allowed by rule 3, 0.2 s",
        input="git log --oneline -5 -- Dockerfile",
        output="c0ffee1 Move the base image to trixie\n0badf00 Pin the cross compiler",
    ),
]
ANSWER = SimpleNamespace(
    key="11",
    task_id=11,
    revision=1,
    over=False,
    parts=[],
    agent=SCOUT,
    where="on office",
    since=before(seconds=41),
    stop="/tasks/11/cancel",
    why=None,
    state=None,
    open="<p>The image moved from <code>bookworm</code> to <code>trixie</code> at 07:12, and the cross compiler is no"
    " longer where the build script looks for it. Two ways out:</p><ul><li>pin the old image, which is one line and"
    " safe for today;</li><li>or install <code>gcc-aarch64-linux-gnu</code> in the build stage, which is the right</li>"
    "</ul>",
)
ROUTE = {"to": SCOUT, "state": None, "words": ", this topic’s agent.", "more": "Name another with @.", "link": None}
ROUTE_AWAY = {
    "to": {"kind": "agent", "name": "scribe", "initials": "sr"},
    "state": "waiting",
    "words": ", which is away; it waits in the queue.",
    "more": None,
    "link": None,
}
ROUTE_NOBODY = {
    "to": None,
    "state": "trouble",
    "words": "Will go to nobody: no agent here takes this.",
    "more": None,
    "link": {"href": "/agents", "label": "Agents"},
}
PEOPLE = [
    {"kind": "user", "name": "Mira", "initials": "MK", "lamp": None, "words": "here"},
    {"kind": "user", "name": "Jonas", "initials": "JB", "lamp": None, "words": "here"},
    {"kind": "agent", "name": "scout", "initials": "sc", "lamp": {"state": "working", "word": "working"}},
    {"kind": "agent", "name": "scribe", "initials": "sr", "lamp": {"state": "waiting", "word": "dropped"}},
    {"kind": "agent", "name": "mason", "initials": "ma", "lamp": {"state": "needs-you", "word": "asks you"}},
]
TOPICS = [
    {
        "id": 1,
        "name": "Release 2.4",
        "creative": "Atlas",
        "agent": SCOUT,
        "unread": 0,
        "last_at": before(minutes=1),
        "last_words": "Mira: @scribe please translate the notes into German and French.",
        "lamp": {"state": "working", "word": "Working"},
    },
    {
        "id": 2,
        "name": "Nightly build",
        "creative": "Atlas",
        "agent": None,
        "unread": 3,
        "last_at": before(hours=3),
        "last_words": "scout: The nightly build is green again.",
        "lamp": None,
    },
    {
        "id": 3,
        "name": "Invoices, October",
        "creative": None,
        "agent": None,
        "unread": 0,
        "last_at": before(days=3),
        "last_words": "ledger: 24 of 38 done.",
        "lamp": {"state": "waiting", "word": "24 s left"},
    },
]
