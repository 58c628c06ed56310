"""The beginning of a message on one line, as plain text."""

import html
import re

MOST = 160
BLOCK = re.compile(r"</?(?:p|div|li|ul|ol|pre|h[1-6]|br|hr|table|thead|tbody|tr|td|th|blockquote)\b[^>]*>")
# The last tag may have been cut off in the middle.
TAG = re.compile(r"<[^>]*(?:>|$)")
# Signs of Markdown, in a text that was not rendered.
MARKS = re.compile(r"`+|\*\*|__|^\s*(?:[-*+]|#{1,6}|>)\s+", re.MULTILINE)
CUT_NAME = re.compile(r"&[#\w]*$")


def plain(rendered: str | None, most: int = MOST) -> str:
    """What rendered text says, without its tags; "" for none. It may have been cut off anywhere."""
    bare = CUT_NAME.sub("", TAG.sub("", BLOCK.sub(" ", rendered or "")))
    flat = " ".join(html.unescape(bare).split())
    return flat if len(flat) <= most else f"{flat[:most].rsplit(' ', 1)[0]} ..."


def around(text: str, words: list[str], width: int = 180) -> str:
    """A piece of a text around the first of these words, on one line, in whole words where it has any."""
    flat = " ".join(MARKS.sub("", text).split())
    small = flat.casefold()
    places = [place for place in (small.find(word.casefold()) for word in words) if place >= 0]
    start = max(0, min(places, default=0) - width // 3)
    start = flat.rfind(" ", max(0, start - width // 6), start) + 1 or start
    piece = flat[start : start + width]
    if start + width < len(flat) and " " in piece[width // 2 :]:
        piece = piece.rsplit(" ", 1)[0]
    return f"{'… ' if start else ''}{piece}{' …' if start + len(piece) < len(flat) else ''}"
