"""Gateways as people see them: the table, a problem with its way out, the forms, and who may see none of it."""

import html
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from models import chatting, gateway_agents, gateway_changes
from models.access_token import AccessToken
from models.agent import Agent
from models.base import database_time
from models.chat_session import ChatSession
from models.database import transaction
from models.gateway import Gateway
from models.gateway_request import GatewayRequest, Verb
from models.gateway_states import GatewayState, Happening, Problem
from models.user import Role, User
from tests.conditions import until
from tests.stage import Stage
from tests.statements import counted
from tests.visitor import Visitor, newcomer, words
from webapp import gateway_words
from webapp.pages.gateway_strip import CELLS, strip

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
S = GatewayState


@pytest.fixture
def ops(stage: Stage) -> User:
    """An operator; gateways and wishes of the test before are gone."""
    with transaction() as session:
        session.execute(update(Gateway).where(Gateway.removed_at.is_(None)).values(removed_at=database_time(session)))
        session.execute(delete(GatewayRequest))
    return newcomer(Role.OPERATOR, "Olga")


def added(ops: User, name: str = "office", url: str = "ws://127.0.0.1:18789", token: str | None = "key") -> int:
    with transaction() as session:
        return gateway_changes.add(session, ops, name, url, (), database_time(session), token).id


def happened(id: int, happening: Happening, text: str = "So it is.", **more: Any) -> None:
    with transaction() as session:
        session.get_one(Gateway, id).happened(session, happening, database_time(session), text, **more)


def row(id: int) -> Gateway:
    with transaction() as session:
        return session.get_one(Gateway, id)


@contextmanager
def somebody_answers(act: Callable[[GatewayRequest, Any, Any], None], gateway_id: int | None = None) -> Iterator[None]:
    """A process of the hub that answers the next wish."""

    def answer() -> bool:
        with transaction() as session:
            now = database_time(session)
            found = GatewayRequest.claim(session, gateway_id, 1, now)
            if found is not None:
                act(found, session, now)
            return found is not None

    thread = threading.Thread(target=lambda: until(answer))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def answers(request: GatewayRequest, session: Any, now: Any) -> None:
    told = {"version": "2026.9.6", "protocol": 4, "scopes": ["operator.read", "operator.write"], "latency_ms": 17.6}
    request.done(session, {**told, "agents": [{"id": "main", "name": "Main"}, {"id": "<b>"}]}, now)


def refuses(code: str) -> Callable[[GatewayRequest, Any, Any], None]:
    return lambda request, session, now: request.refuse(session, code, "It said <i>no</i>.", now)


# -- who sees it -------------------------------------------------------------------------------------------------------


def test_only_operators_see_gateways(stage: Stage, ops: User) -> None:
    id = added(ops)
    stranger, member = Visitor(stage.app), stage.visitor(stage.alice)
    member.get("/settings", follow=True)
    for path in ("", "/new", "/new?here=yes", f"/{id}", *(f"/{id}/{one}" for one in FORMS), f"/{id}/timeline.txt"):
        assert stranger.get(f"/gateways{path}").status_code == 303, path
        assert member.get(f"/gateways{path}").status_code == 403, path
    for verb in ("test", "connect", "disconnect", "drain", "resume", "keep", "let-go", "start", "stop", *FORMS):
        assert member.post(f"/gateways/{id}/{verb}").status_code == 403, verb
    assert 'href="/gateways"' not in member.get("/agents").text
    assert row(id).removed_at is None and row(id).wanted


FORMS = ("address", "token", "agents", "remove")


def test_a_form_without_its_token_changes_nothing(stage: Stage, ops: User) -> None:
    id, visitor = added(ops), stage.visitor(ops)
    visitor.token = "stale"
    assert visitor.post(f"/gateways/{id}/disconnect").status_code == 400 and row(id).wanted


# -- the table ---------------------------------------------------------------------------------------------------------


def test_without_a_gateway_the_page_says_the_next_step(stage: Stage, ops: User) -> None:
    page = stage.visitor(ops).get("/gateways")
    assert "No gateway yet" in words(page) and 'href="/gateways/new"' in page.text


