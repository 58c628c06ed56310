"""From the fields of a form to the command and the environment that start an OpenClaw gateway, or any other program."""

import os
from collections.abc import Mapping

from models.errors import Invalid

# What stands in the fields at first.
USUAL = {
    "name": "",
    "port": "18789",
    "program": "openclaw",
    "profile": "",
    "state_dir": "",
    "command": "",
    "token": "",
    "start": "yes",
}
# A gateway that is watched leaves restarts and announcements to who watches it.
WATCHED = {"OPENCLAW_NO_RESPAWN": "1", "OPENCLAW_DISABLE_BONJOUR": "1", "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0"}


def chosen(values: Mapping[str, str]) -> tuple[int | None, list[str], dict[str, str]]:
    """Port, command and environment. A command of one's own, one word a line, stands for the whole preset.

    Raises Invalid; what any gateway may be given is judged elsewhere.
    """
    port = int(values["port"]) if values["port"].strip().isdecimal() and len(values["port"].strip()) < 6 else None
    own = [line.strip() for line in values["command"].splitlines() if line.strip()]
    if own:
        return port, own, {}
    profile, folder = values["profile"].strip(), values["state_dir"].strip()
    if profile and not profile.replace("-", "").replace("_", "").isalnum():
        raise Invalid(profile="Use letters, digits, - and _ only.")
    if folder and not os.path.isabs(folder):
        raise Invalid(state_dir="Give the whole path, from / on.")
    command = [values["program"].strip()] + (["--profile", profile] if profile else [])
    command += ["gateway", "run", "--port", str(port), "--bind", "loopback", "--allow-unconfigured"]
    return port, command, WATCHED | ({"OPENCLAW_STATE_DIR": folder} if folder else {})
