"""A real gateway per generation, one at a time, and a hub per module that knows it. Run by `make test-real`."""

import secrets
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import update

from models.database import transaction
from models.hub_identity import HubIdentity
from tests import browser as chromium
from tests.hub import PASSWORD, RunningHub, person, wait_ready
from tests.real.haven import Haven
from tests.real.installed import LAST_OF_PROTOCOL_3, NEWEST, installed
from tests.real.lab import Lab
from tests.real.operator import Operator

GENERATIONS = {"today": NEWEST, "protocol3": LAST_OF_PROTOCOL_3}
EMAIL = "alice@example.org"
NewPage = Callable[..., Page]


@pytest.fixture(scope="session", params=GENERATIONS)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A real gateway of one generation."""
    with Lab(installed(GENERATIONS[request.param])) as running:
        yield running


@pytest.fixture(autouse=True)
def afloat(lab: Lab) -> None:
    """Each test finds the gateway running, whatever the one before did to it."""
    lab.ensure()


@pytest.fixture(scope="module")
def own_database(database_url: str) -> str:
    """A database whose hub is no other's: clones of the template would share their sessions at one gateway."""
    with transaction() as session:
        session.execute(update(HubIdentity).values(name=secrets.token_hex(4)))
    return database_url


@pytest.fixture(scope="module")
def hub(lab: Lab, own_database: str) -> Iterator[RunningHub]:
    """A hub of this module's own."""
    with RunningHub(own_database) as running:
        wait_ready(running)
        yield running


@pytest.fixture(scope="module")
def haven(lab: Lab, hub: RunningHub) -> Haven:
    """The gateway as the hub knows it, with the agent Pilot: added by REST, tested before it was saved."""
    return Haven.join(hub, lab, *person(EMAIL, "Alice", "admin"))


@pytest.fixture
def operator(lab: Lab) -> Iterator[Operator]:
    """Somebody else at the same gateway, who may do everything."""
    with Operator(lab.url, lab.token) as connected:
        yield connected


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium.for_tests() as found:
        yield found


@pytest.fixture
def new_page(browser: Browser, hub: RunningHub) -> Iterator[NewPage]:
    """Pages in browsers of their own, in which Alice is signed in."""
    contexts: list[BrowserContext] = []

    def make() -> Page:
        contexts.append(browser.new_context(base_url=hub.url))
        page = contexts[-1].new_page()
        page.goto("/sign-in")
        page.get_by_label("Email").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Now")).to_be_visible()
        return page

    yield make
    for context in contexts:
        context.close()