def test_the_table_begins_with_the_worst_and_the_header_names_it(stage: Stage, ops: User) -> None:
    office, home = added(ops), added(ops, "home", "ws://127.0.0.1:2")
    happened(office, Happening.CONNECTED)
    happened(home, Happening.REFUSED, problem=Problem.PAIRING, problem_facts={"requestId": "3c54"})
    page = stage.visitor(ops).get("/gateways")
    said = words(page)
    assert "One of two is live. One needs you." in said and "home needs pairing" in said
    assert page.text.index(f'id="gateway-{home}"') < page.text.index(f'id="gateway-{office}"')
    assert "Needs pairing" in said and "Live for" in said
    assert page.text.count('role="img"') == 2 and f'href="/gateways/{home}" id="header-gateway"' in page.text


def test_the_table_costs_the_same_with_more_gateways(stage: Stage, ops: User) -> None:
    added(ops)
    visitor = stage.visitor(ops)
    visitor.get("/gateways")
    with counted() as few:
        visitor.get("/gateways")
    for number in range(6):
        added(ops, f"g{number}", f"ws://127.0.0.1:{100 + number}")
    with counted() as many:
        visitor.get("/gateways")
    assert len(many) == len(few), many


def test_a_strip_counts_the_worst_moment_of_a_cell() -> None:
    begun = NOW - timedelta(hours=24)
    calm = strip([(begun - timedelta(days=3), S.RUNNING)], NOW)
    assert calm == (["live"] * CELLS, "1 day live")
    lost = begun + timedelta(hours=2)
    stood = [(begun, S.RUNNING), (lost, S.RECONNECTING), (lost + timedelta(seconds=12), S.RUNNING)]
    assert [place for place, cell in enumerate(strip(stood, NOW).cells) if cell == "waiting"] == [3]
    assert strip(stood, NOW).says == "23 h live and 1 interruption of 12 s"
    late = strip([(NOW - timedelta(hours=1), S.STARTING), (NOW - timedelta(minutes=30), S.ERROR)], NOW)
    assert late.cells == ["none"] * 34 + ["waiting", "trouble"]
    new = strip([(NOW - timedelta(minutes=5), S.STARTING), (NOW - timedelta(minutes=4), S.RUNNING)], NOW)
    assert (new.cells, new.says) == (["none"] * 35 + ["live"], "4 min live")
    noted = [(NOW - timedelta(minutes=5), S.STARTING), (NOW - timedelta(minutes=4), S.STARTING)]
    assert strip([*noted, (NOW - timedelta(minutes=3), S.RUNNING)], NOW).cells[-1] == "live", "a note on the way"
    stopped = strip([(begun, S.RUNNING), (NOW - timedelta(hours=12), S.STOPPED)], NOW)
    assert (stopped.cells[17], stopped.cells[19], stopped.says) == ("live", "off", "12 h live and 12 h stopped")
    assert strip([], NOW) == (["none"] * CELLS, "Nothing is known yet")


# -- one of them -------------------------------------------------------------------------------------------------------


def test_a_problem_stands_in_plain_words_with_the_command_to_copy(stage: Stage, ops: User) -> None:
    id = added(ops, "home", "ws://127.0.0.1:2")
    facts = {"requestId": "3c54b3d6-91f0"}
    happened(
        id,
        Happening.FAILED,
        "The gateway waits for somebody to approve this hub's device.",
        problem=Problem.PAIRING,
        problem_facts=facts,
        retry_in=timedelta(seconds=20),
        detail="The gateway said “pairing required”, request 3c54.",
    )
    page = stage.visitor(ops).get(f"/gateways/{id}")
    said = words(page)
    assert "home does not know this hub yet" in said and "The token is right." in said
    assert "openclaw devices approve 3c54b3d6-91f0" in said and "data-copy" in page.text
    assert "Looking again in" in said and "This page turns green by itself." in said
    assert "The gateway said “pairing required”, request 3c54." in said
    assert said.index("waits for somebody") < said.index("Olga added it, at ws://127.0.0.1:2.")


