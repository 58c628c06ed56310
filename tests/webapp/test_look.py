"""The look, held without a browser: contrast, lamps with words, icons that exist, no style or script in pages."""

import hashlib
import pathlib
import re
from html.parser import HTMLParser

import pytest

from tests import gallery
from tests.gallery_pages import pages

ROOT = gallery.ROOT
CSS = (ROOT / "static" / "switchyard.css").read_text(encoding="utf-8")
TEMPLATES = sorted((ROOT / "webapp" / "templates").rglob("*.html"))
THEMES = ("light", "dark")
TEXT = 4.5
GLYPH = 3.0
GROUNDS = {
    "ink": ("paper", "surface", "mark-wash", "hover", "sunken"),
    "ink-2": ("paper", "surface", "mark-wash"),
    "ink-3": ("paper", "surface", "sunken", "hover", "mark-wash"),
    "link": ("paper", "surface", "mark-wash", "trouble-wash"),
    "on-mark": ("mark",),
    "on-action": ("action",),
    "on-danger": ("danger",),
    "live": ("paper", "surface", "live-wash", "sunken"),
    "working": ("paper", "surface", "working-wash"),
    "waiting": ("paper", "surface", "waiting-wash"),
    "trouble": ("paper", "surface", "trouble-wash", "sunken"),
    "off": ("paper", "surface"),
}
EDGES = ("surface", "paper", "mark-wash")
PAIRS = [(text, ground, TEXT) for text, grounds in GROUNDS.items() for ground in grounds]
PAIRS += [("edge", ground, GLYPH) for ground in EDGES]


def tokens(theme: str) -> dict[str, str]:
    """Role to hex, as the stylesheet says it."""
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS)
    return {role: (light if theme == "light" else dark) for role, light, dark in found}


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio, WCAG 2.2."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("text", "ground", "least"), PAIRS)
def test_every_text_can_be_read_on_its_ground(theme: str, text: str, ground: str, least: float) -> None:
    colours = tokens(theme)
    assert contrast(colours[text], colours[ground]) >= least


def test_the_contrast_we_compute_is_the_one_the_design_names() -> None:
    light, dark = tokens("light"), tokens("dark")
    assert round(contrast(light["ink"], light["paper"]), 1) == 16.0
    assert round(contrast(dark["ink-3"], dark["hover"]), 1) == 6.1


def test_components_name_roles_and_never_colours() -> None:
    below = CSS.split("/* ---- base", 1)[1]
    colours = re.findall(r"#[0-9a-fA-F]{3,8}\b|\boklch\(|\bhsl\(|\brgb\((?!0 0 0 / \.14\))", below)
    assert colours == []


def test_the_stylesheet_stays_small() -> None:
    assert len(CSS.splitlines()) < 900


def test_shadows_are_only_under_open_menus() -> None:
    shadowed = re.findall(r"0 8px 24px", CSS)
    assert 0 < len(shadowed) <= 4
    assert "gradient" not in CSS


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_carries_style_or_script(template: pathlib.Path) -> None:
    source = re.sub(r"\{#.*?#\}", "", template.read_text(encoding="utf-8"), flags=re.S)
    assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=\s*[\"']|javascript:", source)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", source, flags=re.S)
    assert all(inside == "" for inside in scripts)
    assert all("src=" in opening for opening in re.findall(r"<script[^>]*>", source))


def test_every_icon_in_the_templates_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([\w-]+)"', (ROOT / "static" / "icons.svg").read_text(encoding="utf-8")))
    html = "".join(rendered().values())
    used = set(re.findall(r"/static/icons\.svg#([\w-]+)", html))
    assert len(used) > 20
    assert used <= sprite


def test_what_the_pages_point_at_in_static_exists() -> None:
    named = set(re.findall(r'"/static/([^"#]+)', "".join(rendered().values()) + CSS))
    scripts = list((ROOT / "static").glob("*.js"))
    for script in scripts:
        named |= {path.removeprefix("./") for path in re.findall(r'(?:from|import) "(\./[^"]+)"', script.read_text())}
    assert len(named) > 12
    assert [path for path in named if not (ROOT / "static" / path).is_file()] == []


def test_no_vendored_file_asks_for_a_source_map() -> None:
    for script in (ROOT / "static").rglob("*.js"):
        assert "sourceMappingURL" not in script.read_text(encoding="utf-8")


def test_vendored_files_are_what_their_table_says() -> None:
    table = (ROOT / "static" / "vendor" / "README.md").read_text(encoding="utf-8")
    for name in ("turbo.js", "actioncable.js"):
        assert hashlib.sha256((ROOT / "static" / "vendor" / name).read_bytes()).hexdigest() in table


