"""What a new seat must know of a chat: its transcript in one marked block that goes before the first message there."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, Select, exists, select
from sqlalchemy.orm import Session

from models.agent import Agent
from models.chat_session import ChatSession, said_before
from models.prepared import among, prepared, rows
from models.task import Task, TaskMessage
from models.user import User

MOST_BYTES = 8000
MOST_TURNS = 400
MARK = "[Switchyard"
BEGIN = "[Switchyard: what was said in this chat before it moved here.{note}]"
END = "[Switchyard: end of what was said before. The message follows.]"
CUT_OLDER = " The {count} oldest turns are left out."
CUT_ONE = " The oldest turn is left out."
CUT_LONG = "[Switchyard: the beginning of this turn is left out.] "


def context_for(session: Session, chat: ChatSession, task: Task) -> str | None:
    """The block that goes before this task, None when its agent knows the conversation or there was none.

    It knows what was sent to it since the chat sits there (`fresh_since`), unless that was taken back meanwhile.
    """
    known = exists().where(
        Task.topic_id == chat.topic_id,
        Task.gateway_agent_id == chat.answered_by,
        Task.sent_at.is_not(None),
        Task.claimed_at >= chat.fresh_since,
        Task.id != task.id,
    )
    if session.scalar(select(known)):
        return None
    turns = said_before(session, chat.topic_id, task.message_id, MOST_TURNS)
    people = select(User.id, User.name).where(User.id.in_({turn.user_id for turn in turns if turn.user_id}))
    agents = select(Agent.id, Agent.handle).where(Agent.id.in_({turn.agent_id for turn in turns if turn.agent_id}))
    persons = {row.id: row.name for row in session.execute(people)}
    others = {row.id: row.handle for row in session.execute(agents)}
    found = block((persons.get(turn.user_id) or others.get(turn.agent_id, "?"), turn.text) for turn in turns)
    return None if found is None else f"{found}\n\n"  # the person's own words stand by themselves


def prefaced(session: Session, topic_id: int, message_ids: Sequence[int]) -> Sequence[Row[Any]]:
    """Of these messages of a topic those before which a task had something to say, and to which agent it went."""
    return rows(session, *_prefaced(topic_id, message_ids))


@prepared
def _prefaced(topic_id: int, message_ids: Sequence[int]) -> Select[*tuple[Any, ...]]:
    mine = (Task.topic_id == topic_id, among(TaskMessage.message_id, message_ids), Task.preface.is_not(None))
    shown = select(TaskMessage.message_id, Task.preface, Task.gateway_agent_id, Task.gateway_id)
    return shown.join(Task, Task.id == TaskMessage.task_id).where(*mine)


def block(turns: Iterable[tuple[str, str]]) -> str | None:
    """(who, words) of each turn, the newest first, as a block of at most 8 KB of UTF-8; None when there are none.

    The newest turns stand there whole, the older ones are left out with a note; the newest of all, when it alone is too
    long, without its beginning. Nothing in a turn can look like one of our marks.
    """
    given = [f"{who}: {words}".replace(MARK, "(Switchyard") for who, words in turns]
    if not given:
        return None
    room = MOST_BYTES - _size(BEGIN.format(note=CUT_OLDER.format(count=MOST_TURNS))) - _size(END) - 2
    kept: list[str] = []
    for turn in given:
        size = _size(turn) + 1
        if size > room:
            break
        kept.append(turn)
        room -= size
    if not kept:
        who, _, words = given[0].partition(": ")
        head = f"{who}: {CUT_LONG}"
        tail = words.encode()[-(room - _size(head) - 1) :].decode("utf-8", "ignore")
        kept.append(head + tail)
    left = len(given) - len(kept)
    note = "" if left == 0 else CUT_ONE if left == 1 else CUT_OLDER.format(count=left)
    return "\n".join([BEGIN.format(note=note), *reversed(kept), END])


def _size(words: str) -> int:
    return len(words.encode())


def is_context(preface: str | None) -> bool:
    """Whether what stood before a task was such a block."""
    return (preface or "").startswith(BEGIN.partition(".")[0])
