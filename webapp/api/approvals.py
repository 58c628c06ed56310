"""What agents ask of people: to look at, and to decide, once. Programs that speak for an agent decide nothing."""

import msgspec

from models import deciding, listing
from models.errors import Forbidden
from models.permission_request import ApprovalStatus, Behavior, PermissionRequest
from webapp import prompts
from webapp.acting import acted
from webapp.api.approval import Approval, Approvals, shown
from webapp.api.door import Ask, Calls
from webapp.api.fields import After, Limit

calls = Calls.named("approvals")


class ApprovalsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which approvals."""

    limit: Limit = 50
    after: After | None = None
    status: ApprovalStatus | None = None


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What is decided: one of the approval's `allowed`."""

    behavior: str
    reason: str | None = None


@calls.call("GET", "/approvals", takes=ApprovalsAsked, gives=Approvals)
def list_approvals(ask: Ask[ApprovalsAsked]) -> Approvals:
    """What the person may decide, or could have decided."""
    given, query = ask.given, listing.approvals(ask.user)
    if given.status is not None:
        query = query.where(PermissionRequest.status == given.status)
    rows, more = listing.page(ask.session, query, PermissionRequest.id, given.limit, given.after)
    return Approvals([shown(row[0]) for row in rows], more)


@calls.call("GET", "/approvals/<int:approval_id>", gives=Approval)
def show_approval(ask: Ask[None], approval_id: int) -> Approval:
    """One approval, for everybody who may read its topic."""
    return shown(deciding.seen_by(ask.session, ask.user, approval_id))


@calls.call(
    "POST",
    "/approvals/<int:approval_id>/decision",
    takes=Decision,
    gives=Approval,
    advances=True,
    by_viewers=True,
)
def decide(ask: Ask[Decision], approval_id: int) -> Approval:
    """Allows or denies it. The first decision stands; whoever comes second is told by whom and when."""
    if ask.token.plugin_at is not None:
        raise Forbidden("This token speaks for an agent, and agents decide nothing. Use another one, or the page.")
    given = ask.given
    decided = deciding.decide(
        ask.session, ask.user, approval_id, given.behavior, given.reason, ask.now, prompts.continuation
    )
    did = "denied" if given.behavior == Behavior.DENY else "allowed"
    about = {"agent_id": decided.agent_id, "topic_id": decided.topic_id, "task_id": decided.task_id}
    told = f"{did} {deciding.matter(decided)}."
    acted(ask.session, ask.user, f"approval_{did}", told, detail=f"approval {approval_id}", **about)
    return shown(decided)
