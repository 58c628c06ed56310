"""What a gateway calls its commands: kept whole or by digest, and told back as it was said."""

from models import exec_approvals
from models.exec_approvals import Command, kept
from models.gateway_request import GatewayRequest, Verb
from models.permission_request import Behavior
from tests.cast import Cast
from tests.models.test_behind_gateway import Harbor


def test_long_ids_are_kept_apart_and_within_what_a_row_holds() -> None:
    one, other = "x" * 300, "x" * 299 + "y"
    assert kept("short") == "short" and kept("z" * 255) == "z" * 255
    assert kept(one) != kept(other) and len(kept(one)) == 255
    assert kept(kept(one)) == kept(one)


def test_a_decision_is_told_under_the_whole_id(cast: Cast) -> None:
    harbor, id = Harbor(cast), "approval-" * 60
    harbor.post("look")
    task = harbor.claim()
    assert task is not None
    asked = Command(id, str(task.session_key), task.run_id, "uname -s", ["allow-once", "deny"], None, {"cwd": "/"})
    ids = [harbor.gateway.id]
    request = exec_approvals.ask(harbor.session, harbor.topic, ids, asked)
    assert request is not None and exec_approvals.found(harbor.session, ids, id) is request
    assert exec_approvals.still_open(harbor.session, ids) == [kept(id)]
    request.behavior = Behavior.ALLOW
    exec_approvals.tell(harbor.session, request, cast.now)
    [told] = harbor.session.query(GatewayRequest).filter_by(verb=Verb.RESOLVE_APPROVAL, gateway_id=ids[0])
    assert (told.given["id"], told.given["decision"]) == (id, "allow-once")
