"""Which question has which answer in a history, where a gateway went on by itself after a crash."""

from webapp.gateways import story
from webapp.gateways.histories import read_history
from webapp.gateways.wire import History

RECOVERY = {"kind": "internal_system", "sourceTool": "main_session_restart_recovery"}


def after_a_crash() -> History:
    """As recorded: our question, what the gateway told its agent, and the answer under the id of that."""
    told = {"role": "user", "content": "[System] Your previous turn was interrupted.", "provenance": RECOVERY}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "Here it is"}], "__openclaw": {"runId": "r2"}}
    asked = {"role": "user", "content": "Where is it?", "idempotencyKey": "r1:user"}
    return read_history({"messages": [asked, {**told, "idempotencyKey": "r2:user"}, answer]}, 4)


def test_the_answer_of_a_run_that_went_on_belongs_to_our_question() -> None:
    found = after_a_crash()
    place = story.question(found, "r1", "Where is it?", None, 4)
    assert place == 0
    answered = story.answer(found, place, "r1", 4)
    assert answered is not None and answered.text == "Here it is"


def test_who_asked_for_it_is_who_asked_at_first() -> None:
    asked = story.asked_by(after_a_crash(), "r2", "Here it is")
    assert asked is not None and asked.idempotency_key == "r1"
    [(_, before)] = story.unasked(after_a_crash())
    assert before is not None and before.idempotency_key == "r1"
