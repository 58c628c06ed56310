"""What every page carries and every request is checked for: headers, cookies, Host, the token of a form, signing in."""

import pathlib
import re

import flask
import pytest
from werkzeug.routing import Rule

from models.user import Role
from tests.conftest import configured
from tests.visitor import PASSWORD, Visitor, newcomer
from webapp.app import create_app

# Who has no account must come here, or speaks no HTML.
OPEN = {"sign_in.form", "sign_in.enter", "sign_in.leave", "static", "cable"}
OPEN_BLUEPRINTS = {"first_run", "api_health"}


def fill(rule: Rule) -> str:
    """An address of this rule."""
    path = rule.rule
    for name in rule.arguments:
        kind = "int:" if f"<int:{name}>" in path else "path:" if f"<path:{name}>" in path else ""
        path = path.replace(f"<{kind}{name}>", "1")
        # <any('start', 'stop'):verb> has addresses of its own: the first one.
        path = re.sub(rf"<any\('?(\w+)[^>]*:{name}>", r"\1", path)
    return path


def addresses(app: flask.Flask, method: str) -> list[str]:
    """Every address of a page, by method; what only programs call is left out."""
    rules = [rule for rule in app.url_map.iter_rules() if method in (rule.methods or ())]
    pages = [rule for rule in rules if not rule.rule.startswith("/api/") and rule.endpoint not in OPEN]
    return [fill(rule) for rule in pages if rule.endpoint.partition(".")[0] not in OPEN_BLUEPRINTS]


def check_headers(response: flask.Response) -> None:
    """The headers of every page."""
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert policy["object-src"] == "'none'"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.fixture(scope="module")
def admin(app: flask.Flask) -> Visitor:
    return Visitor(app).sign_in(newcomer(Role.ADMIN, "Ada"))


def test_every_page_is_walked(app: flask.Flask) -> None:
    assert {"/", "/topics", "/topics/1", "/agents", "/tasks", "/people", "/settings"} <= set(addresses(app, "GET"))
    assert {"/topics/1/messages", "/settings", "/people/1/role"} <= set(addresses(app, "POST"))


def test_a_stranger_is_asked_to_sign_in_on_every_page(app: flask.Flask) -> None:
    stranger = app.test_client()
    for path in addresses(app, "GET"):
        response = stranger.get(path)
        assert response.status_code == 303, path
        assert stranger.get(path, follow_redirects=True).request.path == "/sign-in", path
        check_headers(response)


def test_a_stranger_is_asked_to_sign_in_by_every_form(app: flask.Flask) -> None:
    newcomer()
    stranger = Visitor(app)
    stranger.get("/sign-in")
    for path in addresses(app, "POST"):
        response = stranger.post(path)
        assert response.status_code == 303, path
        assert response.location.partition("?")[0] == "/sign-in", path


def test_every_page_carries_the_headers(app: flask.Flask, admin: Visitor) -> None:
    for path in addresses(app, "GET"):
        response = admin.get(path)
        assert response.status_code < 500, path
        check_headers(response)


def test_errors_carry_the_headers_too(app: flask.Flask) -> None:
    visitor = Visitor(app)
    for response in (visitor.get("/nothing-here"), visitor.post("/sign-in"), visitor.client.delete("/sign-in")):
        assert response.status_code >= 400
        check_headers(response)


def test_no_page_has_a_script_or_style_of_its_own(app: flask.Flask, admin: Visitor) -> None:
    for path in ["/sign-in", *addresses(app, "GET")]:
        page = admin.get(path, follow=True).text
        assert "<script>" not in page, path
        assert "<style" not in page, path
        assert " style=" not in page, path
        assert " onclick=" not in page, path


def test_a_form_without_a_valid_token_is_refused(app: flask.Flask, admin: Visitor) -> None:
    for path in [*addresses(app, "POST"), "/sign-in", "/sign-out", "/set-up/1", "/invitation/1", "/reset/1"]:
        assert admin.client.post(path, data={}).status_code == 400, path
        assert admin.client.post(path, data={"csrf_token": "made.up.here"}).status_code == 400, path
    assert admin.get("/settings").status_code == 200


def test_the_token_of_somebody_else_is_refused(app: flask.Flask, admin: Visitor) -> None:
    other = Visitor(app)
    other.get("/sign-in")
    refused = admin.client.post("/settings/tries", data={"csrf_token": other.token})
    assert refused.status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "10.0.0.1", "a b", ""])
def test_a_request_for_another_host_is_refused(app: flask.Flask, host: str) -> None:
    for path in ("/", "/sign-in", "/healthz", "/static/switchyard.css", "/api/v1/me"):
        response = app.test_client().get(path, headers={"Host": host})
        assert response.status_code == 421, path


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:9999"])
def test_our_own_names_are_answered(app: flask.Flask, host: str) -> None:
    assert app.test_client().get("/sign-in", headers={"Host": host}).status_code == 200


def test_cookies_are_kept_from_scripts_and_other_sites(app: flask.Flask) -> None:
    visitor = Visitor(app)
    first = visitor.get("/sign-in")
    second = visitor.post("/sign-in", email=newcomer().email, password=PASSWORD)
    for response in (first, second):
        for cookie in response.headers.getlist("Set-Cookie"):
            flags = {flag.strip() for flag in cookie.split(";")[1:]}
            assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= flags
            assert "Secure" not in flags  # nothing but plain http is served here
            assert not any(flag.startswith("Domain") for flag in flags)


def test_cookies_of_a_hub_behind_https_are_kept_off_plain_http(database_url: str, tmp_path: pathlib.Path) -> None:
    app = create_app(configured(tmp_path, public_url="https://hub.example.org"), database_url)
    newcomer()
    response = app.test_client().get("/sign-in", headers={"Host": "hub.example.org"})
    assert response.status_code == 200
    assert "Secure" in response.headers["Set-Cookie"]


def test_a_trusted_proxy_that_speaks_https_keeps_browsers_on_it(database_url: str, tmp_path: pathlib.Path) -> None:
    settings = {"public_url": "https://hub.example.org", "trusted_proxies": "10.0.0.1"}
    client = create_app(configured(tmp_path, **settings), database_url).test_client()
    headers = {"Host": "hub.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    trusted = client.get("/sign-in", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.1"})
    other = client.get("/sign-in", headers=headers, environ_base={"REMOTE_ADDR": "10.0.0.2"})
    assert trusted.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in other.headers


def test_static_files_may_be_kept_by_browsers(app: flask.Flask) -> None:
    response = app.test_client().get("/static/switchyard.css")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_number_no_row_can_have_is_an_address_where_nothing_is(admin: Visitor) -> None:
    for path in ("/people/99999999999999999999", "/topics/9007199254740993", "/agents/99999999999999999999"):
        assert admin.get(path).status_code == 404
