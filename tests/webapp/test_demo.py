"""The demo's hub: filled once, with something on every page."""

import flask
from sqlalchemy import func, select

from models.database import transaction
from models.hub_figures import HubFigures
from models.user import User
from tests.visitor import Visitor, words
from webapp import demo
from webapp.demo_conversations import PEOPLE


def test_it_is_filled_once_and_every_page_has_something_to_show(app: flask.Flask) -> None:
    password = "correct horse battery"
    assert password in demo.fill(password)
    assert "has run before" in demo.fill("another password")
    with transaction() as session:
        mira = User.by_email(session, PEOPLE[0][0])
        assert mira is not None
        assert session.scalar(select(func.count()).select_from(HubFigures)) == 140
    visitor = Visitor(app).sign_in(mira, password)
    now = words(visitor.get("/"))
    assert "Four things need you." in now and "rsync -a --delete" in now and "scribe asks a question" in now
    assert "scribe failed" in now and "Nobody took what you wrote" in now and "Tasks 1" in now
    assert "Jonas Berg denied a request of scout" in now and "approvals wait for you" in now
    decided = "/approvals?status=decided"
    for path in ("/approvals", decided, "/activity", "/tasks", "/topics", "/agents", "/people", "/plugins"):
        assert 'class="empty"' not in visitor.get(path).text, path
