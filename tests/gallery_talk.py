"""Conversations for the gallery: the one of the pictures, a long one, and one with every kind of message."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from models.markup import render
from tests.gallery_data import ANSWER, APPROVAL, FAILED, HUB, JONAS, MIRA, SCOUT, STEPS, TASK, message
from tests.gallery_shell import before


def said(id: int, author: dict[str, Any], text: str, at: datetime, **more: Any) -> dict[str, Any]:
    """A message as an item of the log; the text is Markdown."""
    return {"kind": "message", "message": message(id, author, render(text), at, **more)}


CONVERSATION = [
    {"kind": "day", "at": before(minutes=3)},
    said(1, JONAS, "@mason try whether the image builds on the client’s machine.", before(minutes=3)),
    {"kind": "approval", "approval": APPROVAL},
    said(
        2,
        MIRA,
        "It has been red since this morning. @scout find out why, and fix it if it is small.",
        before(minutes=2),
    ),
    {"kind": "steps", "steps": STEPS},
    {"kind": "answer", "answer": ANSWER},
    said(3, MIRA, "@scribe please translate the notes into German and French.", before(minutes=1), delivery="accepted"),
    {"kind": "task", "task": TASK},
]
SHORT_TALK = [
    {"kind": "day", "at": before(minutes=40)},
    *[
        said(n, JONAS, f"Line {n} of a talk that is longer than a window.", before(minutes=40 - n))
        for n in range(1, 21)
    ],
]
LONG_REPLY = """Take the **largest** unit that fits:

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
NOBODY = "Nobody here takes this. Name an agent with @, or let scout take what is written here."
LONG_WORD = "Averyveryveryverylongwordwithoutanyspacethatmustbreaksomewhereotherwisethepagescrolls sideways at 320 px."
MORE_TALK = [
    {"kind": "day", "at": before(days=1)},
    said(101, MIRA, "@scout how do I say how long something took?", before(days=1), delivery="answered"),
    said(102, MIRA, "In Python.", before(days=1), continued=True, delivery="answered"),
    said(103, SCOUT, LONG_REPLY, before(hours=23), source="reply"),
    {"kind": "day", "at": before(minutes=30)},
    said(
        104,
        SCOUT,
        "The nightly build is green again.",
        before(minutes=30),
        source="proactive",
        from_where="from office, cron nightly",
    ),
    said(105, JONAS, "Who looks after this?", before(minutes=20), why=NOBODY),
    said(
        106,
        JONAS,
        "@scribe then you.",
        before(minutes=19),
        delivery="accepted",
        why="scribe is not connected. It gets this when it is back.",
    ),
    said(107, JONAS, "@scout and a summary.", before(minutes=9), delivery="failed", why="The gateway gave no answer."),
    {"kind": "task", "task": FAILED},
    said(108, MIRA, "Working on it?", before(minutes=1), delivery="working"),
    said(109, HUB, "office lost its connection: the gateway restarted itself.", before(seconds=50), source="notice"),
    {
        "kind": "decided",
        "approval": SimpleNamespace(id=9, words="Allowed by Mira, 14:20", command="rsync -a build/site/"),
    },
    said(110, MIRA, LONG_WORD, before(seconds=4), delivery="delivered"),
]