class Outline(HTMLParser):
    """What one page is made of: ids, landmarks, headings, and each lamp with its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.lamps: list[str] = []
        self.inside = 0
        self.badges = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes the element; inside a lamp counts how deep."""
        known = dict(attrs)
        self.tags.append(tag)
        if known.get("id"):
            self.ids.append(str(known["id"]))
        classes = (known.get("class") or "").split()
        self.badges += "badge" in classes
        if tag == "span" and "lamp" in classes and "data-state" in known:
            self.lamps.append("")
            self.inside = 1
        elif self.inside and tag == "span":
            self.inside += 1

    def handle_endtag(self, tag: str) -> None:
        """Leaves the lamp with its last span."""
        if self.inside and tag == "span":
            self.inside -= 1

    def handle_data(self, data: str) -> None:
        """The words of a lamp."""
        if self.inside:
            self.lamps[-1] += data


def rendered() -> dict[str, str]:
    """Every page of the gallery."""
    env = gallery.environment()
    return {name: env.get_template(template).render(**context) for name, (template, context) in pages().items()}


PAGES = rendered()


@pytest.mark.parametrize("name", PAGES)
def test_every_lamp_has_a_word(name: str) -> None:
    assert [words for words in Outline(PAGES[name]).lamps if not words.strip()] == []


def test_the_lamps_of_the_gallery_are_all_six_and_done() -> None:
    seen = set(re.findall(r'class="lamp" data-state="([\w-]+)"', "".join(PAGES.values())))
    drawn = set(re.findall(r'id="lamp-([\w-]+)"', PAGES["now.html"]))
    assert seen == drawn == {"live", "working", "waiting", "needs-you", "trouble", "off", "done"}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_main_one_heading_and_no_id_twice(name: str) -> None:
    outline = Outline(PAGES[name])
    assert outline.tags.count("main") == 1
    assert outline.tags.count("h1") == 1
    assert sorted(outline.ids) == sorted(set(outline.ids))


def test_a_topic_has_one_field_to_write_in() -> None:
    assert Outline(PAGES["topic.html"]).tags.count("textarea") == 1
    assert 'name="text"' in PAGES["topic.html"]


def test_nothing_is_yellow_for_a_person_who_has_nothing_to_decide() -> None:
    env = gallery.environment()
    template, context = pages()["empty.html"]
    calm = [{**group, "items": [{**item, "needs_you": False} for item in group["items"]]} for group in context["nav"]]
    bottom = [{**item, "needs_you": False} for item in context["bottom"]]
    html = env.get_template(template).render(**{**context, "nav": calm, "bottom": bottom})
    assert Outline(html).badges == 0
    assert "needs-you" not in html.split("</symbol>")[-1]


def test_the_title_counts_what_waits_for_the_person() -> None:
    assert "<title>(2) Approvals, Switchyard</title>" in PAGES["approvals.html"]
    assert "<title>Tray, Switchyard</title>" in PAGES["empty.html"]


def test_a_message_is_the_same_bytes_loaded_or_pushed() -> None:
    env = gallery.environment()
    context = pages()["topic-more.html"][1]
    message = next(item["message"] for item in context["items"] if item["kind"] == "message")
    pushed = env.get_template("components/message.html").module.message(message)  # type: ignore[attr-defined]
    assert str(pushed) in PAGES["topic-more.html"]


def test_what_a_person_typed_is_escaped_everywhere_but_in_sanitised_html() -> None:
    env = gallery.environment()
    template, context = pages()["topics.html"]
    nasty = {**context["topics"][0], "name": "<b>x</b>", "last_words": "<i>y</i>"}
    html = env.get_template(template).render(**{**context, "topics": [nasty]})
    assert "<b>x</b>" not in html
    assert "<i>y</i>" not in html
    assert "&lt;b&gt;x" in html


def test_a_password_is_never_sent_back() -> None:
    env = gallery.environment()
    form = env.get_template("components/form.html").module
    field = form.form_field("password", "Password", "hunter2", type="password")  # type: ignore[attr-defined]
    assert "hunter2" not in str(field)


def test_a_command_is_there_to_the_letter() -> None:
    html = PAGES["gateway.html"].split("<pre><code>")[1].split("</code></pre>")[0]
    assert re.sub(r"</?span>", "", html) == "openclaw devices approve 3c54b3d6-91f0-4c1e-a7d2-0b6f7a5d2e18"


def test_a_long_command_shows_twelve_lines_and_leads_to_its_own_page() -> None:
    page = PAGES["approvals.html"]
    said = re.sub(r"</?span>", "", page)
    assert "+ line 12 of" in said
    assert "+ line 13 of" not in said
    assert "The whole request, 31 lines" in page
    assert page.count(">Decide<") == 1
