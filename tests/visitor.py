"""A person at a browser without script: opens pages, fills in their forms with the hidden token, follows redirects."""

import re
import uuid

import flask
from werkzeug.test import TestResponse

from models.database import transaction
from models.passwords import hash_password
from models.user import Role, User

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Visitor:
    """`Visitor(app).sign_in(user)`; a post takes the token from the page that was opened last."""

    def __init__(self, app: flask.Flask, address: str = "127.0.0.1") -> None:
        self.client = app.test_client()
        self.address = address
        self.token = ""

    def get(self, path: str, follow: bool = False) -> TestResponse:
        """Opens a page; with `follow`, the one it leads to."""
        response = self.client.get(path, follow_redirects=follow, environ_base={"REMOTE_ADDR": self.address})
        return self._read(response)

    def post(self, path: str, follow: bool = False, **fields: str) -> TestResponse:
        """Sends a form."""
        base = {"REMOTE_ADDR": self.address}
        data = {"csrf_token": self.token, **fields}
        return self._read(self.client.post(path, data=data, follow_redirects=follow, environ_base=base))

    def sign_in(self, user: User, password: str = PASSWORD) -> "Visitor":
        """Goes through the sign-in page."""
        self.get("/sign-in")
        response = self.post("/sign-in", email=user.email, password=password)
        assert response.status_code == 303, response.text
        self.get("/agents")  # of the pages that everybody may open and that hold a token, the one that costs least
        return self

    def _read(self, response: TestResponse) -> TestResponse:
        found = TOKEN.search(response.text) if response.mimetype == "text/html" else None
        self.token = found[1] if found else self.token
        return response


def newcomer(role: str = Role.MEMBER, name: str = "Nora") -> User:
    """A new person with PASSWORD, committed."""
    with transaction() as session:
        return User.create(session, f"{name.lower()}-{uuid.uuid4().hex[:8]}@example.org", name, role, HASH)


def words(response: TestResponse) -> str:
    """What a page says, without tags and with blanks folded."""
    body = re.sub(r"(?s)<(script|style|svg)\b.*?</\1>", " ", response.text)
    text = re.sub(r"<[^>]+>", " ", body)
    return " ".join(text.replace("&#39;", "'").replace("&amp;", "&").split())
