"""What the pages say of approvals: leads, headings, what happened; from rows of `models.inbox`."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from markupsafe import Markup

from models.permission_request import ApprovalStatus, Behavior, Kind
from models.user import User
from webapp import asked, words
from webapp.fragments import moment

NOTHING = "Your tap changed nothing."
ELSEWHERE = "The turn ended, or it was answered in the terminal. Nobody waits for it any more."
EXPIRED = "Nobody decided in time."
# By tab: what a list says that is empty.
NONE = {
    "decided": ("Nothing is decided yet", "What you decide, or could have decided, is kept here with who did and why."),
    "expired": ("All was decided", "What nobody decided in time, or what was decided elsewhere, would stand here."),
}


def lead(count: int, oldest: datetime | None, now: datetime) -> str:
    """ "Two wait for you, the oldest for 6 min." """
    if oldest is None or count == 0:
        return "Nothing waits for you."
    since = words.span(now - oldest)
    if count >= 100:
        return f"More than 99 wait for you, the oldest for {since}."
    return words.plural(count, f"One waits for you, for {since}.", f"{{Word}} wait for you, the oldest for {since}.")


def state(row: Any, user: User, too_late: bool = False) -> dict[str, str] | None:
    """{state, word} above the heading; None while it is this person's move, which a badge says."""
    if row.status == ApprovalStatus.PENDING:
        return None if row.mine else {"state": "waiting", "word": "Waits for an approver"}
    if row.status == ApprovalStatus.ELSEWHERE:
        return {"state": "off", "word": "Decided elsewhere"}
    if row.status == ApprovalStatus.EXPIRED:
        return {"state": "off", "word": "Expired"}
    return {"state": "off", "word": "Decided" if row.decided_by_id == user.id and not too_late else "Already decided"}


def title(row: Any, user: User) -> str | Markup:
    """ "Jonas denied this 12 s ago", or who asks to do what where."""
    if row.status in (ApprovalStatus.ALLOWED, ApprovalStatus.DENIED):
        who = "You" if row.decided_by_id == user.id else row.decider_name
        return Markup("{} {} this {}").format(who, verb(row), moment(row.decided_at, "seen"))
    return f"{asked.heading(row)} in {row.topic_name}"


def always(row: Any) -> tuple[str, str]:
    """What allowing it for good would mean: a heading, and the rule in a sentence."""
    where = row.gateway_name or "its gateway"
    rule = (
        f"{where} keeps this as a rule of its own: from then on {row.agent_short} runs this command there without "
        f"asking anybody, in every conversation. The rule can only be taken back on {where}."
    )
    return f"Always allow this on {where}", rule


def verb(row: Any) -> str:
    """What was done: "allowed", "denied"."""
    if row.status == ApprovalStatus.DENIED:
        return "denied"
    return "always allowed" if row.behavior == Behavior.ALLOW_ALWAYS else "allowed"


def sentence(row: Any, too_late: bool) -> str | None:
    """What follows the heading: the reason, and that a second decision changed nothing."""
    parts = []
    if row.status == ApprovalStatus.ELSEWHERE:
        parts.append(asked.spoken(row.reason) if row.reason else ELSEWHERE)
    elif row.status == ApprovalStatus.EXPIRED:
        parts.append(EXPIRED)
    elif row.reason:
        parts.append(asked.quoted(row.reason))
    return " ".join([*parts, NOTHING] if too_late else parts) or None


def reason(row: Any) -> dict[str, str]:
    """What the field for words is called, and who reads it; a tool is told yes or no, and nothing else."""
    if row.kind == Kind.QUESTION:
        return {"reason_label": "In your words", "reason_hint": f"{row.agent_short} reads them"}
    return {"reason_label": "Reason, if you deny", "reason_hint": "people read it here"}


def facts(row: Any, shown: SimpleNamespace) -> list[tuple[str, Any]]:
    """What goes with the request: where it would happen, why, when it was asked, for which conversation."""
    when = Markup("{}, at {}").format(moment(row.created_at, "ago"), moment(row.created_at, "clock"))
    link = Markup('<a href="{}">{}</a>').format(shown.topic["href"], shown.topic["name"])
    name = None if row.kind == Kind.EXEC else row.tool_name
    tool = [] if name is None else [("Tool", Markup("<code>{}</code>").format(asked.exact(name)))]
    told = [("Told", row.told)] if row.told else []
    return [*tool, *shown.facts, ("Asked", when), ("In", link), *told]


def events(row: Any) -> list[dict[str, Any]]:
    """The two ends of it, oldest first, for the rail; only of what a person decided."""
    if row.decided_at is None:
        return []
    begun = {"at": row.created_at, "state": "off", "word": "Asked", "text": f"{row.agent_short} asked.", "meta": None}
    said = f"{row.decider_name} {verb(row)} it."
    return [begun, {"at": row.decided_at, "state": "done", "word": "Decided", "text": said, "meta": None}]


def in_table(row: Any, user: User) -> dict[str, Any]:
    """A row of the table of what is over (components/table.html)."""
    shown = asked.request(row)
    at = row.decided_at or row.created_at
    who = "you" if row.decided_by_id == user.id else row.decider_name
    decision = {ApprovalStatus.ELSEWHERE: "Decided elsewhere", ApprovalStatus.EXPIRED: "Expired"}.get(row.status)
    said = Markup("<strong>{}</strong> by {}").format(verb(row).capitalize(), who) if decision is None else None
    return {
        "id": f"approval-{row.id}",
        "cells": [
            {"text": shown.line, "href": shown.href, "mono": row.question is None, "meta": shown.heading},
            {"text": row.agent_short, "meta": row.topic_name},
            {"html": said or Markup("<strong>{}</strong>").format(decision), "meta": quoted(row.reason)},
            {"html": moment(at, "ago"), "meta": moment(at, "clock")},
        ],
    }


def quoted(reason: str | None) -> str | None:
    """A reason on one line, in quotes."""
    return asked.quoted(reason if len(reason) <= 120 else f"{reason[:120]} ...") if reason else None


def done(behavior: str, count: int) -> str:
    """ "Two are allowed." """
    said = "denied" if behavior == Behavior.DENY else "allowed"
    return words.plural(count, f"One is {said}.", f"{{Word}} are {said}.")
