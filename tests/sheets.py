"""`python -m tests.sheets URL EMAIL FOLDER`: contact sheets of a running hub's pages, by family.

The password comes in SWITCHYARD_PASSWORD. Every link of the navigation is opened, and behind it one page of each kind,
and behind those again; each page is pictured light and dark, at 1280 and 390, checked by axe and for sideways scroll,
and put on a sheet. `make demo` gives a hub to look at.
"""

import html
import os
import pathlib
import re
import sys
from collections import defaultdict
from typing import Any

from playwright.sync_api import Browser, Page

from tests.browser import launched

VARIANTS = (("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390))
AXE = pathlib.Path(__file__).parent / "vendor" / "axe.min.js"
MOST = 100
FILE = re.compile(r"\.\w+(\?|$)|/(log|tail|sign-out)$")
KIND = re.compile(r"\d+|=[^&]*")
CHECK = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .filter(v => ['serious', 'critical'].includes(v.impact)).map(v => v.id + ': ' + v.nodes[0].html.slice(0, 160))"""


def main() -> int:
    """1 when axe found something serious or a page scrolls sideways."""
    url, email, folder = sys.argv[1].rstrip("/"), sys.argv[2], pathlib.Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    with launched() as browser:
        page = signed_in(browser, url, email, os.environ["SWITCHYARD_PASSWORD"])
        paths = pages(page, url)
        state = page.context.storage_state()
        page.close()
        for theme, width in VARIANTS:
            found += pictured(browser, state, url, paths, theme, width, folder)
        sheets(browser, paths, folder)
    print("\n".join(found) or "Nothing serious.")
    return 1 if found else 0


def signed_in(browser: Browser, url: str, email: str, password: str) -> Page:
    """A page of this person."""
    page = browser.new_context().new_page()
    page.goto(f"{url}/sign-in")
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", password)
    page.click("main button[type=submit]")
    page.wait_for_selector("nav a[href='/']")
    return page


def pages(page: Page, url: str) -> list[str]:
    """The navigation's pages, and one of each kind behind them: addresses that differ in a number or a filter alone."""
    paths = list(dict.fromkeys(links(page, "nav a")))
    for path in paths:  # grows meanwhile
        page.goto(url + path)
        seen = {KIND.sub("", known) for known in paths}
        for link in links(page, "main a, aside a"):
            if KIND.sub("", link) not in seen and len(paths) < MOST:
                paths.append(link)
                seen.add(KIND.sub("", link))
    return paths


def links(page: Page, where: str) -> list[str]:
    """Paths of pages that these links lead to."""
    hrefs = page.eval_on_selector_all(where, "all => all.map(one => one.getAttribute('href') || '')")
    paths = [href.partition("#")[0] for href in hrefs if href.startswith("/")]
    return [path for path in paths if not FILE.search(path)]


def pictured(
    browser: Browser, state: Any, url: str, paths: list[str], theme: Any, width: int, folder: pathlib.Path
) -> list[str]:
    """A picture of each page; what is wrong with any."""
    context = browser.new_context(
        storage_state=state, color_scheme=theme, viewport={"width": width, "height": 900}, has_touch=width < 700
    )
    page, found = context.new_page(), []
    page.on("console", lambda told: found.append(f"{page.url}: {told.text}") if told.type == "error" else None)
    for path in paths:
        page.goto(url + path)
        page.wait_for_load_state("load")
        page.screenshot(path=str(folder / picture(path, theme, width)), full_page=True)
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"{path} at {width}: scrolls sideways")
        page.evaluate(AXE.read_text())
        found += [f"{path}, {theme}, {width}: {one}" for one in page.evaluate(CHECK)]
    context.close()
    return found


def picture(path: str, theme: str, width: int) -> str:
    """The name of a picture."""
    return f"{re.sub(r'[^0-9a-z]+', '-', path.lower()).strip('-') or 'now'}-{theme}-{width}.png"


def sheets(browser: Browser, paths: list[str], folder: pathlib.Path) -> None:
    """One sheet a family of pages and variant."""
    families: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        families[re.split(r"[/?]", path.strip("/"))[0] or "now"].append(path)
    groups = [list(families)[start : start + 6] for start in range(0, len(families), 6)]
    page = browser.new_page(viewport={"width": 1800, "height": 1000})
    for number, group in enumerate(groups, 1):
        for theme, width in VARIANTS:
            shown = "".join(
                f"<figure><figcaption>{html.escape(path)}</figcaption>"
                f"<img src='file://{folder.resolve()}/{picture(path, theme, width)}'></figure>"
                for family in group
                for path in families[family]
            )
            style = "body{display:flex;flex-wrap:wrap;gap:12px;font:14px sans-serif;background:#888}figure{margin:0}"
            size = 420 if width > 700 else 210
            sheet = folder / f"sheet-{number}-{theme}-{width}.html"
            sheet.write_text(
                f"<style>{style}img{{width:{size}px;max-height:700px;object-fit:cover;object-position:top}}</style>{shown}"
            )
            page.goto(f"file://{sheet.resolve()}")
            page.screenshot(path=str(sheet.with_suffix(".png")), full_page=True)


if __name__ == "__main__":
    sys.exit(main())
