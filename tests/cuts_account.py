"""What one hub has of what one gateway said, held against the gateway's ledger: lost, doubled, merged, out of order."""

import re
from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import select

from models.database import reading
from models.message import Message
from models.task import Task
from tests.harbor import Harbor
from webapp.playground.gateway.ledger import Entry

# Why the gateway's words may be missing here: the rule behind it.
UNHEARD = "a session of no topic is read again only from the time on at which something was heard in it"
MOST_TOLD = 30
QUESTION = re.compile(r"\b(?:question|first of|job|inject|operator) [\d.]*\d")


@dataclass(frozen=True)
class Said:
    """A message or an item of the tray. `task_id`: it answers one of ours."""

    run_id: str
    text: str
    task_id: int | None
    topic_id: int | None


@dataclass
class Account:
    """One gateway's. `spoilt`: frames that a fault befell."""

    name: str
    spoken: int = 0
    here: int = 0
    answered: int = 0
    connections: int = 0
    steered: int = 0
    spoilt: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not self.wrong

    def __str__(self) -> str:
        told = {"spoken": self.spoken, "here": self.here, "questions answered": self.answered}
        told |= {"put into a running turn": self.steered, "sockets": self.connections, **self.spoilt}
        figures = ", ".join(f"{name} {count}" for name, count in told.items())
        lines = [f"{self.name}: {figures}", f"  wrong: {len(self.wrong)}, excused: {len(self.excused)}"]
        wrong = [f"  WRONG {one}" for one in self.wrong[:MOST_TOLD]]
        return "\n".join([*lines, *wrong, *(f"  {one}" for one in self.excused)])


def account(harbor: Harbor, topics: list[int]) -> Account:
    """Of this moment."""
    with harbor.gateway.house.lock:
        ledger = harbor.gateway.ledger
        entries, sockets = list(ledger.runs), len(ledger.connections)
    found = Account(harbor.row().name, connections=sockets)
    for entry in entries:
        found.spoilt.update(entry.spoilt)
    with reading() as session:
        rows = session.scalars(select(Message).where(Message.gateway_id == harbor.id).order_by(Message.id))
        said = [Said(row.run_id or "", row.text.strip(), row.task_id, row.topic_id) for row in rows]
        tasks = list(session.scalars(select(Task).where(Task.topic_id.in_(topics)).order_by(Task.id)))
    tray = harbor.tray()
    said += [Said(item.run_id, item.text.strip(), None, None) for item in tray]
    _questions(found, tasks, said, {entry.run_id: entry for entry in entries})
    _spoken(found, entries, said, {item.session_key: item.created_at.timestamp() for item in reversed(tray)})
    _here(found, entries, said)
    return found


def _questions(found: Account, tasks: list[Task], said: list[Said], runs: dict[str, Entry]) -> None:
    """Each question has one answer, its own, and in each topic they stand in the order they were asked in."""
    order: dict[int, list[int]] = {}
    for one in said:
        if one.task_id is not None and one.topic_id is not None:
            order.setdefault(one.topic_id, []).append(one.task_id)
    for topic_id, ids in order.items():
        if ids != sorted(ids):
            found.wrong.append(f"topic {topic_id}: answers out of order: {ids}")
    for task in tasks:
        answers = [one.text for one in said if one.task_id == task.id]
        own = QUESTION.findall(task.content)[0]
        if task.status == "done" and len(answers) == 1 and own in QUESTION.findall(answers[0]):
            found.answered += 1
        else:
            entry = runs.get(task.run_id or "")
            run = f"run {task.run_id} {entry.state} {entry.spoilt}" if entry is not None else f"run {task.run_id}"
            told = f"task {task.id}, {task.status} ({task.why}), {run}"
            found.wrong.append(f"{told}: {own!r} was answered with {answers}")


def _spoken(found: Account, entries: list[Entry], said: list[Said], first: dict[str, float]) -> None:
    """Each run that ended with words stands here, once, in these words."""
    by_run = Counter(one.run_id for one in said)
    texts = Counter(one.text for one in said)
    for entry in entries:
        if entry.state == "running":
            found.wrong.append(f"run {entry.run_id} is still under way")
        if not entry.spoken:
            continue
        found.spoken += 1
        text, which = entry.text.strip(), f"run {entry.run_id} ({entry.source}) {entry.spoilt}"
        if by_run[entry.run_id] == 1 and (texts[text] == 1 or _is_rest(entry, entries, said)):
            found.here += 1
        elif texts[text] == 1 and any(by_run[other.run_id] for other in entries if other.into == entry.run_id):
            found.here += 1  # read in the history, as the answer to the question that it goes on with
        elif texts[text] > 1 or by_run[entry.run_id] > 1:
            found.wrong.append(f"doubled: {which}: {text[:80]!r} stands {texts[text]} times")
        elif _is_strange(entry, first):
            found.excused.append(f"lost: {which}: {text[:60]!r}. Rule: {UNHEARD}.")
        else:
            found.wrong.append(f"lost: {which}: {text[:80]!r}")


def _is_rest(entry: Entry, entries: list[Entry], said: list[Said]) -> bool:
    """Whether of a turn that a question of ours was put into the rest stands here: the question has its own answer."""
    steered = any(other.into == entry.run_id and other.state == "absorbed" for other in entries)
    return steered and any(one.run_id == entry.run_id and one.text in entry.text for one in said)


def _is_strange(entry: Entry, first: dict[str, float]) -> bool:
    """Whether it was said in a session of no topic, before anything from there was heard. `first`: when that was."""
    heard_at = first.get(entry.session_key)
    return ":elsewhere:" in entry.session_key and (heard_at is None or (entry.ended_at or 0.0) < heard_at)


def _here(found: Account, entries: list[Entry], said: list[Said]) -> None:
    """All that stands here was said there: by that run, or by the running turn that its question was put into."""
    by_id = {entry.run_id: entry for entry in entries}
    for one in said:
        entry = by_id.get(one.run_id)
        into = by_id.get(entry.into or "") if entry is not None else None
        if entry is None:
            found.wrong.append(f"nobody said {one.text[:80]!r} (run {one.run_id})")
        elif entry.state == "absorbed" and into is not None and one.text in into.text:
            found.steered += 1
        elif one.text not in _words(entry, into) and not _is_rest(entry, entries, [one]):
            found.wrong.append(f"other words: run {one.run_id} ({entry.state}): {one.text[:80]!r}")


def _words(entry: Entry, into: Entry | None) -> tuple[str, ...]:
    """What may stand here under a run's id: its own words, or those of the run that its question was queued for."""
    own = (entry.text.strip(),) if entry.spoken else ()
    return (*own, into.text.strip()) if entry.state == "queued" and into is not None else own
