"""JSON with half a surrogate pair in it, from who cuts texts in the middle of a sign: no Unicode, and no reason to lose
the rest. JavaScript writes such a half as an escape that a strict reader refuses.
"""

import re

ESCAPES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def replaced(raw: bytes) -> bytes:
    """The JSON with each half replaced by the sign for what is lost."""
    if b"\\u" not in raw:
        return raw
    return ESCAPES.sub(lambda found: b"\\ufffd" if found[1] else found[0], raw)
