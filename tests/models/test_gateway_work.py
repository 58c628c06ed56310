"""A session key is an address and never a right: where what comes under it belongs, and why nowhere."""

from datetime import timedelta

import pytest

from models import gateway_work
from models.gateway import Gateway
from models.gateway_work import Place
from models.process import host
from models.task import Task
from models.topic import Topic
from models.tray_item import TrayRoute
from tests.cast import Cast
from tests.models.test_behind_gateway import Harbor


@pytest.fixture
def harbor(cast: Cast) -> Harbor:
    return Harbor(cast)


@pytest.fixture
def key(harbor: Harbor) -> str:
    harbor.post("hello")
    task = harbor.claim()
    assert task is not None
    return str(task.session_key)


def place(harbor: Harbor, key: str, *ids: int) -> Place | str:
    return gateway_work.place_of(harbor.session, ids or [harbor.gateway.id], key)


def test_a_key_of_ours_names_topic_and_agent(harbor: Harbor, key: str) -> None:
    expected = Place(harbor.topic.id, harbor.pilot.id, harbor.gateway.id)
    assert place(harbor, key) == place(harbor, key.upper()) == expected


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("hub:", "hub:0", "names no topic"),
        (":topic:", ":topic:9", "is not here"),
        (":creative:", ":creative:9", "do not belong together"),
        ("switchyard:", "switchyard:9", "does not own"),
        ("agent:main", "agent:other", "None of the agents"),
    ],
)
def test_a_key_that_does_not_fit_says_why(harbor: Harbor, key: str, before: str, after: str, why: str) -> None:
    found = place(harbor, key.replace(before, after))
    assert isinstance(found, str) and why in found


def test_another_hubs_key_an_archived_topic_and_another_gateway_fit_nowhere(harbor: Harbor, key: str) -> None:
    other = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert place(harbor, other) == "Its session key belongs to another hub."
    stranger = Gateway(name="Stranger", url="ws://127.0.0.1:2", address="ws://127.0.0.1:2")
    harbor.session.add(stranger)
    harbor.session.flush()
    assert isinstance(place(harbor, key, stranger.id), str)
    harbor.topic.archive(harbor.session, True, harbor.cast.now)
    assert place(harbor, key) == "Its topic was put away."


def test_an_older_hubs_key_without_a_topic_means_the_newest_one_of_that_agent(harbor: Harbor, key: str) -> None:
    old = f"agent:main:collavre:{harbor.cast.alice.id}:creative:{harbor.cast.docs.id}"
    assert place(harbor, old) == Place(harbor.topic.id, harbor.pilot.id, harbor.gateway.id)
    newer = Topic.create(harbor.session, harbor.cast.docs, "Newer", harbor.pilot.id)
    assert place(harbor, old) == Place(newer.id, harbor.pilot.id, harbor.gateway.id)
    assert isinstance(place(harbor, f"agent:main:collavre:{harbor.cast.alice.id}"), str)


def test_a_choice_made_in_the_tray_is_remembered_for_all_runs_of_a_job(harbor: Harbor) -> None:
    job = "agent:main:cron:daily:run:1"
    assert isinstance(place(harbor, job), str)
    TrayRoute.remember(harbor.session, harbor.gateway.id, job, harbor.topic.id, harbor.cast.alice.id)
    found = place(harbor, "agent:main:cron:daily:run:2")
    assert found == Place(harbor.topic.id, harbor.pilot.id, harbor.gateway.id)


def test_what_is_held_at_an_address_is_joined_and_not_taken_by_another(harbor: Harbor) -> None:
    twin = Gateway(name="Twin", url=harbor.gateway.url, address=harbor.gateway.address, token="its key")
    harbor.session.add(twin)
    harbor.session.flush()
    assert harbor.gateway.address not in gateway_work.to_take(harbor.session)
    assert gateway_work.to_join(harbor.session, [harbor.gateway.address]) == {harbor.gateway.address: [twin.id]}


def test_a_process_whose_gateway_was_removed_while_no_hub_ran_is_ended_before_another_takes_its_port(
    harbor: Harbor,
) -> None:
    removed, session = harbor.gateway, harbor.session
    removed.managed, removed.wanted, removed.pid, removed.pid_host = True, False, 4711, host()
    removed.removed_at, removed.held_by, removed.held_until = harbor.cast.now, None, None
    new = Gateway(name="New", url=removed.url, address=removed.address, managed=True)
    session.add(new)
    session.flush()
    assert gateway_work.to_take(session)[removed.address] == [removed.id]
    assert gateway_work.to_join(session, [removed.address]) == {}
    assert Gateway.hold(session, removed.id, 1) is not None
    removed.pid = None
    session.flush()
    assert gateway_work.to_join(session, [removed.address]) == {removed.address: [new.id]}
    Gateway.release(session, removed.id, removed.hold_epoch)
    assert Gateway.hold(session, removed.id, 1) is None
    assert gateway_work.to_take(session)[removed.address] == [new.id]


def test_untold_is_what_was_claimed_and_not_begun_for_a_while_and_what_is_asked_for(harbor: Harbor) -> None:
    task = harbor.post("hello")
    assert harbor.claim() is task

    def untold(*ids: int, after: float) -> list[Task]:
        return gateway_work.untold(harbor.session, harbor.gateway.id, ids, timedelta(seconds=after))

    assert untold(after=3600) == [] and untold(after=-3600) == untold(task.id, after=3600) == [task]
    task.begun(harbor.session, "sent", harbor.cast.now)
    assert untold(after=-3600) == [] and untold(task.id, after=3600) == [task]
    harbor.end(task)
    assert untold(task.id, after=-3600) == []
