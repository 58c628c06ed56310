"""Approvals: what waits for this person, what was decided, and the page of one, which fits on a phone.

Who may decide is read from our own record, each time; the first decision stands, and who comes second is told.
"""

from typing import Any

import flask
from sqlalchemy.orm import Session

from models import deciding, inbox
from models.base import database_time
from models.database import reading, transaction
from models.errors import AlreadyDecided, Invalid, Refusal, WrongState
from models.permission_request import ApprovalStatus, Behavior, PermissionRequest
from models.user import User
from webapp import asked, prompts, words
from webapp.acting import acted
from webapp.advance import advance_due_topics
from webapp.auth import person, signed_in
from webapp.pages import approval_words as say
from webapp.pages import shell
from webapp.pages.forms import Form, answer, go_to
from webapp.pages.tasks import STREAM, came_from

MOST = 50
PAGE = 50
LATELY = 8
MOST_CHOSEN = 50
# What each tab shows, by its word in the address; a single state may stand there too.
OVER = {
    "decided": (ApprovalStatus.ALLOWED, ApprovalStatus.DENIED),
    "expired": (ApprovalStatus.EXPIRED, ApprovalStatus.ELSEWHERE),
}
TABS = (("", "Waiting"), ("decided", "Decided"), ("expired", "Ended without a decision"))

blueprint = flask.Blueprint("approvals", __name__)


# -- the inbox -------------------------------------------------------------------------------------------------------


@blueprint.get("/approvals")
@signed_in
def index() -> flask.Response:
    """What waits, and what was decided lately; `?status=` what is over, `?before=<id>` further back."""
    status = flask.request.args.get("status", "")
    statuses = OVER.get(status) or ((status,) if status in list(ApprovalStatus) else ())
    if not statuses or status == ApprovalStatus.PENDING:
        return waiting()
    user, before = person(), flask.request.args.get("before", "")
    further = int(before) if before.isdecimal() and len(before) < 16 else None
    over = "expired" if statuses[0] in OVER["expired"] else "decided"
    with reading() as session:
        rows = inbox.over(session, user, statuses, PAGE + 1, further)
    return answer(
        "approvals/approvals.html",
        lead=None,
        nothing=say.NONE[over],
        waiting_rows=None,
        table=[say.in_table(row, user) for row in rows[:PAGE]],
        tabs=tabs(user, over),
        next=f"/approvals?status={status}&before={rows[PAGE - 1].id}" if len(rows) > PAGE else None,
        **around(user),
    )


def waiting(status: int = 200, problem: str | None = None) -> flask.Response:
    """The first page: what waits for this person, then what was decided lately."""
    user = person()
    with reading() as session:
        now = database_time(session)
        open_ = inbox.waiting(session, user, MOST)
        lately = inbox.over(session, user, OVER["decided"], LATELY)
    return answer(
        "approvals/approvals.html",
        status,
        lead=say.lead(shell.approvals(user), open_[0].created_at if open_ else None, now),
        waiting_rows=[asked.request(row) for row in open_],
        table=[say.in_table(row, user) for row in lately],
        tabs=tabs(user, ""),
        next=None,
        problem=problem,
        **around(user),
    )


def tabs(user: User, here: str) -> list[dict[str, Any]]:
    """The tabs above the list."""
    count = {"": shell.tally(shell.approvals(user))}
    return [
        {
            "href": f"/approvals?status={name}" if name else "/approvals",
            "label": f"{label} {count[name]}" if count.get(name) else label,
            "current": name == here,
        }
        for name, label in TABS
    ]


def around(user: User) -> dict[str, Any]:
    """What the page follows."""
    return {"streams": shell.streams(user), "refresh_on": "approvals rights"}


# -- one of them -----------------------------------------------------------------------------------------------------


@blueprint.get("/approvals/<int:id>")
@signed_in
def show(id: int) -> flask.Response:
    """Who asks to do what where, all of it, and the two buttons; or what was decided."""
    return page(id, Form(reason=""))


def page(id: int, form: Form, status: int = 200, too_late: bool = False) -> flask.Response:
    """The page of one; `too_late`: somebody pressed a button that no longer does anything."""
    user = person()
    with transaction() as session:
        found = deciding.seen_by(session, user, id)
        row = inbox.by_ids(session, user, [id])[id]
        whole = found.input
    shown = asked.request(row, whole)
    return answer(
        "approvals/approval.html",
        status,
        a=shown,
        raw=None if whole is None else asked.exact(asked.written(whole)),
        state=say.state(row, user, too_late),
        title=say.title(row, user),
        sentence=say.sentence(row, too_late),
        facts=say.facts(row, shown),
        events=say.events(row),
        others=max(0, shell.approvals(user) - (1 if shown.may_decide else 0)),
        form=form,
        **say.reason(row),
        streams=shell.streams(user, f"topic:{row.topic_id}"),
        refresh_on="approval approvals rights",
    )


