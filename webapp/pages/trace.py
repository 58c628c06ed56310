"""Trace: from any message or task to all that led to it and came of it, each step with time and ids."""

from datetime import UTC
from typing import Any

import flask

from models import tracing
from models.database import reading
from models.errors import NotFound
from webapp.auth import person, signed_in
from webapp.fragments import reader_zone
from webapp.logs import mask_text
from webapp.pages import shell
from webapp.pages.activity import as_id
from webapp.pages.forms import answer
from webapp.pages.timeline import NODES

MORE_NODES = {
    "said": ("done", "Said"),
    "decided": ("done", "Decided"),
    "run_ended": ("done", "Run ended"),
    "buffered": ("working", "Under way"),
    "claimed": ("working", "Being sent"),
}

blueprint = flask.Blueprint("trace", __name__)


@blueprint.get("/trace")
@signed_in
def show() -> flask.Response:
    """`?message=<id>` or `?task=<id>`; without either, the form that asks for one."""
    user = person()
    message, task = as_id(flask.request.args.get("message", "")), as_id(flask.request.args.get("task", ""))
    given = {"message": message or "", "task": task or ""}
    if not message and not task:
        return answer("trace/trace.html", trace=None, given=given, problem=None)
    try:
        found = traced(message, task)
    except NotFound as refusal:
        return answer("trace/trace.html", 404, trace=None, given=given, problem=str(refusal))
    return answer(
        "trace/trace.html",
        trace=found,
        given=given,
        problem=None,
        steps=[shown(step) for step in reversed(found.steps)],
        text=as_text(found),
        href=href(message, task),
        streams=shell.streams(user, found.topic.stream),
        refresh_on="task message approval",
    )


@blueprint.get("/trace.txt")
@signed_in
def text() -> flask.Response:
    """The same to paste elsewhere, secrets masked."""
    message, task = as_id(flask.request.args.get("message", "")), as_id(flask.request.args.get("task", ""))
    return flask.Response(as_text(traced(message, task)), content_type="text/plain; charset=utf-8")


def traced(message: int | None, task: int | None) -> tracing.Trace:
    """The steps, looked up through the person who asks. Raises NotFound."""
    with reading() as session:
        if message:
            return tracing.of_message(session, person(), message)
        return tracing.of_task(session, person(), task or 0)


def href(message: int | None, task: int | None) -> str:
    """Where the text is."""
    return f"/trace.txt?message={message}" if message else f"/trace.txt?task={task}"


def shown(step: tracing.Step) -> dict[str, Any]:
    """A step as components/rail.html wants it."""
    state, word = MORE_NODES.get(step.event) or NODES.get(step.event, ("done", "Done"))
    return {"at": step.at, "state": state, "word": word, "text": mask_text(step.text), "meta": facts(step), "day": None}


def facts(step: tracing.Step) -> str:
    """Its ids, for those who search."""
    at = step.at.astimezone(reader_zone()).strftime("%H:%M:%S.%f")[:-3]
    return mask_text(", ".join([at, *(f"{name} {value}" for name, value in step.facts.items())]))


def as_text(found: tracing.Trace) -> str:
    """One line a step, oldest first, times in UTC."""
    about = [("topic", [found.topic.id]), ("message", found.message_ids), ("task", found.task_ids)]
    lines = ["Trace of " + "; ".join(f"{name} {', '.join(map(str, ids))}" for name, ids in about if ids)]
    for step in found.steps:
        at = step.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        known = " ".join(f"{name}={value}" for name, value in step.facts.items())
        lines.append(f"{at}Z  {step.event:<10}  {step.text}  {known}".rstrip())
    return mask_text("\n".join(lines)) + "\n"
