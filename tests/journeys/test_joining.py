"""From the link on the terminal to a hub of several people, in Chromium; then every page of it is looked at."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from models.access_token import AccessToken
from models.base import database_time
from models.database import transaction
from models.user import User
from tests.browser import for_tests
from tests.conditions import until
from tests.hub import PASSWORD, RunningHub, person

pytestmark = pytest.mark.browser
AXE = (Path(__file__).parents[1] / "vendor" / "axe.min.js").read_text(encoding="utf-8")
LINK = re.compile(r"http://\S+/(?:set-up|invitation|reset)/\S+")
ADA = "ada@example.org"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with for_tests() as launched:
        yield launched


@pytest.fixture(scope="module")
def ada(browser: Browser, hub: RunningHub) -> Page:
    """Ada made the first account, by the link on the terminal, without script."""
    line = until(lambda: next(filter(LINK.search, hub.output), ""), "the link on the terminal")
    found = LINK.search(line)
    assert found is not None
    page = opened(browser, hub, scripted=False)
    page.goto("/")
    expect(page.get_by_role("heading", name="No account yet")).to_be_visible()
    page.goto(found[0])
    fill(page, {"Your name": "Ada", "Email": ADA, "Password": PASSWORD}, "Make the account")
    expect(page).to_have_url(f"{hub.url}/")
    expect(page.get_by_role("heading", name="Now")).to_be_visible()
    return page


def opened(browser: Browser, hub: RunningHub, scripted: bool = True, **options: Any) -> Page:
    """A browser of somebody new."""
    return browser.new_context(base_url=hub.url, java_script_enabled=scripted, **options).new_page()


def fill(page: Page, fields: dict[str, str], button: str) -> None:
    """Fills in a form and sends it."""
    for label, value in fields.items():
        page.locator("main").get_by_label(label, exact=True).fill(value)
    page.locator("main").get_by_role("button", name=button, exact=True).click()


def sign_in(page: Page, email: str = ADA, password: str = PASSWORD) -> None:
    page.goto("/sign-in")
    fill(page, {"Email": email, "Password": password}, "Sign in")
    expect(page.get_by_role("heading", name="Now")).to_be_visible()


def shown(page: Page) -> str:
    """What the page shows to be copied."""
    return page.locator("main pre").first.inner_text()


@pytest.mark.parametrize("scripted", [False, True], ids=["without script", "with script"])
def test_somebody_is_invited_joins_forgets_the_password_and_leaves(
    browser: Browser, hub: RunningHub, ada: Page, scripted: bool
) -> None:
    page, guest = opened(browser, hub, scripted), opened(browser, hub, scripted)
    email, name = (f"bob{scripted}@example.org", f"Bob {scripted}")
    sign_in(page)
    page.goto("/people")
    fill(page, {"Email": email}, "Make an invitation")
    expect(page.get_by_role("heading", name=f"An invitation for {email.lower()}")).to_be_visible()

    guest.goto(shown(page))
    fill(guest, {"Your name": name, "Password": "short"}, "Make the account")
    expect(guest.get_by_text("Use at least 10 characters; this password has 5.")).to_be_visible()
    fill(guest, {"Password": PASSWORD}, "Make the account")
    expect(guest.get_by_role("heading", name="Now")).to_be_visible()

    page.goto("/people")
    page.get_by_role("link", name=name).click()
    page.get_by_label("What they may do").select_option("viewer")
    page.get_by_role("button", name="Change the role").click()
    expect(page.get_by_role("listitem").filter(has_text=email.lower())).to_contain_text("viewer")
    page.get_by_role("link", name=name).click()
    page.get_by_role("button", name="Make a password link").click()
    expect(page.get_by_role("heading", name=f"A new password for {name}")).to_be_visible()
    guest.goto(shown(page))
    fill(guest, {"New password": "a quite new password"}, "Set the password")
    expect(guest.get_by_role("heading", name="Now")).to_be_visible()

    guest.goto("/settings")
    guest.get_by_role("button", name="Sign out everywhere").click()
    expect(guest.get_by_text("You are signed out.")).to_be_visible()
    fill(guest, {"Email": email, "Password": PASSWORD}, "Sign in")
    expect(guest.get_by_text("Email and password do not match.")).to_be_visible()
    expect(guest.get_by_label("Email")).to_have_value(email)


@pytest.mark.parametrize("scripted", [False, True], ids=["without script", "with script"])
def test_a_token_is_made_shown_once_and_revoked(browser: Browser, hub: RunningHub, ada: Page, scripted: bool) -> None:
    page = opened(browser, hub, scripted)
    sign_in(page)
    page.goto("/settings")
    fill(page, {"What is it for?": f"laptop {scripted}"}, "Make a token")
    expect(page.get_by_role("heading", name=f"Your new token: laptop {scripted}")).to_be_visible()
    token = shown(page)
    assert hub.request("GET", "/api/v1/me", token=token)[1]["email"] == ADA
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("listitem").filter(has_text=f"laptop {scripted}")).to_contain_text("expires")
    assert token not in page.content()
    page.get_by_role("listitem").filter(has_text=f"laptop {scripted}").get_by_role("link", name="Revoke...").click()
    page.get_by_role("button", name=f"Revoke laptop {scripted}").click()
    expect(page.get_by_text(f"laptop {scripted} is revoked.")).to_be_visible()
    assert hub.request("GET", "/api/v1/me", token=token)[0] == 401


@pytest.mark.parametrize("scripted", [False, True], ids=["without script", "with script"])
def test_a_look_that_was_chosen_is_there_at_once(browser: Browser, hub: RunningHub, ada: Page, scripted: bool) -> None:
    page = opened(browser, hub, scripted)
    sign_in(page)
    for choice, theme in (("Dark", "dark"), ("As this device", None)):
        page.goto("/settings")
        page.get_by_label("Look").select_option(label=choice)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        given = page.locator("html").get_attribute("data-theme")
        assert given == theme


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_and_nothing_is_sideways(
    browser: Browser, hub: RunningHub, ada: Page, theme: Any, width: int
) -> None:
    options = {"color_scheme": theme, "reduced_motion": "reduce", "viewport": {"width": width, "height": 844}}
    page, stranger = (opened(browser, hub, **options) for _ in range(2))
    sign_in(page)
    bob = f"/people/{person(f'bob-{width}@example.org', 'Bob')[0]}"
    found = {}
    for path in ("/sign-in", "/set-up/gone"):
        stranger.goto(path)
        found[path] = look(stranger)
    for path in ("/settings", f"/settings/tokens/{token()}/revoke", "/people", bob, f"{bob}/remove"):
        page.goto(path)
        found[path] = look(page)
    pressed = {"Make a token": "/settings", "Change the password": "/settings", "Make a password link": bob}
    for button, path in pressed.items():
        page.goto(path)
        page.evaluate("document.querySelectorAll('form').forEach(form => { form.noValidate = true })")
        page.locator("main").get_by_role("button", name=button).click()
        page.wait_for_selector(".problem, main pre")
        found[f"{path}, {button}"] = look(page)
        if button == "Make a password link":
            stranger.goto(shown(page))
            found["/reset"] = look(stranger)
    page.goto("/people")
    fill(page, {"Email": f"guest-{width}@example.org"}, "Make an invitation")
    page.wait_for_selector("main pre")
    found["/people, Make an invitation"] = look(page)
    stranger.goto(shown(page))
    found["/invitation"] = look(stranger)
    assert {place: wrong for place, wrong in found.items() if wrong} == {}


def token() -> int:
    """The id of a new token of Ada's."""
    with transaction() as session:
        ada = User.by_email(session, ADA)
        assert ada is not None
        return AccessToken.create(session, ada, "laptop", database_time(session))[0].id


def look(page: Page) -> list[Any]:
    """What axe finds, and by how much the page is wider than a narrow phone."""
    page.wait_for_load_state("load")  # with its colours
    page.evaluate(AXE)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    wrong: list[Any] = [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in result["violations"]]
    size = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 700})
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if size is not None:
        page.set_viewport_size(size)
    return [*wrong, *([f"{wide} px too wide"] if wide > 0 else [])]
