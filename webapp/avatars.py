"""Two letters for each person and each agent, unique in the hub, and the same on every page and in every process."""

from sqlalchemy import select

from models.agent import Agent
from models.database import transaction
from models.errors import DatabaseAway
from models.user import User
from webapp import words

# Beyond so many the letters are used up (36 x 36): later ones may share theirs.
MOST = 1000


class _Known:
    """(kind, id) to name and letters: learnt when somebody is met for the first time, or has another name."""

    pairs: dict[tuple[str, int], tuple[str, str]] = {}


def initials(kind: str, id: int | None, name: str) -> str:
    """The letters of one person ("user") or agent; of anybody else those of the name."""
    found = _Known.pairs.get((kind, id or 0))
    if id is not None and kind in ("user", "agent") and (found is None or found[0] != name):
        if _learn():  # whoever came after so many is not looked for again each time
            _Known.pairs.setdefault((kind, id), (name, words.initials(name, kind)))
        found = _Known.pairs.get((kind, id))
    if found is None or found[0] != name:
        return words.initials(name, "agent" if kind == "agent" else "user")
    return found[1]


def _learn() -> bool:
    try:
        with transaction() as session:
            users = session.execute(select(User.id, User.name).order_by(User.id).limit(MOST)).all()
            agents = session.execute(select(Agent.id, Agent.handle).order_by(Agent.id).limit(MOST)).all()
    except DatabaseAway:
        return False
    pairs: dict[tuple[str, int], tuple[str, str]] = {}
    for kind, rows in (("user", users), ("agent", agents)):
        taken: set[str] = set()
        for id, name in rows:
            letters = words.initials(name, kind, taken)
            taken.add(letters)
            pairs[kind, id] = name, letters
    _Known.pairs = pairs
    return True
