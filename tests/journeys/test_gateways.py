"""A real hub and a gateway of the playground: asked, heard, stopped, cut, crashed; compared with the ledger."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from models import gateway_changes
from models.base import database_time
from models.database import reading, transaction
from models.gateway import Gateway
from models.processed_run import ProcessedRun
from tests.conditions import until
from tests.harbor import Harbor
from tests.hub import RunningHub
from tests.journeys.conftest import Alice


@pytest.fixture(scope="module")
def harbor(hub: RunningHub, alice: Alice) -> Iterator[Harbor]:
    """Harbor, connected."""
    joined = Harbor.join(hub, alice.id, alice.token)
    joined.wait_running()
    yield joined
    joined.gateway.crash()


def test_a_question_is_streamed_and_answered_once(harbor: Harbor) -> None:
    topic = harbor.topic()
    task = harbor.ask(topic, "Where are we? [[mock chunks=8 delay=150]]")
    until(lambda: harbor.task(task)["partial"], "the text so far")
    done = harbor.wait(task, "done")
    [entry] = [run for run in harbor.gateway.ledger.runs if run.idempotency_key == done["run_id"]]
    assert harbor.texts(topic)[1:] == [entry.text]
    [_, answer] = harbor.said(topic)
    assert (answer.source, answer.run_id, answer.gateway_id) == ("reply", done["run_id"], harbor.id)


def test_two_questions_get_two_answers_in_order(harbor: Harbor) -> None:
    topic = harbor.topic()
    first = harbor.ask(topic, "one [[mock chunks=4 delay=100]]")
    second = harbor.ask(topic, "two")
    assert harbor.task(second)["status"] == "queued"
    harbor.wait(second, "done")
    assert harbor.task(first)["status"] == "done"
    said = harbor.texts(topic)
    assert said[2].startswith("You said: one") and said[3].startswith("You said: two") and len(said) == 4


def test_stop_reaches_the_gateway_and_what_was_said_is_kept(harbor: Harbor) -> None:
    topic = harbor.topic()
    task = harbor.ask(topic, "a long story [[mock words=200 chunks=200 delay=60]]")
    until(lambda: harbor.task(task)["partial"], "the text so far")
    harbor.call("POST", f"/tasks/{task}/cancel")
    run_id = harbor.task(task)["run_id"]
    until(lambda: harbor.gateway.ledger.run(run_id).state == "aborted", "the gateway to stop")
    until(lambda: len(harbor.said(topic)) == 2, "the part that was said")
    part = harbor.said(topic)[1]
    assert part.cut == "Cancelled by Alice." and part.text.strip() == harbor.gateway.ledger.run(run_id).text.strip()


def test_a_failed_run_says_what_the_gateway_said(harbor: Harbor) -> None:
    topic = harbor.topic()
    task = harbor.ask(topic, "[[mock error=400]]")
    failed = harbor.wait(task, "failed")
    assert failed["why"] == harbor.gateway.ledger.run(failed["run_id"]).error
    assert len([m for m in harbor.said(topic) if m.source == "notice"]) <= 1


def test_a_job_and_an_injection_speak_into_their_topic_once(harbor: Harbor) -> None:
    topic = harbor.topic()
    key = harbor.key(harbor.wait(harbor.ask(topic, "hello"), "done")["id"])
    harbor.gateway.fire_job(key, "Time to look out")
    until(lambda: len(harbor.said(topic)) == 3, "the job's words")
    harbor.gateway.inject(key, "Land ahead", "lookout")
    until(lambda: len(harbor.said(topic)) == 4, "the injected words")
    job, injected = harbor.said(topic)[2:]
    assert (job.source, job.origin, job.agent_id) == ("proactive", "job", harbor.agent_id)
    assert (injected.origin, injected.text) == ("inject", "[lookout]\n\nLand ahead")


def test_what_fits_no_topic_goes_to_the_tray(harbor: Harbor) -> None:
    before = harbor.tray()
    harbor.gateway.inject("agent:main:somewhere-else", "Who goes there?")
    until(lambda: len(harbor.tray()) == len(before) + 1, "the tray")
    assert harbor.tray()[-1].text == "Who goes there?" and harbor.tray()[-1].source == "inject"


def test_a_cut_socket_loses_nothing(harbor: Harbor) -> None:
    topic = harbor.topic()
    task = harbor.ask(topic, "cut me [[mock chunks=20 delay=120]]")
    until(lambda: harbor.task(task)["partial"], "the text so far")
    harbor.gateway.cut()
    done = harbor.wait(task, "done")
    assert harbor.texts(topic)[1:] == [harbor.gateway.ledger.run(done["run_id"]).text]


def test_what_was_said_while_nobody_listened_is_delivered_once(harbor: Harbor) -> None:
    topic = harbor.topic()
    key = harbor.key(harbor.wait(harbor.ask(topic, "hello"), "done")["id"])
    harbor.gateway.faults.refuse = 503
    harbor.gateway.cut()
    until(lambda: not harbor.gateway.connections, "nobody to be there")
    harbor.gateway.inject(key, "said into the void")
    harbor.gateway.faults.refuse = None
    until(lambda: "said into the void" in harbor.texts(topic), "what was missed", 20)
    harbor.gateway.cut()
    harbor.wait(harbor.ask(topic, "and now?"), "done")
    assert harbor.texts(topic).count("said into the void") == 1


def test_a_gateway_that_is_too_busy_to_tell_what_it_has_is_asked_again(harbor: Harbor) -> None:
    topic = harbor.topic()
    task = harbor.ask(topic, "finish unheard [[mock chunks=12 delay=300]]")
    until(lambda: harbor.task(task)["partial"], "the text so far")
    run = harbor.gateway.ledger.run(harbor.task(task)["run_id"])
    harbor.gateway.faults.refuse = 503
    harbor.gateway.cut()
    until(lambda: run.state == "final", "the end that nobody hears")
    harbor.gateway.faults.untold, harbor.gateway.faults.refuse = 1000, None
    until(lambda: "does not tell" in (harbor.task(task)["why"] or ""), "the reason why it is not answered", 20)
    harbor.gateway.faults.untold = 0
    assert (harbor.wait(task, "done")["why"], harbor.texts(topic)[1:]) == (None, [run.text])


def test_a_crash_with_a_run_in_flight_is_answered_once(harbor: Harbor) -> None:
    topic = harbor.topic()
    task = harbor.ask(topic, "survive [[mock chunks=10 delay=200]]")
    until(lambda: harbor.task(task)["partial"], "the text so far")
    harbor.gateway.crash()
    harbor.gateway.start()
    done = harbor.wait(task, "done", 40)
    assert harbor.texts(topic)[1:] == [harbor.gateway.ledger.run(done["run_id"]).text]


def test_a_restart_with_a_run_in_flight_is_answered_once(harbor: Harbor) -> None:
    topic = harbor.topic()
    task = harbor.ask(topic, "survive [[mock chunks=10 delay=200]]")
    until(lambda: harbor.task(task)["partial"], "the text so far")
    harbor.gateway.restart(0.3)
    done = harbor.wait(task, "done", 40)
    assert harbor.texts(topic)[1:] == [harbor.gateway.ledger.run(done["run_id"]).text]


def test_an_end_that_was_left_out_is_found_with_the_next_frame(harbor: Harbor) -> None:
    topic, strange = harbor.topic(), "agent:main:strange-to-us"
    key = harbor.key(harbor.wait(harbor.ask(topic, "hello"), "done")["id"])
    harbor.gateway.faults.drop, harbor.gateway.faults.states = 1.0, ("final",)
    words = "Look out [[mock chunks=4 delay=100]]"
    entries = [harbor.gateway.fire_job(where, words) for where in (key, strange)]
    until(lambda: all(entry.state == "final" for entry in entries), "the ends that nobody hears")
    harbor.gateway.faults.drop = 0.0
    harbor.gateway.inject(key, "the next frame")
    until(lambda: entries[0].text in harbor.texts(topic), "the job's words, from the history", 20)
    until(lambda: entries[1].text in [item.text for item in harbor.tray()], "those of no topic", 20)
    assert harbor.texts(topic).count(entries[0].text) == 1


def test_a_session_of_no_topic_that_was_heard_is_read_again(harbor: Harbor) -> None:
    strange = "agent:main:known-from-the-tray"
    harbor.gateway.inject(strange, "Hail")
    until(lambda: "Hail" in [item.text for item in harbor.tray()], "the tray")
    harbor.gateway.faults.refuse = 503
    harbor.gateway.cut()
    until(lambda: not harbor.gateway.connections, "nobody to be there")
    harbor.gateway.inject(strange, "and farewell")
    harbor.gateway.faults.refuse = None
    until(lambda: "and farewell" in [item.text for item in harbor.tray()], "what was missed", 20)


def test_what_another_asked_is_no_answer_of_ours_while_the_gateway_does_not_tell_whose_it_is(harbor: Harbor) -> None:
    topic, faults = harbor.topic(), harbor.gateway.faults
    key = harbor.key(harbor.wait(harbor.ask(topic, "hello"), "done")["id"])
    faults.drop, faults.states, faults.untold = 1.0, ("delta", "final"), 1000
    task = harbor.ask(topic, "Whose is it?")
    until(lambda: harbor.task(task)["run_id"], "the run")
    ours = harbor.gateway.wait_for(lambda: harbor.gateway.ledger.find(harbor.task(task)["run_id"]))
    until(lambda: ours.state == "final", "the end that nobody hears")
    faults.drop = 0.0
    job = harbor.gateway.fire_job(key, "The job's")
    until(lambda: job.state == "final", "the job")
    untold = faults.untold
    until(lambda: faults.untold < untold - 1, "the hub to ask in vain", 20)
    faults.untold = 0
    harbor.wait(task, "done", 40)
    until(lambda: job.text in harbor.texts(topic), "the job's words", 20)
    assert sorted(harbor.texts(topic)[3:]) == sorted([ours.text, job.text])


def test_a_question_put_into_a_running_turn_takes_nothing_of_it_away(harbor: Harbor) -> None:
    topic, faults = harbor.topic(), harbor.gateway.faults
    key = harbor.key(harbor.wait(harbor.ask(topic, "hello"), "done")["id"])
    job = harbor.gateway.fire_job(key, "Long [[mock chunks=10 delay=150]]")
    until(lambda: harbor.gateway.turns.active[key].streaming, "the job to speak")
    faults.drop, faults.states = 1.0, ("final",)
    task = harbor.ask(topic, "Into it")
    until(lambda: job.state == "final" and "Into it" in job.text, "both in one turn that nobody hears end", 20)
    faults.drop = 0.0
    harbor.gateway.inject(key, "the next frame")
    harbor.wait(task, "done", 40)
    until(lambda: len(harbor.texts(topic)) == 6, "all of it", 20)
    assert sorted(harbor.texts(topic)[3:]) == ["You said: Into it", "You said: Long", "the next frame"]


def test_one_gateway_under_two_addresses_is_told_of_and_speaks_once(harbor: Harbor) -> None:
    url = harbor.gateway.url.replace("127.0.0.1", "localhost")
    with transaction() as session:
        now = database_time(session)
        id = gateway_changes.add(session, None, "Twin", url, (), now, harbor.gateway.token, keep=True).id
    twin = replace(harbor, id=id)
    assert "the same gateway as Harbor" in str(twin.wait_running().reason)
    topic = harbor.topic()
    task = harbor.wait(harbor.ask(topic, "hello"), "done")
    runs = [harbor.gateway.inject("agent:main:of-both", "Ahoy"), harbor.gateway.inject(harbor.key(task["id"]), "Land")]
    asked = [ProcessedRun.run_id.in_([*runs, task["run_id"]]), ProcessedRun.gateway_id.in_([harbor.id, id])]

    def heard() -> int:
        with reading() as session:
            return session.query(ProcessedRun).filter(*asked).count()

    until(lambda: heard() == 6, "both to have heard all three", 20)
    assert harbor.texts(topic)[1:] == ["You said: hello", "Land"] and twin.tray() == []
    assert [item.text for item in harbor.tray()].count("Ahoy") == 1
    with transaction() as session:
        gateway_changes.disconnect(session, session.get_one(Gateway, id), None, database_time(session))


@pytest.mark.parametrize("mode", ["steer", "followup", "collect", "interrupt"])
def test_a_question_beside_another_run_is_answered_once_in_every_queue_mode(harbor: Harbor, mode: str) -> None:
    topic, gateway = harbor.topic(), harbor.gateway
    key = harbor.key(harbor.wait(harbor.ask(topic, "hello"), "done")["id"])
    gateway.settings.queue_mode = mode
    try:
        job = gateway.fire_job(key, "The job [[mock chunks=10 delay=150]]")
        until(lambda: gateway.turns.active[key].streaming, "the job to speak")
        harbor.wait(harbor.ask(topic, f"And in {mode}?"), "done", 40)
        until(lambda: job.state != "running", "the job to end", 20)
        until(lambda: any("The job" in text or "You s" in text for text in harbor.texts(topic)[3:]), "the job's words")
    finally:
        gateway.settings.queue_mode = "steer"
    answers = [message.text for message in harbor.said(topic) if message.task_id is not None]
    assert len(answers) == 2 and f"And in {mode}?" in answers[1]


def test_a_gateway_that_drains_finishes_what_runs_and_lets_nobody_else_in(harbor: Harbor) -> None:
    topic, gateway = harbor.topic(), harbor.gateway
    task = harbor.ask(topic, "to the end [[mock chunks=12 delay=150]]")
    until(lambda: harbor.task(task)["partial"], "the text so far")
    gateway.drain()
    assert harbor.wait(task, "done")["why"] is None
    gateway.cut()
    until(lambda: harbor.row().problem_code == "not_ready", "a new socket to be refused", 20)
    later = harbor.ask(topic, "and later")
    gateway.restart()
    harbor.wait(later, "done", 40)
    assert len(harbor.texts(topic)) == 4


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "going away"), (1008, "slow consumer"), (1011, "oops")]
)
def test_whatever_a_gateway_says_when_it_closes_the_hub_comes_back(harbor: Harbor, code: int, reason: str) -> None:
    harbor.wait_running()
    before = len(harbor.gateway.ledger.connections)
    harbor.gateway.close(code, reason)
    until(lambda: len(harbor.gateway.ledger.connections) > before, "another socket", 20)
    assert harbor.wait_running(20).problem_code is None
