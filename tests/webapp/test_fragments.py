"""What is pushed to open pages: the same bytes as the page itself shows."""

import re
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from models.agent import Agent
from models.broadcast import Broadcast
from models.database import transaction
from models.gateway import Gateway
from models.message import Message, Source
from models.task import TaskStatus
from tests.stage import Stage
from webapp import fragments, running
from webapp.cable import payloads

TOKEN = re.compile(r'<input type="hidden" name="csrf_token" value="[^"]+">')
TEMPLATES = re.compile(r"(?s)<template>(.*?)</template>")
# The one thing that goes on between two renderings.
TICKING = re.compile(r'(data-mode="(?:span|seen|left|deadline|ago)"[^>]*>)[^<]*|stroke-dasharray="\d+ 100"')


def pushed(stream: str) -> list[str]:
    """What the page is given, one for each action."""
    return [still(inner) for inner in TEMPLATES.findall(stream)]


def still(text: str) -> str:
    """Without what ticks, and without the form's token, which is the reader's own."""
    return TICKING.sub(r"\1", TOKEN.sub("", text))


def heard(kind: str, **ids: int) -> Any:
    """What the listener reads for a nudge."""
    return payloads.READERS[kind]([Broadcast("topic:1", kind, ids)])[0]


def log(stage: Stage) -> str:
    """The log of the topic page as Alice's browser gets it."""
    text = stage.visitor(stage.alice).get(f"/topics/{stage.topic_id}").text
    return still(text[text.index('id="messages"') : text.index('id="new-below"')])


def test_a_message_is_pushed_as_the_page_shows_it(stage: Stage) -> None:
    first, second = stage.post("**One** of two").message.id, stage.post("and `two`").message.id
    page = log(stage)
    for id in (first, second):
        [article] = pushed(fragments.message(heard("message", message=id)))
        assert without_delivery(article) in without_delivery(page), id
    assert "data-continued" in pushed(fragments.message(heard("message", message=second)))[0]


def test_a_message_says_where_it_came_from_and_why_it_is_not_whole(stage: Stage) -> None:
    with transaction() as session:
        gateway = Gateway(name="office", url="ws://127.0.0.1:7", address="ws://127.0.0.1:7")
        session.add(gateway)
        session.flush()
        about = {"agent_id": stage.scout_id, "gateway_id": gateway.id, "run_id": "run-7"}
        said = [
            Message.add(session, stage.topic_id, "Half of", Source.PROACTIVE, origin="job", cut="Stopped.", **about).id,
            Message.add(session, stage.topic_id, "Whole", Source.REPLY, origin="resumed", task_id=None, **about).id,
        ]
    unasked, reply = (pushed(fragments.message(heard("message", message=id)))[0] for id in said)
    assert 'unasked, from office, a scheduled job, <a class="at"' in unasked
    assert re.search(r'<p class="cut">.*data-state="off".*Stopped\.', unasked)
    assert 'on office, a run that was resumed, <a class="at"' in reply and 'class="cut"' not in reply
    assert f'data-run="{running.key(gateway.id, "run-7")}"' in reply
    page = log(stage)
    assert without_delivery(unasked) in without_delivery(page)


def without_delivery(text: str) -> str:
    """Without the word under a message, which the fragment of its work replaces."""
    return re.sub(r'(?s)<p class="delivery".*?</p>', "", text)


def test_work_is_pushed_as_the_page_shows_it_in_every_state(stage: Stage) -> None:
    stage.away()
    task = stage.post("Find out why").tasks[0].id
    check(stage, task)
    token = stage.connect()
    check(stage, task)
    stage.disconnect(token)
    check(stage, task)
    stage.end(task, TaskStatus.CANCELLED, "scout dropped and did not come back in time.")
    check(stage, task)


def check(stage: Stage, task: int) -> None:
    page, parts = log(stage), pushed(fragments.work(heard("task", task=task)))
    assert len(parts) == 2, parts
    for part in parts:
        assert part.strip() in page, part


def test_the_lamp_beside_a_card_says_the_state_and_the_title_the_rest(stage: Stage) -> None:
    stage.away()
    task = stage.post("Find out why").tasks[0].id
    assert ">Queued</span>" in log(stage) and log(stage).count("Waiting for scout") == 1
    stage.end(task, TaskStatus.CANCELLED, "scout dropped and did not come back in time.")
    assert ">Cancelled</span>" in log(stage) and log(stage).count("The task for scout was cancelled") == 1


def test_work_that_is_over_is_taken_away(stage: Stage) -> None:
    stage.away()
    task = stage.post("Find out why").tasks[0].id
    stage.connect()
    stage.answer(task, "Because.")
    stream = fragments.work(heard("task", task=task))
    assert f'<turbo-stream action="remove" target="task-{task}-on-rail"></turbo-stream>' in stream
    assert "append" not in stream
    stage.away()


def test_merged_work_stands_below_its_last_message_alone(stage: Stage) -> None:
    stage.away()
    first, second = stage.post("One"), stage.post("Two")
    task = first.tasks[0].id
    assert second.tasks[0].id == task
    stream = fragments.work(heard("task", task=task))
    assert stream.count(f'id="task-{task}-on-rail"') == 1
    assert f'data-message="{second.message.id}"' in stream
    page = log(stage)
    assert page.index(f'id="message-{second.message.id}"') < page.index(f'id="task-{task}-on-rail"')


def test_what_is_pushed_carries_nobodys_token(stage: Stage) -> None:
    stage.away()
    task = stage.post("Find out why").tasks[0].id
    stream = fragments.work(heard("task", task=task))
    assert "/cancel" in stream and "csrf_token" not in stream


def test_a_batch_gives_each_task_its_own_messages(stage: Stage) -> None:
    stage.away()
    here, there = stage.post("Here"), stage.post("There", topic_id=stage.topic("Other", stage.scout_id))
    nudges: Sequence[Broadcast] = [
        Broadcast("topic:1", "task", {"task": posted.tasks[0].id}) for posted in (here, there)
    ]
    one, other = (fragments.work(found) for found in payloads.read_tasks(nudges))
    assert f"delivery-{here.message.id}" in one and f"delivery-{there.message.id}" not in one
    assert f"delivery-{there.message.id}" in other


def test_a_name_with_markup_stays_a_name(stage: Stage) -> None:
    with transaction() as session:
        session.get_one(Agent, stage.scout_id).handle = "<b>x"
    token = stage.connect()
    task = stage.post("Find out why").tasks[0].id
    stage.disconnect(token)
    stream = fragments.work(heard("task", task=task))
    assert "<b>" not in stream and str(Markup("&lt;b&gt;x dropped")) in stream
    stage.away()


def test_a_time_within_a_sentence_is_one_the_browser_keeps_true(stage: Stage) -> None:
    with transaction() as session:
        at = session.get_one(Message, stage.post("x").message.id).created_at
    assert str(fragments.moment(at, "seconds")).startswith('<time datetime="')
