"""A person did something: a line of activity in the transaction that did it, with who it was and from where."""

from typing import Any

from sqlalchemy.orm import Session

from models.activity import Activity, ActivityKind
from models.user import User
from webapp.auth import address


def acted(session: Session, user: User, event: str, text: str, **about: Any) -> None:
    """Records an act of this request; `text` is a whole sentence without the person's name in front of it.

    `event` is the word that scripts filter by; `about` are columns of `Activity` (topic_id, task_id, agent_id ...).
    """
    Activity.record(
        session,
        ActivityKind.PERSON,
        event,
        f"{user.name} {text}",
        actor=user.name,
        user_id=user.id,
        address=address()[:64],
        **about,
    )
