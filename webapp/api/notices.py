"""An agent speaks while it works: a notice, a tool's prompt, a question (the agent channel's notify).

Never throttled: a plugin takes whatever is not 400, 401, 403, 404 or 422 for a prompt that may have been stored.
"""

import msgspec
from msgspec import UNSET, UnsetType

from models import asking
from models.asking import Where
from models.errors import Invalid
from models.permission_request import Kind, Prompt
from webapp import prompts
from webapp.api.arguments import storable
from webapp.api.door import Ask, Calls
from webapp.api.fields import LooseId, known_id

calls = Calls.named("notices")


class Notice(msgspec.Struct):
    """What an agent says. `permission_request_id` makes it a tool's prompt, `approval_question` a question."""

    topic_id: LooseId
    text: str | None = None
    task_id: LooseId | None = None
    permission_request_id: str | None = None
    tool_name: str | None = None
    description: str | None = None
    arguments: msgspec.Raw | UnsetType = UNSET
    approval_question: str | UnsetType | None = UNSET
    approver_user_id: LooseId | None = None


class Notified(msgspec.Struct):
    """The stored message."""

    comment_id: int


@calls.call("POST", "/agent/notify", takes=Notice, gives=Notified, status=201, by_viewers=True)
def notify(ask: Ask[Notice]) -> Notified:
    """Says something as the agent without ending its turn, or asks a person to decide. Gives nobody work."""
    try:
        comment_id = _stored(ask)
    except Invalid as refusal:
        refusal.more = {"errors": list(refusal.fields.values())}
        raise
    ask.by_plugin()
    return Notified(comment_id)


def _stored(ask: Ask[Notice]) -> int:
    given = ask.given
    where = Where(known_id(given.topic_id) or 0, known_id(given.task_id))
    if given.approval_question is not UNSET:
        question = _question(ask, str(given.approval_question or ""))
        return asking.ask_question(ask.session, ask.user, where, question, ask.now).message_id
    if (given.permission_request_id or "").strip():
        prompt = _tool(ask)
        text = prompts.tool(ask.user.locale, prompt.tool_name or "", prompt.description, prompt.input)
        return asking.ask_tool(ask.session, ask.user, where, prompt, text, ask.now).message_id
    return asking.say(ask.session, ask.user, where, given.text or "").id


def _tool(ask: Ask[Notice]) -> Prompt:
    given = ask.given
    return Prompt(
        Kind.TOOL,
        (given.permission_request_id or "").strip(),
        ask.user.id,
        tool_name=(given.tool_name or "").strip() or "tool",
        description=(given.description or "").strip() or None,
        input=None if given.arguments is UNSET else storable(given.arguments),
    )


def _question(ask: Ask[Notice], question: str) -> Prompt:
    given = ask.given
    approver_id = known_id(given.approver_user_id)
    return Prompt(
        Kind.QUESTION,
        (given.permission_request_id or "").strip(),
        ask.user.id if approver_id is None else approver_id,
        question=question,
    )