def test_what_comes_from_outside_is_data(stage: Stage, ops: User) -> None:
    id = added(ops)
    facts = {"requestId": "1; rm -rf /", "log": ["<script>alert(1)</script>"]}
    happened(id, Happening.REFUSED, "<b>no</b>", problem=Problem.PAIRING, problem_facts=facts)
    page = stage.visitor(ops).get(f"/gateways/{id}")
    assert "<script>alert" not in page.text and "<b>no</b>" not in page.text
    assert "openclaw devices list" in words(page) and "rm -rf" not in page.text


def test_every_problem_has_a_page_of_its_own_words(stage: Stage, ops: User) -> None:
    id, visitor = added(ops), stage.visitor(ops)
    for problem in Problem:
        happened(id, Happening.REFUSED, problem=problem)
        said = words(visitor.get(f"/gateways/{id}"))
        found = gateway_words.SHORT[problem]
        assert found[0] in said and f"office {found[1]}" in said


def test_what_is_wanted_is_a_button(stage: Stage, ops: User) -> None:
    id, visitor = added(ops), stage.visitor(ops)
    visitor.get(f"/gateways/{id}")
    for verb, field, wanted in (
        ("disconnect", "wanted", False),
        ("connect", "wanted", True),
        ("drain", "draining", True),
        ("resume", "draining", False),
        ("let-go", "keep", False),
        ("keep", "keep", True),
    ):
        answer = visitor.post(f"/gateways/{id}/{verb}")
        assert (answer.status_code, answer.location) == (303, f"/gateways/{id}")
        assert getattr(row(id), field) is wanted, verb
    refused = visitor.post(f"/gateways/{id}/start")
    assert refused.status_code == 409 and "office is not started by this hub" in words(refused)
    assert visitor.post("/gateways/999999/connect").status_code == 404


def test_draining_says_what_is_left_and_how_to_end_it(stage: Stage, ops: User) -> None:
    id, visitor = added(ops), stage.visitor(ops)
    happened(id, Happening.CONNECTED)
    visitor.get(f"/gateways/{id}")
    page = visitor.post(f"/gateways/{id}/drain", follow=True)
    assert "Draining" in words(page) and "0 runs left" in words(page) and "Let it take work again" in words(page)


def test_a_test_shows_what_it_found(stage: Stage, ops: User) -> None:
    id, visitor = added(ops), stage.visitor(ops)
    visitor.get(f"/gateways/{id}")
    with somebody_answers(answers, id):
        page = visitor.post(f"/gateways/{id}/test", follow=True)
    said = words(page)
    assert "It answers in 18 ms Version 2026.9.6, protocol 4 May read, write Agents 2 found: main, &lt;b&gt;" in said
    with somebody_answers(refuses("token_refused"), id):
        page = visitor.post(f"/gateways/{id}/test", follow=True)
    assert "It refused the token" in words(page) and "It said &lt;i&gt;no&lt;/i&gt;." in words(page)
    for asked in ("999999", "x"):
        assert "It answers" not in words(visitor.get(f"/gateways/{id}?asked={asked}"))


def test_a_test_that_nobody_answered_yet_says_so(stage: Stage, ops: User) -> None:
    id = added(ops)
    with transaction() as session:
        asked = GatewayRequest.ask(session, Verb.TEST, id, ops, database_time(session)).id
    assert "No answer yet" in words(stage.visitor(ops).get(f"/gateways/{id}?asked={asked}"))


def test_the_timeline_is_there_as_text(stage: Stage, ops: User) -> None:
    id = added(ops)
    happened(id, Happening.LOST, "The socket was closed.", detail="code 1012,\nservice restart")
    found = stage.visitor(ops).get(f"/gateways/{id}/timeline.txt")
    assert found.mimetype == "text/plain"
    assert re.search(r"Z  lost +The socket was closed\.\n +code 1012, service restart\n.*Z  wanted +Olga", found.text)


# -- adding ------------------------------------------------------------------------------------------------------------


