"""Commands that wait for a person: asked, allowed, denied, closed with their run, in both protocols."""

from collections.abc import Callable
from typing import Any

from tests.webapp.playground.gateway_client import EVERYTHING, READ_WRITE, GatewayClient, text_of
from webapp.playground.gateway import PlaygroundGateway

Gateway = Callable[..., PlaygroundGateway]
Client = Callable[..., GatewayClient]
UNAME = 'run [[tool exec {"command":"uname -s"}]]'
CAPS = ("tool-events", "approvals", "exec-approvals")
APPROVER = (*READ_WRITE, "operator.approvals")


def resolve(client: GatewayClient, approval: dict[str, Any], decision: str) -> dict[str, Any]:
    return client.request("exec.approval.resolve", {"id": approval["id"], "decision": decision})


def test_an_allowed_command_goes_on_and_its_result_is_told(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(), EVERYTHING, caps=CAPS)
    run_id = ours.chat(UNAME)
    asked = ours.event("exec.approval.requested")
    request = asked["request"]
    assert (asked["approvalKind"], request["command"], request["runId"]) == ("exec", "uname -s", run_id)
    assert (request["sessionKey"], request["allowedDecisions"]) == ("agent:main:room", ["allow-once", "deny"])
    assert asked["expiresAtMs"] - asked["createdAtMs"] in range(1_799_000, 1_801_000)
    [listed] = ours.request("exec.approval.list")["payload"]
    assert listed["id"] == asked["id"]
    assert not resolve(ours, asked, "allow-always")["ok"]
    assert resolve(ours, asked, "allow-once")["payload"] == {"ok": True}
    resolved = ours.event("exec.approval.resolved")
    assert (resolved["decision"], resolved["resolvedBy"]) == ("allow-once", "gateway-client")
    assert text_of(ours.end(run_id)) == "Tool said: Linux"
    phases = [f["payload"]["data"]["phase"] for f in ours.frames if f.get("event") == "agent" and "phase" in str(f)]
    assert phases.index("waiting-approval") < phases.index("approval-resolved") < phases.index("result")
    assert ours.request("exec.approval.list")["payload"] == []


def test_a_denied_run_goes_on_and_says_so(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(), EVERYTHING, caps=CAPS)
    run_id = ours.chat(UNAME)
    asked = ours.event("exec.approval.requested")
    resolve(ours, asked, "deny")
    text = f"Tool said: Exec denied (gateway id={asked['id']}, user-denied): uname -s"
    assert text_of(ours.end(run_id)) == text


def test_a_decision_stands(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(), EVERYTHING, caps=CAPS)
    run_id = ours.chat(UNAME)
    asked = ours.event("exec.approval.requested")
    resolve(ours, asked, "allow-once")
    ours.end(run_id)
    assert resolve(ours, asked, "allow-once")["ok"]
    assert resolve(ours, asked, "deny")["error"]["details"] == {"reason": "APPROVAL_ALREADY_RESOLVED"}
    assert resolve(ours, {"id": "unknown"}, "deny")["error"]["details"]["reason"] == "APPROVAL_NOT_FOUND"


def test_who_cannot_be_asked_is_denied_at_once(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(), APPROVER, caps=CAPS)
    final = ours.ask(UNAME)
    assert text_of(final) == "Tool said: Exec denied: Headless runs cannot wait for interactive exec approval"


def test_the_sender_and_admins_see_it_and_other_approvers_do_not(gateway: Gateway, client: Client) -> None:
    ours = gateway()
    sender, admin, other = client(ours, EVERYTHING, caps=CAPS), client(ours, EVERYTHING), client(ours, APPROVER)
    run_id = sender.chat(UNAME)
    asked = admin.event("exec.approval.requested")
    assert sender.event("exec.approval.requested") == asked
    ours.decide(asked["id"], "allow-once")
    assert sender.event("exec.approval.resolved")["resolvedBy"] == "playground"
    other.end(run_id)
    assert not [frame for frame in other.frames if str(frame.get("event")).startswith("exec.")]


def test_stopping_the_run_closes_the_question(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(), EVERYTHING, caps=CAPS)
    run_id = ours.chat(UNAME)
    asked = ours.event("exec.approval.requested")
    ours.request("chat.abort", {"sessionKey": "room", "runId": run_id})
    resolved = ours.event("exec.approval.resolved")
    assert (resolved["decision"], resolved["resolvedBy"]) == ("deny", "approval-scope-closed")
    assert ours.end(run_id)["state"] == "aborted"
    assert not resolve(ours, asked, "allow-once")["ok"]


def test_nobody_decides_in_time(gateway: Gateway, client: Client) -> None:
    ours = client(gateway(approval=0.05), EVERYTHING, caps=CAPS)
    run_id = ours.chat(UNAME)
    asked = ours.event("exec.approval.requested")
    assert "approval-timeout" in text_of(ours.end(run_id))
    assert resolve(ours, asked, "deny")["error"]["details"]["reason"] == "APPROVAL_NOT_FOUND"


def test_in_protocol_3_the_run_does_not_wait_and_the_answer_comes_by_itself(gateway: Gateway, client: Client) -> None:
    ours = gateway(protocol=3)
    mine, other = client(ours, APPROVER), client(ours, APPROVER)
    run_id = mine.chat(UNAME)
    assert "message" not in mine.end(run_id)
    asked = other.event("exec.approval.requested")
    assert "approvalKind" not in asked and "runId" not in asked["request"]
    assert asked["request"]["allowedDecisions"] == ["allow-once", "allow-always", "deny"]
    resolve(other, asked, "allow-once")
    final = mine.end(f"exec-approval-followup:{asked['id']}")
    assert "Exec finished" in text_of(final) and text_of(final).endswith("Linux")
    assert ours.ledger.run(final["runId"]).source == "followup"
