"""Answers under way as the open pages of this process show them: rendered once for all readers, in bounded time.

A page is sent the whole of an answer once, then what was added: settled parts, the last part as it stands now, or mere
letters (`webapp.growing`).
"""

import time
from collections import OrderedDict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

from webapp import avatars, fragments, tools
from webapp.growing import Growing
from webapp.running import Answer

# Of this process's time, rendering may take so large a share; what is due then comes a little later, ...
SHARE = 0.15
BURST_SECONDS = 0.05
# ... but never later than this.
LATEST_SECONDS = 1.0
MOST_KEPT = 300


class Mark(NamedTuple):
    """What a page was sent of an answer."""

    revision: int
    began: int
    parts: int
    letters: int  # of the open part, -1 when it is rendered
    tools: int
    line: tuple[bool, str | None]


class Shown:
    """One answer as it is shown: the text grows, the lines of its tools and its state are replaced."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.growing = answer, Growing()
        self.due: Answer | None = answer
        self.since = time.monotonic()
        self._tools = 0
        self.open = ""

    def grow(self) -> None:
        """Shows what is due."""
        answer, self.due = self.due, None
        if answer is None:
            return
        self._tools += answer.tools != self.answer.tools
        self.answer = answer
        self.growing.grow(answer.text)
        self.open = "" if self.growing.grows_by_letters else self.growing.open_part()

    @property
    def mark(self) -> Mark:
        """Where it stands."""
        letters = len(self.growing.letters) if self.growing.grows_by_letters else -1
        line = (self.answer.over, self.answer.cut)
        return Mark(self.answer.revision, self.growing.began, len(self.growing.parts), letters, self._tools, line)

    def item(self, may_act: bool = True) -> SimpleNamespace:
        """It, as components/answer.html wants it."""
        answer, stop = self.answer, None
        if may_act and answer.task_id is not None and not answer.over:
            stop = f"/tasks/{answer.task_id}/cancel"
        return SimpleNamespace(
            key=answer.key,
            task_id=answer.task_id,
            revision=answer.revision,
            agent={
                "name": answer.agent_short,
                "initials": avatars.initials("agent", answer.agent_id, answer.agent_short),
            },
            parts=self.growing.parts,
            open=self.growing.open_part(),
            where=f"on {answer.gateway_name}",
            since=answer.started_at,
            stop=stop,
            over=answer.over,
            why=answer.cut,
            state="off" if answer.over else "waiting",
            steps=tools.steps(answer.tools, answer.key, answer.over),
        )

    def whole(self) -> dict[str, Any]:
        """All of it, for a page that has nothing of it yet."""
        return {"key": self.answer.key, "whole": fragments.render("streams/answer.html", a=self.item())}

    def added(self, seen: Mark) -> dict[str, Any]:
        """What is new for a page that was sent `seen`."""
        now, growing = self.mark, self.growing
        more: dict[str, Any] = {"key": self.answer.key, "after": seen.revision, "revision": now.revision}
        kept = seen.parts if now.began == seen.began else 0
        if kept != seen.parts or now.parts > kept:
            more |= {"from": kept, "parts": growing.parts[kept:]}
        goes_on = now.began == seen.began and now.parts == seen.parts and seen.letters >= 0
        if goes_on and now.letters >= seen.letters:
            more["add"] = growing.letters[seen.letters :]
        else:
            more["open"] = self.open or growing.open_part()
        if now.tools != seen.tools:
            more["steps"] = fragments.render("streams/steps.html", a=self.item())
        if now.line != seen.line:
            more |= {"line": fragments.render("streams/answering.html", a=self.item()), "over": now.line[0]}
        return more


def as_it_stands(answer: Answer) -> Shown:
    """An answer by itself, as a page that is loaded now shows it."""
    shown = Shown(answer)
    shown.grow()
    return shown


class Answers:
    """The answers that somebody in this process looks at."""

    def __init__(self) -> None:
        self._shown: OrderedDict[str, Shown] = OrderedDict()
        self._debt, self._paid = 0.0, time.monotonic()

    def take(self, answer: Answer) -> Shown:
        """The answer as it is to be shown now. An older one than that which was taken before changes nothing."""
        shown = self._shown.pop(answer.key, None) or Shown(answer)
        self._shown[answer.key] = shown
        latest = shown.due or shown.answer
        changed = (answer.over, answer.cut) != (latest.over, latest.cut)
        if answer.revision > latest.revision or (changed and (answer.over or answer.revision == latest.revision)):
            if shown.due is None:
                shown.since = time.monotonic()
            shown.due = _ended(latest, answer) if answer.over else answer
        if shown.due is not None and self._may(shown):
            begun = time.thread_time()
            shown.grow()
            self._debt += time.thread_time() - begun
        if answer.over:
            del self._shown[answer.key]
        while len(self._shown) > MOST_KEPT:
            self._shown.popitem(last=False)
        return shown

    def forget(self, key: str) -> None:
        """The run is over."""
        self._shown.pop(key, None)

    def get(self, key: str) -> Shown | None:
        """What is shown of a run, if somebody looks at it."""
        return self._shown.get(key)

    def _may(self, shown: Shown) -> bool:
        """Whether there is time to render now. What is shown for the first time, ends or is long due always is."""
        now = time.monotonic()
        self._debt = max(0.0, self._debt - SHARE * (now - self._paid))
        self._paid = now
        due = shown.due
        first = shown.answer is due
        ends = due is not None and (due.over or due.cut != shown.answer.cut)
        return first or ends or self._debt < BURST_SECONDS or now - shown.since > LATEST_SECONDS


def _ended(latest: Answer, end: Answer) -> Answer:
    """The answer at its end; who says that it ended need not say again what it was."""
    tools = end.tools or latest.tools
    if end.text and end.revision > latest.revision:
        return replace(end, tools=tools)
    return replace(end, tools=tools, text=latest.text, revision=max(latest.revision, end.revision))