def test_a_draft_is_tested_and_then_saved_without_typing_the_token_again(stage: Stage, ops: User) -> None:
    visitor = stage.visitor(ops)
    visitor.get("/gateways/new")
    draft = {"name": "office", "url": "ws://127.0.0.1:18789"}
    with somebody_answers(answers):
        page = visitor.post("/gateways/new", **draft, token="s3cret-words", do="test")
    assert page.status_code == 200 and "It answers" in words(page) and "s3cret-words" not in page.text
    # With script, Turbo takes only a redirect or a refusal for the answer to a form.
    assert 'action="/gateways/new" data-turbo="false"' in page.text
    assert page.text.index("It answers") < page.text.index('value="save"')
    kept = html.unescape(re.search(r'name="kept" value="([^"]+)"', page.text)[1])  # type: ignore[index]
    saved = visitor.post("/gateways/new", **draft, token="", kept=kept, do="save")
    assert saved.status_code == 303
    office = row(int(saved.location.rsplit("/", 1)[1]))
    assert (office.name, office.token, office.wanted) == ("office", "s3cret-words", True)


def test_what_a_test_was_refused_for_stands_before_the_button(stage: Stage, ops: User) -> None:
    visitor = stage.visitor(ops)
    visitor.get("/gateways/new")
    with somebody_answers(refuses("pairing")):
        page = visitor.post("/gateways/new", name="home", url="ws://127.0.0.1:1", token="t", do="test")
    said = words(page)
    assert page.status_code == 422 and "It does not know this hub yet" in said and "pairing_required" in said
    assert "Save it all the same" in said and 'value="home"' in page.text


def test_a_refused_form_keeps_what_was_typed_and_names_the_field(stage: Stage, ops: User) -> None:
    added(ops)
    visitor = stage.visitor(ops)
    visitor.get("/gateways/new")
    for given, sentence in (
        ({"name": "OFFICE", "url": "ws://127.0.0.1:3"}, "There is a gateway named OFFICE here."),
        ({"name": "far", "url": "ws://example.org"}, "Use wss:// for example.org"),
        (
            {"name": "twin", "url": "ws://127.0.0.1:18789", "token": "other"},
            "office uses this address with another token.",
        ),
    ):
        for do in ("test", "save"):
            page = visitor.post("/gateways/new", **{"token": "", **given}, do=do)
            assert page.status_code == 422 and sentence in words(page), (given, do)
            assert f'value="{given["name"]}"' in page.text and "other" not in re.findall(r'value="([^"]*)"', page.text)


def test_a_kept_token_of_another_hub_is_none(stage: Stage, ops: User) -> None:
    visitor = stage.visitor(ops)
    visitor.get("/gateways/new")
    saved = visitor.post("/gateways/new", name="x", url="ws://127.0.0.1:9", token="", kept="0badc0de:x", do="save")
    assert row(int(saved.location.rsplit("/", 1)[1])).token is None


def test_a_gateway_of_this_machine_is_saved_and_not_started(stage: Stage, ops: User) -> None:
    visitor = stage.visitor(ops)
    assert "Nothing starts until you press Start." in words(visitor.get("/gateways/new?here=yes"))
    given = {"name": "lab", "port": "18802", "command": "openclaw gateway --name 'my lab'", "token": ""}
    saved = visitor.post("/gateways/new/here", **given, env="A=1\n\nB=x=y")
    lab = row(int(saved.location.rsplit("/", 1)[1]))
    assert (lab.command, lab.env, lab.wanted) == (
        ["openclaw", "gateway", "--name", "my lab"],
        '{"A":"1","B":"x=y"}',
        False,
    )
    page = visitor.get(saved.location)
    assert "Stopped" in words(page) and f'action="/gateways/{lab.id}/start"' in page.text
    for wrong, sentence in (
        ({"port": "x"}, "Give the port it listens on"),
        ({"port": "9" * 5_000}, "Give the port it listens on"),
        ({"command": "a 'b"}, "A quotation mark has no end."),
        ({"env": "A"}, "Write NAME=VALUE"),
    ):
        page = visitor.post("/gateways/new/here", **{**given, "name": "lab 2", "port": "3", "env": "", **wrong})
        assert page.status_code == 422 and sentence in words(page)


