"""Moving a topic to another creative, with all that was said: who reads it there is said before."""

import flask
from sqlalchemy.orm import Session

from models import overview
from models.creative import Creative, Level
from models.database import transaction
from models.errors import Invalid, NotFound, WrongState
from models.topic import Topic
from models.user import User
from webapp.acting import acted
from webapp.auth import person, signed_in
from webapp.pages.forms import Form, answer, go_to
from webapp.pages.topics import INBOX, chosen_creative

blueprint = flask.Blueprint("topic_moves", __name__)


@blueprint.get("/topics/<int:id>/move")
@signed_in
def ask(id: int) -> flask.Response:
    """Where to; for who has the right admin where it is."""
    return page(id, Form(creative_id=""))


@blueprint.post("/topics/<int:id>/move")
@signed_in
def move(id: int) -> flask.Response:
    """Moves it. Needs admin where it is and feedback where it goes."""
    user, form = person(), Form.posted("creative_id")
    try:
        with transaction() as session:
            topic = movable(session, user, id)
            topic = Topic.locked(session, id) or topic
            goal = chosen(session, user, form["creative_id"])
            if goal.id == topic.creative_id:
                raise Invalid(creative_id="It is there already. Choose another creative.")
            topic.move(session, goal)
            acted(session, user, "topic_changed", f"moved the topic {topic.name} to {goal.name}.", topic_id=id)
    except (Invalid, WrongState) as refusal:
        return page(id, form.refused(refusal), refusal.status)
    flask.flash(f"It is in {goal.name} now.")
    return go_to("topic.show", id=id)


def chosen(session: Session, user: User, given: str) -> Creative:
    """Where it shall go. Raises Invalid (creative_id) or Forbidden."""
    if given == "":
        raise Invalid(creative_id="Choose one of the creatives in the list.")
    return chosen_creative(session, user, given)


def movable(session: Session, user: User, id: int) -> Topic:
    """The topic, if the person may take it out of its creative. Raises NotFound or Forbidden."""
    topic = Topic.seen_by(session, user, id)
    if topic.chat_id is not None:
        raise NotFound("A chat belongs to who opened it: it is not moved.")
    topic.creative(session).require(session, user, Level.ADMIN)
    return topic


def page(id: int, form: Form, status: int = 200) -> flask.Response:
    """The form, with the creatives in which the person may write."""
    user = person()
    with transaction() as session:
        topic = movable(session, user, id)
        here = topic.creative(session)
        places = [] if here.is_inbox else [(INBOX, "Your inbox, for you alone")]
        rows = session.execute(overview.writable_creatives(user.id)).all()
        places += [(str(row.id), row.name) for row in rows if row.id != here.id]
    return answer("topics/move.html", status, topic=topic, here=here.name, places=places, form=form)
