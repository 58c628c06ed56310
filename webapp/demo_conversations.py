"""What the demo hub begins with: a few people, two agents, and conversations such as one would find on a Friday."""

from dataclasses import dataclass

PEOPLE = (("mira@example.org", "Mira Kern", "admin"), ("jonas@example.org", "Jonas Berg", "operator"))
AGENTS = (("scout", "studio-mac", "atlas"), ("scribe", "ada-laptop", "docs-site"))


@dataclass(frozen=True)
class Line:
    """Something said: by whom (a first name, or an agent's), how many minutes ago, the words."""

    by: str
    ago: float
    text: str


@dataclass(frozen=True)
class Conversation:
    """A topic: its creative (None: Mira's inbox), its own agent, its lines, and how many of them Mira has not read."""

    name: str
    creative: str | None
    agent: str | None
    lines: tuple[Line, ...]
    unread: int = 0


CONVERSATIONS = (
    Conversation(
        "Ask the handbook",
        None,
        "scribe",
        (
            Line("Mira", 1600, "How many days in advance do we announce maintenance?"),
            Line("scribe", 1599, "**Three working days**, by mail and on the status page (handbook, chapter 7)."),
            Line("Mira", 1590, "And for an urgent security fix?"),
            Line(
                "scribe",
                1589,
                "Then announce it when it begins. The handbook asks for two things:\n\n"
                "1. one sentence on the status page before the first restart,\n"
                "2. a mail within an hour after the last.",
            ),
        ),
        unread=1,
    ),
    Conversation(
        "Docs site",
        "Atlas",
        "scribe",
        (
            Line("Jonas", 300, "Group the changelog by date or by part of the product?"),
            Line("scribe", 299, "By part, as the last three: people look for what touches *them*. Shall I draft it?"),
            Line("Mira", 296, "Yes, for the last release."),
            Line(
                "scribe",
                294,
                "Here is the shape of it:\n\n| part | changes |\n| --- | --- |\n| Gateways | 4 |\n| Approvals | 7 |\n"
                "| Pages | 11 |\n\nShall I write it out?",
            ),
        ),
    ),
    Conversation(
        "Invoices, October",
        "Ledger",
        "scout",
        (
            Line("Mira", 190, "Match the bank lines of October with our invoices."),
            Line(
                "scout",
                184,
                "36 of 38 lines match. Two do not:\n\n- `2026-10-14` 1,240.00 from *Hallgrim AS*, no such invoice\n"
                "- `2026-10-29` 89.90, paid twice",
            ),
        ),
    ),
    Conversation(
        "Nightly build",
        "Atlas",
        "scout",
        (
            Line("Jonas", 95, "The nightly is red again. @scout what changed since yesterday?"),
            Line(
                "scout",
                93,
                "One commit touches the image:\n\n```diff\n-FROM debian:bookworm\n+FROM debian:trixie\n```\n\n"
                "The cross compiler lives elsewhere there.",
            ),
            Line("Jonas", 90, "Thanks. Pin it for today."),
            Line("scout", 88, "Done on the branch `pin-bookworm`. The next build starts at 02:00."),
        ),
        unread=2,
    ),
    Conversation(
        "Release 2.4",
        "Atlas",
        "scout",
        (
            Line("Jonas", 26, "What is left before 2.4?"),
            Line("scout", 25, "Two things: the arm64 image, and the release notes in German and French."),
            Line(
                "Mira",
                21,
                "The arm64 image is red since this morning. @scout find out why; fix it if it is small.",
            ),
            Line(
                "scout",
                19,
                "The image moved from `bookworm` to `trixie` at 07:12, and the cross compiler is no longer where the "
                "build script looks for it. Two ways out:\n\n- pin the old image, one line and safe for today;\n"
                "- or install `gcc-aarch64-linux-gnu` in the build stage, which is the right thing to do.\n\n"
                "```dockerfile\nRUN apt-get update && apt-get install -y gcc-aarch64-linux-gnu\n```\n\n"
                "I have the second one ready on a branch.",
            ),
            Line("Mira", 12, "Take the second one."),
            Line("scout", 10, "Merged. The image builds, 4 min 12 s."),
            Line("Mira", 2, "@scribe translate the release notes into German and French."),
        ),
    ),
)
