"""A plugin answers a task (the agent channel's reply)."""

import msgspec

from models import answering
from models.errors import Invalid
from webapp import prompts
from webapp.api.door import Ask, Calls
from webapp.api.fields import LooseId, known_id, known_texts

calls = Calls.named("replies")


class Reply(msgspec.Struct):
    """An answer. `task_id` and `execution_generation` are those of the dispatch; older plugins leave them out."""

    topic_id: LooseId
    text: str | None = None
    task_id: LooseId | None = None
    execution_generation: str | None = None
    pending_approval_ids: list[str] | None = None


class Replied(msgspec.Struct):
    """The stored message, and which of the approvals still open the hub has taken over."""

    comment_id: int
    pending_approval_ids: list[str]


@calls.call("POST", "/agent/reply", takes=Reply, gives=Replied, status=201, advances=True, by_viewers=True)
def reply(ask: Ask[Reply]) -> Replied:
    """Answers a task, once: of several answers one is stored, the others get 403 or 409."""
    given = ask.given
    topic_id, task_id = known_id(given.topic_id) or 0, known_id(given.task_id)
    try:
        answered = answering.answer(
            ask.session,
            ask.user,
            topic_id,
            given.text or "",
            task_id,
            given.execution_generation,
            ask.now,
            known_texts(given.pending_approval_ids or ()),
            prompts.continuation,
        )
    except Invalid as refusal:
        refusal.more = {"errors": list(refusal.fields.values())}
        raise
    ask.by_plugin()
    return Replied(comment_id=answered.message.id, pending_approval_ids=answered.taken)
