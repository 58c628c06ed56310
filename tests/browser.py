"""Where Chromium is, and how tests start it. Without one a test says what to install; where CI is set it fails."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

# The one without windows takes a fifth of the CPU of a whole browser for each page.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = "Install Chromium (Debian: apt-get install chromium-headless-shell) to run the tests that look at pages."


def path() -> str | None:
    """The browser's path, or None."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """A headless Chromium. Raises what Playwright raises when there is none."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path(), args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def for_tests() -> Iterator[Browser]:
    """The same for a fixture: without a browser the tests say what to install, and fail where CI is set."""
    if path() is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with launched() as browser:
        yield browser


def until(page: Page, condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Lets the page go on until the condition holds. Fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "It did not come about in time."
        page.wait_for_timeout(20)