# -- changing ----------------------------------------------------------------------------------------------------------


def test_another_address_drops_the_token_and_says_so_before(stage: Stage, ops: User) -> None:
    id, visitor = added(ops), stage.visitor(ops)
    assert "its token is dropped" in words(visitor.get(f"/gateways/{id}/address"))
    renamed = visitor.post(f"/gateways/{id}/address", name="desk", url="ws://127.0.0.1:18789", token="")
    assert renamed.status_code == 303 and (row(id).name, row(id).token) == ("desk", "key")
    visitor.post(f"/gateways/{id}/address", name="desk", url="ws://127.0.0.1:4", token="")
    assert (row(id).address, row(id).token) == ("ws://127.0.0.1:4", None)
    refused = visitor.post(f"/gateways/{id}/address", name="desk", url="http://x", token="")
    assert refused.status_code == 422 and "must begin with ws://" in words(refused)


def test_another_token_is_written_and_never_read(stage: Stage, ops: User) -> None:
    id, visitor = added(ops), stage.visitor(ops)
    happened(id, Happening.REFUSED, problem=Problem.TOKEN_REFUSED)
    page = visitor.get(f"/gateways/{id}/token")
    assert 'placeholder="unchanged"' in page.text and 'value="key"' not in page.text
    assert "Enter the new token." in words(visitor.post(f"/gateways/{id}/token", token=" "))
    page = visitor.post(f"/gateways/{id}/token", token="zebra-9", follow=True)
    assert (row(id).token, row(id).state) == ("zebra-9", "starting")
    assert "Olga replaced the token." in words(page) and "zebra-9" not in page.text


def test_a_gateway_lists_its_agents_and_one_is_put_to_work(stage: Stage, ops: User) -> None:
    id, visitor = added(ops), stage.visitor(ops)
    page = visitor.get(f"/gateways/{id}/agents")
    assert "Or ask the gateway which it has." in words(page)

    def lists(request: GatewayRequest, session: Any, now: Any) -> None:
        office = session.get_one(Gateway, id)
        office.listed_agents, office.listed_at = (
            [{"id": "main", "name": "Main"}, {"id": "ledger", "name": "Books"}],
            now,
        )
        request.done(session, {}, now)

    with somebody_answers(lists, id):
        page = visitor.post(f"/gateways/{id}/agents", name="", gateway_agent_id="", owner="", do="list")
    assert '<option value="ledger">ledger, Books</option>' in page.text
    done = visitor.post(f"/gateways/{id}/agents", name="rower", gateway_agent_id="main", owner=str(stage.alice.id))
    assert done.status_code == 303
    page = visitor.get(f"/gateways/{id}")
    assert "Olga put Alice’s agent rower behind it, as main." in words(page)
    nobody = visitor.post(f"/gateways/{id}/agents", name="bow", gateway_agent_id="main", owner="9" * 5_000)
    assert nobody.status_code == 422 and "Choose whose agent it is." in words(nobody)
    again = visitor.post(f"/gateways/{id}/agents", name="rower", gateway_agent_id="main", owner=str(stage.alice.id))
    assert again.status_code == 422 and "Alice has an agent named rower." in words(again)
    with somebody_answers(refuses("unreachable"), id):
        refused = visitor.post(f"/gateways/{id}/agents", name="", gateway_agent_id="", owner="", do="list")
    assert refused.status_code == 422


def test_what_a_person_does_with_a_gateway_says_who_and_from_where(stage: Stage, ops: User) -> None:
    id, olga = added(ops), stage.visitor(ops)
    olga.address = "10.4.5.6"
    olga.get(f"/gateways/{id}")
    assert olga.post(f"/gateways/{id}/disconnect").status_code == 303
    with transaction() as session:
        _, token = AccessToken.create(session, session.merge(ops), "script", database_time(session))
    headers = {"Authorization": f"Bearer {token}"}
    gone = olga.client.delete(f"/api/v1/gateways/{id}", headers=headers, environ_base={"REMOTE_ADDR": "10.7.8.9"})
    assert gone.status_code == 204
    shown = words(olga.get(f"/activity?user={ops.id}&gateway={id}"))
    assert "Olga removed the gateway office. from 10.7.8.9" in shown and "from 10.4.5.6" in shown


