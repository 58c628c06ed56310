"""Answers under way: rendered once for all readers, sent as what was added, never going back."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import flask
import pytest

from webapp import answers, tools
from webapp.answers import Answers, Mark, Shown
from webapp.running import Answer

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = Answer(
    gateway_id=1,
    run_id="run-1",
    task_id=5,
    topic_id=2,
    agent_id=3,
    agent_short="scout",
    gateway_name="office",
    text="One.\n\nTwo",
    started_at=BEGUN,
    revision=1,
)

pytestmark = pytest.mark.usefixtures("app")


class Reader:
    """A page: it is sent what was added, and puts it together as static/answer.js does."""

    def __init__(self, shown: Shown) -> None:
        self.mark: Mark = shown.mark
        self.parts = list(shown.growing.parts)
        self.open = shown.growing.open_part()
        self.got: list[dict[str, Any]] = []

    def hear(self, shown: Shown) -> None:
        if shown.mark == self.mark:
            return
        frame = shown.added(self.mark)
        assert frame["after"] == self.mark.revision
        if "from" in frame:
            self.parts[frame["from"] :] = frame["parts"]
        if "add" in frame:
            self.open = self.open.replace("</code>", f"{frame['add']}</code>")
        else:
            self.open = frame["open"]
        self.mark = shown.mark
        self.got.append(frame)


def later(text: str, revision: int, **more: Any) -> Answer:
    return replace(FIRST, text=text, revision=revision, **more)


def test_a_page_has_all_of_an_answer_after_every_addition() -> None:
    running = Answers()
    text = "One.\n\nTwo *words*.\n\n```sh\nmake\nmake test\n```\n\nThe end."
    shown = running.take(later(text[:3], 1))
    reader = Reader(shown)
    for revision in range(2, len(text) + 1):
        shown = running.take(later(text[: revision + 2], revision))
        shown.since -= 2  # long due: never held back here
        running.take(shown.due or shown.answer)
        reader.hear(shown)
        assert (reader.parts, reader.open) == (shown.growing.parts, shown.growing.open_part())
    assert any("add" in frame for frame in reader.got)
    assert max(len(str(frame)) for frame in reader.got) < 400


def test_an_older_text_changes_nothing_and_one_that_was_replaced_does() -> None:
    running = Answers()
    reader = Reader(running.take(later("One.\n\nTwo.\n\nThree", 5)))
    reader.hear(running.take(later("One.\n\nTw", 4)))
    assert reader.got == []
    reader.hear(running.take(later("Other.\n\nWords", 6)))
    assert reader.got[0]["from"] == 0
    assert [part.strip() for part in reader.parts] == ["<p>Other.</p>"]


def test_who_has_nothing_gets_all_of_it_with_the_lines_of_its_tools_above() -> None:
    whole = (
        Answers().take(later("Hello", 1, tools=[{"name": "read", "what": "ci/<b>.log", "ok": True}])).whole()["whole"]
    )
    assert whole.index("ci/&lt;b&gt;.log") < whole.index("Hello")
    assert 'action="/tasks/5/cancel"' in whole
    assert "csrf_token" not in whole


def test_the_end_takes_stop_away_and_says_why_it_was_cut_short() -> None:
    running = Answers()
    reader = Reader(running.take(FIRST))
    reader.hear(running.take(later("One.\n\nTwo and", 2, over=True, cut="Stopped by Mira.")))
    [frame] = reader.got
    assert frame["over"] is True
    assert "Stopped by Mira." in frame["line"] and "<form" not in frame["line"]
    assert running.get(FIRST.key) is None


def test_the_end_need_not_say_again_what_the_answer_was() -> None:
    running = Answers()
    reader = Reader(running.take(replace(FIRST, tools=[{"name": "read", "what": "a", "ok": True}])))
    reader.hear(running.take(later("", 2, over=True)))
    [frame] = reader.got
    assert "Two" in frame["open"] and "from" not in frame and "steps" not in frame


def test_an_answer_that_rests_says_so_and_goes_on() -> None:
    running = Answers()
    reader = Reader(running.take(FIRST))
    reader.hear(running.take(replace(FIRST, cut="office was lost, asking it again.")))
    assert 'data-state="waiting"' in reader.got[0]["line"] and "<form" in reader.got[0]["line"]
    reader.hear(running.take(later("One.\n\nTwo and three", 2)))
    assert "Working" in reader.got[1]["line"]


def test_lines_of_tools_are_sent_when_they_change() -> None:
    running = Answers()
    reader = Reader(running.take(FIRST))
    reader.hear(running.take(replace(FIRST, revision=2, tools=[{"name": "exec", "what": "make", "ok": None}])))
    assert "Running" in reader.got[0]["steps"]
    reader.hear(running.take(replace(FIRST, revision=3, tools=[{"name": "exec", "what": "make", "ok": True}])))
    assert "Ran" in reader.got[1]["steps"]


def test_a_process_that_renders_too_much_lets_it_wait_but_never_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(answers.time, "monotonic", lambda: clock[0])
    running = Answers()
    shown = running.take(FIRST)
    running._debt = 10.0
    running.take(later("One.\n\nTwo and three", 2))
    assert shown.answer.revision == 1
    clock[0] += 0.9
    running.take(later("One.\n\nTwo and three and", 3))
    assert shown.answer.revision == 1
    clock[0] += 0.2
    running.take(later("One.\n\nTwo and three and", 3))
    assert shown.answer.revision == 3


def test_no_more_answers_are_kept_than_anybody_looks_at() -> None:
    running = Answers()
    for number in range(answers.MOST_KEPT + 20):
        running.take(replace(FIRST, run_id=f"run-{number}"))
    assert running.get(FIRST.key) is None
    assert running.get(replace(FIRST, run_id=f"run-{answers.MOST_KEPT}").key) is not None


def test_tools_are_told_in_the_past_tense_once_they_are_done() -> None:
    given = [
        {"name": "read", "what": "ci/build.log", "ok": True, "figures": "1,204 lines", "input": None, "output": None},
        {"name": "Bash", "what": "make\u202e", "ok": False, "output": "x" * 30_000},
        {"name": "strange.tool", "what": None, "ok": None},
        "not a tool",
    ]
    shown = tools.steps(given, "k", over=False)  # type: ignore[arg-type]
    assert [(step.verb, step.what, step.state) for step in shown] == [
        ("Read", "ci/build.log", "done"),
        ("Ran", "make\\u202e", "trouble"),
        ("Using strange.tool", "", "working"),
    ]
    assert len(shown[1].output) < 20_100
    assert tools.steps(given, "k")[2].state == "done"  # type: ignore[arg-type]


def test_a_run_has_a_name_that_may_stand_in_a_page(app: flask.Flask) -> None:
    key = replace(FIRST, run_id='"><script>').key
    assert key.replace("-", "").isalnum()
