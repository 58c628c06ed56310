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
