"""What people decide about gateways, and what is lost with one that is removed."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models import gateway_changes, gateway_removal
from models.activity import Activity
from models.agent import Agent, AgentKind
from models.errors import Invalid, KeyDiffers, NameTaken, NotFound, UrlRefused, WrongState
from models.gateway import Gateway
from models.gateway_states import GatewayState, Happening, Problem
from models.task import Task
from models.topic import Topic
from models.user import User
from tests.cast import Cast

URL = "ws://127.0.0.1:18789"


def added(session: Session, cast: Cast, name: str = "office", url: str = URL, token: str | None = "key") -> Gateway:
    return gateway_changes.add(session, cast.alice, name, url, (), cast.now, token)


def managed(session: Session, cast: Cast, **more: object) -> Gateway:
    given = {"name": "lab", "port": 18802, "command": ["openclaw", "gateway"], "env": {"MODEL": "small"}, **more}
    return gateway_changes.add_managed(session, cast.alice, hosts=(), now=cast.now, **given)


def lines(session: Session, gateway: Gateway) -> list[str]:
    mine = select(Activity.text).where(Activity.gateway_id == gateway.id).order_by(Activity.id)
    return list(session.scalars(mine))


def in_trouble(session: Session, cast: Cast, gateway: Gateway) -> None:
    gateway.happened(session, Happening.REFUSED, cast.now, "It refused the token.", problem=Problem.TOKEN_REFUSED)


def test_one_that_runs_elsewhere_is_wanted_at_once(session: Session, cast: Cast) -> None:
    office = added(session, cast, url="WS://LocalHost:18789/")
    assert (office.wanted, office.state, office.address) == (True, "starting", "ws://localhost:18789")
    assert (office.created_by, office.token_set_at) == (cast.alice.id, cast.now)
    assert lines(session, office) == ["Alice added it, at ws://localhost:18789."]
    assert "key" not in session.scalar(text("SELECT token FROM gateways"))


def test_a_name_is_taken_in_any_case_until_its_gateway_is_removed(session: Session, cast: Cast) -> None:
    office = added(session, cast)
    with pytest.raises(NameTaken):
        added(session, cast, "OFFICE", "ws://127.0.0.1:1")
    gateway_removal.remove(session, office.id, cast.alice, cast.now)
    assert added(session, cast, "Office").id != office.id


def test_one_address_has_one_token(session: Session, cast: Cast) -> None:
    office = added(session, cast)
    assert added(session, cast, "twin", "ws://127.0.0.1:18789/").address == office.address
    for token in ("other", None):
        with pytest.raises(KeyDiffers, match="office uses this address with another token"):
            added(session, cast, "third", token=token)
    lab = added(session, cast, "lab", "ws://127.0.0.1:1", None)
    with pytest.raises(KeyDiffers):
        gateway_changes.move(session, lab, cast.alice, URL, (), cast.now, "other")
    gateway_changes.move(session, lab, cast.alice, URL, (), cast.now, "key")
    assert lab.address == office.address


def test_a_url_that_may_not_be_stored_is_refused(session: Session, cast: Cast) -> None:
    for url in ("", "http://127.0.0.1", "ws://example.org", "ws://10.0.0.7:1", "wss://169.254.169.254"):
        with pytest.raises(UrlRefused):
            added(session, cast, url=url)
    assert gateway_changes.add(session, cast.alice, "vps", "ws://gw.test", {"gw.test"}, cast.now).wanted


def test_another_address_drops_token_and_device(session: Session, cast: Cast) -> None:
    office = added(session, cast)
    office.device_key, office.device_token, office.version = "d", "t", "2026.9"
    gateway_changes.move(session, office, cast.alice, "ws://127.0.0.1:2", (), cast.now)
    assert (office.token, office.token_set_at, office.device_key, office.device_token) == (None,) * 4
    assert (office.version, office.changed_at) == (None, cast.now)
    assert lines(session, office)[-1] == (
        "Alice replaced the address: ws://127.0.0.1:2. The old token was dropped, a new one is needed."
    )
    gateway_changes.rotate(session, office, cast.alice, "new", cast.now)
    gateway_changes.move(session, office, cast.alice, "ws://127.0.0.1:2/", (), cast.now)
    assert office.token == "new"


def test_a_new_token_is_tried_by_all_that_share_the_address(session: Session, cast: Cast) -> None:
    office, twin = added(session, cast), added(session, cast, "twin")
    in_trouble(session, cast, office)
    in_trouble(session, cast, twin)
    gateway_changes.rotate(session, twin, cast.alice, " new ", cast.now)
    assert [(one.token, one.state, one.problem_code) for one in (office, twin)] == [("new", "starting", None)] * 2
    assert lines(session, office)[-1] == "Alice replaced the token."
    with pytest.raises(Invalid, match="no token"):
        gateway_changes.rotate(session, twin, cast.alice, "a\x00b", cast.now)


def test_connecting_tries_again_and_disconnecting_stops(session: Session, cast: Cast) -> None:
    office = added(session, cast)
    in_trouble(session, cast, office)
    gateway_changes.connect(session, office, cast.alice, cast.now)
    assert (office.state, office.wanted) == (GatewayState.STARTING, True)
    gateway_changes.disconnect(session, office, cast.alice, cast.now)
    assert (office.state, office.wanted) == (GatewayState.STOPPED, False)
    assert lines(session, office)[-2:] == ["Alice connected it.", "Alice disconnected it."]


def test_connecting_what_runs_changes_no_state(session: Session, cast: Cast) -> None:
    office = added(session, cast)
    office.happened(session, Happening.CONNECTED, cast.now, "Connected.")
    gateway_changes.connect(session, office, None, cast.now)
    assert (office.state, office.connection, office.connected_at) == ("running", "connected", cast.now)
    assert lines(session, office)[-1] == "The command line connected it."


def test_draining_and_keeping_are_said_once(session: Session, cast: Cast) -> None:
    office = added(session, cast)
    for _ in range(2):
        gateway_changes.drain(session, office, cast.alice)
        gateway_changes.keep(session, office, cast.alice, False)
    gateway_changes.resume(session, office, cast.alice)
    assert (office.draining, office.keep) == (False, False)
    assert [line.split()[1] for line in lines(session, office)[1:]] == ["drains", "lets", "lets"]
    gateway_changes.rename(session, office, cast.alice, "desk")
    assert lines(session, office)[-1] == "Alice renamed it: it was office."


def test_a_managed_one_starts_nothing_until_it_is_told_to(session: Session, cast: Cast) -> None:
    lab = managed(session, cast)
    assert (lab.wanted, lab.state, lab.url, lab.managed) == (False, "stopped", "ws://127.0.0.1:18802", True)
    assert lab.token is not None and len(lab.token) > 30
    assert lab.env == '{"MODEL":"small"}' and "small" not in session.scalar(text("SELECT env FROM gateways"))
    gateway_changes.start(session, lab, cast.alice, cast.now)
    assert (lab.wanted, lab.state) == (True, "starting")
    gateway_changes.restart(session, lab, cast.alice, cast.now)
    assert lab.restart_wanted_at == cast.now
    gateway_changes.stop(session, lab, cast.alice, cast.now)
    assert (lab.wanted, lab.state, lab.restart_wanted_at) == (False, "stopped", None)


def test_a_process_that_lives_is_stopped_by_who_holds_it(session: Session, cast: Cast) -> None:
    lab = managed(session, cast)
    gateway_changes.start(session, lab, cast.alice, cast.now)
    lab.pid = 4121
    gateway_changes.stop(session, lab, cast.alice, cast.now)
    assert (lab.wanted, lab.state, lines(session, lab)[-1]) == (False, "starting", "Alice stops it.")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"port": 0}, "port"),
        ({"port": None}, "port"),
        ({"command": []}, "command"),
        ({"command": ["  "]}, "command"),
        ({"command": ["run", "--token=s3cret"], "token": "s3cret"}, "command"),
        ({"env": {"A B": "1"}}, "env"),
        ({"env": {"OPENCLAW_GATEWAY_PORT": "1"}}, "env"),
        ({"name": " "}, "name"),
    ],
)
def test_what_does_not_start_a_process_is_refused_with_its_field(
    session: Session, cast: Cast, wrong: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        managed(session, cast, **wrong)
    assert list(refused.value.fields) == [field]


def test_two_processes_have_two_ports(session: Session, cast: Cast) -> None:
    managed(session, cast)
    with pytest.raises(Invalid, match="Port 18802 is lab’s"):
        managed(session, cast, name="lab 2")


def test_what_runs_elsewhere_is_not_started_here(session: Session, cast: Cast) -> None:
    office = added(session, cast)
    for verb in (gateway_changes.start, gateway_changes.stop, gateway_changes.restart):
        with pytest.raises(WrongState, match="runs elsewhere"):
            verb(session, office, cast.alice, cast.now)
    with pytest.raises(WrongState):
        gateway_changes.move(session, managed(session, cast), cast.alice, URL, (), cast.now)


def behind(session: Session, owner: User, gateway: Gateway, handle: str) -> Agent:
    agent = Agent(
        owner_id=owner.id,
        kind=AgentKind.GATEWAY,
        handle=handle,
        name=handle,
        identity_key=f"test-{handle}",
        vendor="openclaw",
        model="openclaw",
        gateway_id=gateway.id,
        gateway_agent_id="main",
    )
    session.add(agent)
    session.flush()
    return agent


def test_removing_one_says_first_what_is_lost_and_then_does_it(session: Session, cast: Cast) -> None:
    office = added(session, cast)
    pilot = behind(session, cast.alice, office, "pilot")
    topic = Topic.create(session, cast.docs, "Invoices", pilot.id)
    topic.post(session, cast.alice, "Count them", cast.now)
    lost = gateway_removal.loss(session, office)
    assert (lost.agents, lost.open_tasks, lost.topics) == (["pilot"], 1, 1)
    gateway_removal.remove(session, office.id, cast.alice, cast.now)
    task = session.scalars(select(Task).where(Task.agent_id == pilot.id)).one()
    assert (task.status, task.why) == ("cancelled", "Alice removed the gateway office.")
    assert pilot.removed_at == cast.now and (office.token, office.wanted, office.state) == (None, False, "stopped")
    for find in (lambda: gateway_changes.found(session, office.id), lambda: gateway_changes.named(session, "office")):
        with pytest.raises(NotFound):
            find()