@blueprint.get("/approvals/<int:id>/always")
@signed_in
def always(id: int) -> flask.Response:
    """The rule that allowing a command for good would make; where that cannot be, the approval itself."""
    user = person()
    with transaction() as session:
        found = deciding.seen_by(session, user, id)
        row = inbox.by_ids(session, user, [id])[id]
        whole = found.input
    shown = asked.request(row, whole)
    if not (shown.may_decide and shown.always):
        return go_to("approvals.show", id=id)
    title, rule = say.always(row)
    return answer("approvals/always.html", a=shown, title=title, rule=rule, facts=say.facts(row, shown))


@blueprint.post("/approvals/<int:id>/decision")
@signed_in
def decide(id: int) -> flask.Response:
    """Stores the decision and goes back to where the button was; who comes second gets the page that says so."""
    form = Form.posted("behavior", "reason")
    try:
        decision(id, form["behavior"], form["reason"])
    except (AlreadyDecided, WrongState) as late:
        return page(id, form, late.status, too_late=True)
    except Invalid as refusal:
        return page(id, form.refused(refusal), 422)
    advance_due_topics()
    back = came_from()
    if back.startswith("/approvals"):
        back = "/approvals" if back in ("/approvals", "/approvals/batch") else ""
    if back.startswith("/topics/") and STREAM in flask.request.headers.get("Accept", ""):
        return fragment(id)
    return flask.make_response(flask.redirect(back or flask.url_for("approvals.show", id=id), 303))


@blueprint.get("/approvals/<int:id>/decision")
@signed_in
def decided(id: int) -> flask.Response:
    """Whoever loads the answer to a late or refused decision again comes to the approval."""
    return go_to("approvals.show", id=id)


def decision(id: int, behavior: str, reason: str) -> PermissionRequest:
    """One decision of this person, in a transaction of its own."""
    with transaction() as session:
        now = database_time(session)
        found = deciding.decide(session, person(), id, behavior, reason, now, prompts.continuation)
        did = "denied" if behavior == Behavior.DENY else "allowed"
        about = {"agent_id": found.agent_id, "topic_id": found.topic_id, "task_id": found.task_id}
        told = f"{did} {deciding.matter(found)}."
        acted(session, person(), f"approval_{did}", told, detail=f"approval {id}", **about)
        return found


def fragment(id: int) -> flask.Response:
    """What was decided, in the open topic."""
    with transaction() as session:
        row = inbox.by_ids(session, person(), [id])[id]
    return flask.make_response(asked.fragment(row), 200, {"Content-Type": f"{STREAM}; charset=utf-8"})


# -- several at once -------------------------------------------------------------------------------------------------


@blueprint.get("/approvals/batch")
@signed_in
def confirm() -> flask.Response:
    """Names what was chosen, complete, before anything is decided."""
    behavior = flask.request.args.get("behavior", "")
    return batch_page(chosen(flask.request.args.getlist("id")), behavior, Form(reason=""))


@blueprint.post("/approvals/batch")
@signed_in
def decide_all() -> flask.Response:
    """Decides each by itself: one that somebody else decided meanwhile holds up no other."""
    form = Form.posted("behavior", "reason")
    ids = chosen(flask.request.form.getlist("id"))
    outcomes: list[Refusal | None] = []
    for id in ids:
        try:
            decision(id, form["behavior"], form["reason"])
            outcomes.append(None)
        except Invalid as refusal:
            return batch_page(ids, form["behavior"], form.refused(refusal), 422)
        except Refusal as refusal:
            outcomes.append(refusal)
    advance_due_topics()
    done = say.done(form["behavior"], outcomes.count(None))
    refused = [str(refusal) for refusal in outcomes if refusal is not None]
    if refused:
        return waiting(409, " ".join([done, *dict.fromkeys(refused)]))
    flask.flash(done)
    return go_to("approvals.index")


def batch_page(ids: list[int], behavior: str, form: Form, status: int = 200) -> flask.Response:
    """The page that names them; those that are no longer this person's to decide are left out."""
    if behavior not in (Behavior.ALLOW, Behavior.DENY):
        raise Invalid(behavior="Choose Allow all or Deny all.")
    user = person()
    with transaction() as session:
        rows = still_open(session, user, ids)
    if not rows:
        return waiting(422, "Choose at least one that still waits for you.")
    verb = "Allow" if behavior == Behavior.ALLOW else "Deny"
    return answer(
        "approvals/batch.html",
        status,
        title=words.plural(len(rows), f"{verb} this one", f"{verb} these {{word}}"),
        button=words.plural(len(rows), verb, f"{verb} {words.whole(len(rows)).lower()}"),
        behavior=behavior,
        requests=[asked.request(row, whole) for row, whole in rows],
        form=form,
    )


def still_open(session: Session, user: User, ids: list[int]) -> list[tuple[Any, Any]]:
    """Those that wait for this person, each with its whole input, the oldest first."""
    rows = inbox.waiting(session, user, MOST_CHOSEN, ids)
    whole = inbox.inputs(session, [row.id for row in rows])
    return [(row, whole[row.id]) for row in rows]


def chosen(given: list[str]) -> list[int]:
    """The ids that were ticked, each once."""
    ids = [int(one) for one in given if one.isascii() and one.isdecimal() and len(one) < 16]
    return list(dict.fromkeys(ids))[:MOST_CHOSEN]
