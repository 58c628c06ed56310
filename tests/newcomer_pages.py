"""What the newcomer does and sees in two browsers: light at a desk, dark on a phone."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

DESK = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}
PASSWORD = "correct horse battery"
SLOW = 30_000  # ms


class Browsers:
    """Both of them, with a picture of every step in a folder; a page that wrote an error to its console ends it."""

    def __init__(self, browser: Browser, url: str, pictures: Path, say: Callable[[str], None]) -> None:
        self._desk = browser.new_context(base_url=url, **DESK).new_page()  # type: ignore[arg-type]
        self._phone = browser.new_context(base_url=url, **PHONE).new_page()  # type: ignore[arg-type]
        self._pictures, self._say, self._number = pictures, say, 0
        self._errors: list[str] = []
        for page in self._both:
            page.on("console", lambda told: self._errors.append(told.text) if told.type == "error" else None)

    @property
    def _both(self) -> tuple[Page, Page]:
        return self._desk, self._phone

    def _picture(self, what: str, pages: tuple[Page, ...] | None = None) -> None:
        self._number += 1
        for page in pages or self._both:
            size = "desk" if page is self._desk else "phone"
            page.screenshot(path=str(self._pictures / f"{self._number:02}-{what}-{size}.png"))
        assert self._errors == []

    def make_account(self, link: str) -> None:
        """By the link; the phone is told where that is, and signs in afterwards."""
        desk, phone = self._both
        phone.goto("/")
        desk.goto(link)
        self._picture("set-up")
        desk.get_by_label("Your name").fill("Nora")
        desk.get_by_label("Email").fill("nora@example.org")
        desk.get_by_label("Password").fill(PASSWORD)
        self._picture("set-up-filled", (desk,))
        desk.get_by_role("button", name="Make the account").click()
        expect(desk.get_by_role("heading", level=1, name="Now")).to_be_visible()
        phone.goto("/")
        self._picture("sign-in", (phone,))
        phone.get_by_label("Email").fill("nora@example.org")
        phone.get_by_label("Password").fill(PASSWORD)
        phone.get_by_role("button", name="Sign in").click()
        expect(phone.get_by_role("heading", level=1, name="Now")).to_be_visible()
        self._picture("first-page")
        self._say(f"the account is made; Now says {self._lead(desk)!r}, the phone is signed in")
        for page in self._both:
            page.get_by_role("link", name="First steps").click()
            expect(page.get_by_role("heading", level=1, name="First steps")).to_be_visible()
        self._picture("first-steps")

    def make_token(self) -> str:
        """In Settings, as the README says."""
        desk = self._desk
        desk.goto("/settings")
        desk.locator("[name=label]").fill("laptop")
        desk.get_by_role("button", name="Make a token").click()
        shown = desk.locator("#new-token").inner_text()
        found = re.search(r"sy_[\w-]+", shown)
        assert found is not None, shown
        self._picture("token", (desk,))
        self._phone.goto("/agents")
        self._say("made a token, shown once")
        return found[0]

    def meet_agent(self) -> None:
        """It comes to a page that is open."""
        expect(self._phone.get_by_role("main").get_by_role("link", name="scout", exact=True)).to_be_visible(
            timeout=SLOW
        )
        self._picture("agent", (self._phone,))
        self._say("the playground agent connected: the open page of agents shows it without a reload")

    def ask_in_a_topic(self) -> None:
        """A topic with the agent in it; both browsers ask and both see both answers."""
        desk, phone = self._both
        desk.goto("/topics/new")
        desk.get_by_label("Name").fill("First questions")
        desk.get_by_label("Its agent").select_option(label=self._option(desk, "scout"))
        self._picture("new-topic", (desk,))
        desk.get_by_role("button", name="Make the topic").click()
        expect(desk.get_by_role("heading", level=1, name="First questions")).to_be_visible()
        phone.goto("/topics")
        phone.get_by_role("main").get_by_role("link", name="First questions").click()
        expect(phone.get_by_role("heading", level=1, name="First questions")).to_be_visible()
        self._picture("empty-topic")
        self._mark()
        self._ask(desk, "What is 6 * 7?", "6 × 7 = 42")
        self._ask(phone, "And 6 * 8?", "6 × 8 = 48")
        self._picture("answers")
        self._say("asked 6 * 7 at the desk and 6 * 8 on the phone: both browsers show both answers without a reload")

    def play(self) -> None:
        """The playground's gateway and the agent behind it."""
        desk, phone = self._both
        desk.goto("/playground")
        self._picture("playground", (desk,))
        desk.get_by_role("button", name="Start it").click()
        expect(desk.get_by_role("heading", name="Break it")).to_be_visible(timeout=SLOW)
        self._picture("playground-live", (desk,))
        desk.get_by_role("link", name="Talk with pilot").click()
        expect(desk.get_by_label("Write a message")).to_be_visible()
        phone.goto(desk.url)
        self._mark()
        self._ask(desk, "Are you there?", "You said: Are you there?")
        self._picture("pilot")
        self._say("started the playground's gateway from its page; pilot behind it answered in both browsers")

    def stopped(self) -> None:
        """The pages stay and say so."""
        self._errors.clear()  # Chromium itself notes the sockets that were closed
        for page in self._both:
            expect(page.locator(".bar").first).to_be_visible(timeout=SLOW)
        words = " ".join(self._desk.locator(".bar").first.inner_text().split())
        self._errors.clear()
        self._picture("stopped")
        self._say(f"the hub is away; the open pages say {words!r}")

    def came_back(self) -> None:
        """After the second start: the pages by themselves, then the plugin."""
        desk, phone = self._both
        self._ask(desk, "And now?", "You said: And now?")
        self._errors.clear()
        self._say("the open pages are back; pilot answered in both browsers, still without a reload")
        for page in self._both:
            page.goto("/topics")
            page.get_by_role("main").get_by_role("link", name="First questions").click()
        self._mark()
        self._ask(phone, "What is 9 * 9?", "9 × 9 = 81")
        self._picture("back")
        self._say("what was written is there; the plugin is back by itself and answered 9 * 9 in both browsers")

    def _ask(self, page: Page, question: str, answer: str) -> None:
        page.get_by_label("Write a message").fill(question)
        page.get_by_role("button", name="Send").click()
        for one in self._both:
            expect(one.locator("article[data-kind=user]", has_text=question)).to_have_count(1, timeout=SLOW)
            expect(self._answer(one, answer)).to_have_count(1, timeout=SLOW)
            assert one.evaluate("window.notReloaded") is True

    @staticmethod
    def _answer(page: Page, text: str) -> Locator:
        return page.locator("article[data-kind=agent]", has_text=text)

    def _mark(self) -> None:
        for page in self._both:
            page.evaluate("window.notReloaded = true")

    @staticmethod
    def _lead(page: Page) -> str:
        return " ".join(page.locator(".lead").first.inner_text().split())

    @staticmethod
    def _option(page: Page, name: str) -> str:
        options = page.get_by_label("Its agent").locator("option").all_inner_texts()
        return next(text for text in options if name in text)
