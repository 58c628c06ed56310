"""The beginning of a message on one line, as plain text."""

import html
import re

MOST = 160
BLOCK = re.compile(r"</?(?:p|div|li|ul|ol|pre|h[1-6]|br|hr|table|thead|tbody|tr|td|th|blockquote)\b[^>]*>")
# The last tag may have been cut off in the middle.
TAG = re.compile(r"<[^>]*(?:>|$)")
CUT_NAME = re.compile(r"&[#\w]*$")


def plain(rendered: str | None, most: int = MOST) -> str:
    """What rendered text says, without its tags; "" for none. It may have been cut off anywhere."""
    bare = CUT_NAME.sub("", TAG.sub("", BLOCK.sub(" ", rendered or "")))
    flat = " ".join(html.unescape(bare).split())
    return flat if len(flat) <= most else f"{flat[:most].rsplit(' ', 1)[0]} ..."


def around(text: str, words: list[str], width: int = 180) -> str:
    """A piece of a text around the first of these words, on one line."""
    flat = " ".join(text.split())
    small = flat.casefold()
    places = [place for place in (small.find(word.casefold()) for word in words) if place >= 0]
    start = max(0, min(places, default=0) - width // 3)
    piece = flat[start : start + width]
    return f"{'… ' if start else ''}{piece}{' …' if start + width < len(flat) else ''}"