def test_removing_says_first_what_is_lost(stage: Stage, ops: User) -> None:
    id, visitor = added(ops), stage.visitor(ops)
    with transaction() as session:
        owner = session.get_one(User, stage.alice.id)
        gateway = gateway_changes.locked(session, id)
        pilot = gateway_agents.add(session, ops, owner, "pilot", gateway, "main").id
        chat = chatting.open_chat(session, owner, pilot, chatting.Chosen(), database_time(session)).chat.id
    stage.post("Count them", topic_id=stage.topic("Invoices", pilot))
    said = words(visitor.get(f"/gateways/{id}/remove"))
    assert "One chat with it can be read, and not go on." in said
    assert "Its agent is removed: pilot. What it said stays." in said and "One open task is cancelled." in said
    assert "One topic loses its agent" in said and row(id).removed_at is None
    page = visitor.post(f"/gateways/{id}/remove", follow=True)
    assert "office is removed." in words(page) and visitor.get(f"/gateways/{id}").status_code == 404
    with transaction() as session:
        assert session.get_one(Agent, pilot).removed_at is not None
        assert ChatSession.get(session, chat).state == "expired"


# -- elsewhere ---------------------------------------------------------------------------------------------------------


def test_agents_say_behind_which_gateway_they_live_and_how_that_stands(stage: Stage, ops: User) -> None:
    id = added(ops)
    with transaction() as session:
        owner = session.get_one(User, stage.alice.id)
        pilot = gateway_agents.add(session, ops, owner, "pilot", gateway_changes.locked(session, id), "main").id
    alice = stage.visitor(stage.alice)

    def told() -> str:
        page = alice.get("/agents").text
        found = re.search(rf'(?s)<tr role="row" id="agent-{pilot}">(.*?)</tr>', page)
        assert found is not None
        return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<svg.*?</svg>", " ", found[1])).split())

    assert "Waits office is starting office gateway agent main" in told()
    happened(id, Happening.CONNECTED)
    assert "Live free office gateway agent main" in told()
    happened(id, Happening.REFUSED, problem=Problem.PAIRING)
    assert "Cannot take work office needs pairing" in told()
    header = alice.get("/agents")
    assert "office needs pairing" in words(header) and 'href="/agents" id="header-gateway"' in header.text
    page = words(alice.get(f"/agents/{pilot}"))
    assert "Yours, on office." in page and "Where it lives" in page
    assert 'id="header-gateway"' not in stage.visitor(stage.mallory).get("/agents").text


def test_operators_find_the_way_to_agents_behind_gateways(stage: Stage, ops: User) -> None:
    id = added(ops)
    assert f'href="/gateways/{id}/agents"' in stage.visitor(ops).get("/agents/connect").text
    assert "Behind a gateway" not in words(stage.visitor(stage.alice).get("/agents/connect"))


@pytest.mark.parametrize(
    ("states", "said", "short"),
    [
        ([S.RUNNING, S.RUNNING], "All gateways live", "Live"),
        ([S.RUNNING], "g0 is live", "Live"),
        ([S.RUNNING, S.STOPPED], "1 of 2 gateways live", "Live"),
        ([S.STOPPED, S.STOPPED], "All gateways are stopped", "All stopped"),
        ([S.RUNNING, S.RECONNECTING], "g1 is reconnecting", "1 not ready"),
        ([S.ERROR, S.ERROR, S.RUNNING], "2 gateways in trouble", "2 in trouble"),
    ],
)
def test_the_header_says_the_worst_in_few_words(states: list[GatewayState], said: str, short: str) -> None:
    rows = [Gateway(id=n, name=f"g{n}", state=state, draining=False) for n, state in enumerate(states)]
    found = gateway_words.worst(rows)
    assert found is not None and (found.words, found.short) == (said, short)
    assert gateway_words.worst([]) is None
