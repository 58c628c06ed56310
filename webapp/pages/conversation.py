"""What a topic page shows, put together from plain rows: the log, who is here, where a message would go."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from markupsafe import Markup
from sqlalchemy.orm import Session

from models import attendance, falls, inbox, under_way
from models.agent import Agent
from models.creative import Level
from models.listeners import NOBODY, Listeners
from models.mentions import mentioned
from models.message import Source
from models.reading import page_of_messages, work_on
from models.topic import Topic
from models.user import User
from webapp import asked, avatars, fragments, running, tools, words
from webapp.answers import Shown, as_it_stands
from webapp.pages import chat_words, presence, shell

PAGE = 50


class Window(NamedTuple):
    """Which part of a topic is read: its end, or what stands before, after or around a message."""

    before: int | None = None
    after: int | None = None
    around: int | None = None

    @property
    def is_end(self) -> bool:
        """Whether it is the end of the topic that was asked for."""
        return self == Window()


class Read(NamedTuple):
    """Rows of a window, and whether there are more on either side."""

    rows: list[Any]
    earlier: bool
    later: bool


def read(session: Session, topic_id: int, window: Window) -> Read:
    """The messages of a window, oldest first. One more than shown is read, to know whether there are more."""
    if window.around is not None:
        half = PAGE // 2
        older = page_of_messages(session, topic_id, half + 1, before=window.around)
        newer = page_of_messages(session, topic_id, half + 1, after=window.around - 1)
        return Read(older[-half:] + newer[:half], len(older) > half, len(newer) > half)
    if window.after is not None:
        rows = page_of_messages(session, topic_id, PAGE + 1, after=window.after)
        return Read(rows[:PAGE], True, len(rows) > PAGE)
    rows = page_of_messages(session, topic_id, PAGE + 1, before=window.before)
    return Read(rows[-PAGE:], len(rows) > PAGE, window.before is not None)


def context(
    session: Session, user: User, topic: Topic, now: datetime, window: Window | None = None, chat: Any = None
) -> dict[str, Any]:
    """Everything that topics/topic.html wants; the same number of statements however long the topic is.

    `chat`: the row of the chat whose topic it is, when it was looked up before.
    """
    window = window or Window()
    found = read(session, topic.id, window)
    creative = topic.creative(session)
    may_write = creative.allows(session, user, Level.FEEDBACK)
    here = agents_in(session, topic, now)
    if chat is None and topic.chat_id is not None:
        chat = chat_words.owned(session, user, topic.chat_id)
    base = f"/topics/{topic.id}" if chat is None else f"/chats/{chat.id}"
    return {
        **aside(session, user, topic, here, now),
        "seat": None if chat is None else chat_words.seat(session, chat, now),
        "falls": fallen(session, topic, now),
        "topic": {
            "id": topic.id,
            "name": topic.name,
            "lead": lead(topic, creative.name, here) if chat is None else f"With {chat.agent_short}.",
            "last_message_id": topic.last_message_id,
        },
        "short_title": topic.name,
        "streams": shell.streams(user, topic.stream, "hub"),
        "refresh_on": f"topic presence approval approvals{' slots' if chat is not None and chat.place else ''}",
        "items": items(
            session,
            user,
            found.rows,
            may_write,
            now=[] if found.later else answers(session, topic.id),
            moved={} if chat is None else chat_words.moves(session, topic.id, [row.id for row in found.rows]),
        ),
        "earlier": f"{base}?before={found.rows[0].id}" if found.earlier and found.rows else None,
        "later": f"{base}?after={found.rows[-1].id}" if found.later and found.rows else None,
        "route": route(topic, listening(session, user, topic, "", now), "", bool(here)) if may_write else None,
        "once": new_once(),
        "menu": [
            *[{"href": f"{base}/edit", "label": f"Change this {'topic' if chat is None else 'chat'}"}] * may_write,
            {"href": f"/topics/{topic.id}/export", "label": "Export it"},
        ],
        "after_url": f"/topics/{topic.id}/after",
        "read_url": f"/topics/{topic.id}/read",
    }


def new_once() -> str:
    """The random word of a fresh form."""
    return secrets.token_hex(12)


def lead(topic: Topic, creative: str, here: list[Any]) -> str:
    """ "In Atlas. Its agent is scout." """
    primary = next((row.handle for row in here if row.id == topic.primary_agent_id), None)
    place = f"Archived. In {creative}." if topic.archived else f"In {creative}."
    return f"{place} Its agent is {primary}." if primary else f"{place} It has no agent of its own."


def answers(session: Session, topic_id: int) -> list[Shown]:
    """What is being answered in a topic, as far as it has come."""
    return [as_it_stands(running.of_row(row)) for row in under_way.in_topic(session, topic_id)]


def items(
    session: Session,
    user: User,
    rows: list[Any],
    may_act: bool,
    days: bool = True,
    now: Sequence[Shown] = (),
    moved: Mapping[int, str] | None = None,
) -> list[dict[str, Any]]:
    """Messages, what is asked, and the work on them, as the log shows them; with `days`, a line where a day begins.

    An answer under way stands where it began: below what had been said by then, and below what is asked on its way.
    """
    waiting = list(now)
    at_it = {shown.answer.task_id for shown in now}
    done = tools_of(session, rows)
    prompts = [row.id for row in rows if row.source == Source.PROMPT]
    requests = inbox.by_message(session, user, prompts) if prompts else {}
    on_them = work_on(session, [row.id for row in rows]) if rows else []
    below = fragments.by_message(on_them, may_act)
    zone = fragments.reader_zone()
    found: list[dict[str, Any]] = []
    day = None
    for row in rows:
        while waiting and waiting[0].answer.started_at < row.created_at and found:
            found.extend(answer_items(waiting.pop(0), may_act))
        its_day = row.created_at.astimezone(zone).date()
        begins = days and its_day != day
        if begins:
            found.append({"kind": "day", "at": row.created_at})
        mine = below.get(row.id, [])
        if moved and row.id in moved:
            found.append({"kind": "moved", "words": moved[row.id]})
        if row.id in requests:
            found.insert(above_answer(found, requests[row.id].task_id), card(requests[row.id]))
        else:
            said = fragments.as_said(row, mine, alone=begins)
            if row.task_id in done and row.source == Source.REPLY:
                key = said.run or f"task-{row.task_id}"
                found.append({"kind": "steps", "key": key, "steps": tools.steps(done[row.task_id], key)})
            found.append({"kind": "message", "message": said})
        found.extend({"kind": item.kind, "task": item} for item in mine if item.kind != "line" or item.id not in at_it)
        day = its_day
    for shown in waiting:
        found.extend(answer_items(shown, may_act))
    return found


def tools_of(session: Session, rows: list[Any]) -> dict[int, list[Any]]:
    """What was done on the way to the answers among these messages, by task."""
    tasks = {row.task_id for row in rows if row.source == Source.REPLY and row.gateway_id is not None}
    return under_way.tools(session, tasks - {None}) if tasks - {None} else {}


def answer_items(shown: Shown, may_act: bool) -> list[dict[str, Any]]:
    """An answer under way, below the lines of its tools."""
    item = shown.item(may_act)
    return [{"kind": "steps", "key": item.key, "steps": item.steps}, {"kind": "answer", "answer": item}]


def above_answer(items: Sequence[Any], task_id: int | None) -> int:
    """Where what is asked for a task stands: above the lines and the text of its answer, else at the end."""
    keys = {item["answer"].key for item in items if item["kind"] == "answer" and item["answer"].task_id == task_id}
    begun = (at for at, item in enumerate(items) if item["kind"] == "steps" and item["key"] in keys)
    return len(items) if task_id is None else next(begun, len(items))


def card(row: Any) -> dict[str, Any]:
    """What was asked, in place of the message that says so."""
    shown = asked.request(row)
    return {"kind": "approval" if shown.open else "decided", "approval": shown}


def agents_in(session: Session, topic: Topic, now: datetime) -> list[Any]:
    """The agents that may work in a topic (rows of `models.overview.agents`)."""
    return list(attendance.agents(session, topic.creative_id, now))


def aside(session: Session, user: User, topic: Topic, here: list[Any], now: datetime) -> dict[str, Any]:
    """What stands beside the conversation (topics/aside.html)."""
    place = "topic" if topic.chat_id is None else "chat"
    return {"people": people(session, user, topic, here), "work": work_counts(session, topic, now), "place": place}


def fallen(session: Session, topic: Topic, now: datetime) -> list[Markup]:
    """One line for each gateway of this topic that fell lately, however often."""
    return [_fall(one) for one in falls.in_topic(session, topic.id, topic.primary_agent_id, now)]


def _fall(fall: falls.Fall) -> Markup:
    at = fragments.moment(fall.at, "moment")
    fell = Markup("{} fell at {}").format(fall.name, at)
    if fall.times > 1:
        fell = Markup("{} fell {} times since {}").format(fall.name, fall.times, at)
    if fall.back_at is None:
        return Markup("{} and is not back yet: what you write waits for it.").format(fell)
    return Markup("{} and was back at {}.").format(fell, fragments.moment(fall.back_at, "moment"))


def people(session: Session, user: User, topic: Topic, here: list[Any]) -> list[dict[str, Any]]:
    """Who may read here, and the agents that may work here with what they do now."""
    found = [
        {
            "kind": "user",
            "name": row.name,
            "initials": avatars.initials("user", row.id, row.name),
            "lamp": None,
            "words": "you" if row.id == user.id else "may read" if row.level == Level.READ else "",
        }
        for row in attendance.readers(session, topic.creative_id)
    ]
    return found + [
        {
            "kind": "agent",
            "name": row.handle,
            "initials": avatars.initials("agent", row.id, row.handle),
            "lamp": presence.brief(row),
        }
        for row in here
    ]


def work_counts(session: Session, topic: Topic, now: datetime) -> list[tuple[str, int]]:
    """What is going on here, and what was answered today."""
    today = now.astimezone(fragments.reader_zone()).replace(hour=0, minute=0, second=0, microsecond=0)
    counts = attendance.work(session, topic.id, today.astimezone(UTC))
    return [("Working", counts.working), ("Waiting", counts.waiting), ("Answered today", counts.answered)]


# -- where a message would go ----------------------------------------------------------------------------------------


def listening(session: Session, user: User, topic: Topic, text: str, now: datetime) -> Listeners:
    """Who would take this text now."""
    return topic.listeners(session, text, user.name, now)


def route(topic: Topic, taking: Listeners, text: str, any_agent: bool = True) -> dict[str, Any]:
    """The line under the composer (components/composer.html). `any_agent`: whether some agent may work here."""
    if not taking.agents:
        link = {"href": "/agents", "label": "Connect an agent"} if not any_agent else None
        said = f"Will go to nobody. {(taking.why or '').removeprefix(NOBODY)}"
        return {"to": None, "state": "trouble", "words": said, "link": link}
    away = [agent for agent in taking.agents if taking.waits_for.get(agent.id)]
    if len(taking.agents) > 1:
        return {"to": None, "state": "waiting" if away else None, "words": _to_several(taking.agents, away)}
    [agent] = taking.agents
    to = {"kind": "agent", "initials": avatars.initials("agent", agent.id, agent.handle), "name": agent.handle}
    if away:
        return {"to": to, "state": "waiting", "words": ", which is away; it waits in the queue."}
    return {
        "to": to,
        "state": None,
        "words": _because(topic, agent, text),
        "more": "" if text else "Name another with @.",
    }


def _because(topic: Topic, agent: Agent, text: str) -> str:
    if mentioned(text, [agent]):
        return ", named here."
    if agent.id != topic.primary_agent_id:
        return ", which takes what is written here."
    return ", this topic’s agent." if topic.chat_id is None else ", this chat’s agent."


def _to_several(agents: list[Agent], away: list[Agent]) -> str:
    names = words.listed(agent.handle for agent in agents)
    if not away:
        return f"Will go to {names}."
    missing = words.listed(agent.handle for agent in away)
    return f"Will go to {names}. What goes to {missing} waits in the queue until it is back."
