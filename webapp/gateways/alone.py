"""Answers what a command asks of one gateway while no hub runs: `python -m webapp.gateways.alone ID | drafts`.

A process of its own, because commands know nothing of sockets. It reads the settings as the hub does, and patches
nothing either: what speaks with gateways uses gevent by name, and nobody else waits here.
"""

import os
import sys

from models import database
from models.base import database_time
from models.database import transaction
from models.process import Process
from webapp import logs
from webapp.config import Config
from webapp.gateways.asking import Asking


def main(which: str) -> None:
    """Carries out all that is asked of this gateway, or of drafts, and ends."""
    logs.set_up()
    config = Config.from_env(os.environ)
    database.connect(str(config.database_url), config.secret_keys, config.rules, pool=(2, 0))
    with transaction() as session:
        process_id = Process.start(session, database_time(session)).id
    try:
        Asking(process_id, config.gateway_hosts).answer_all(None if which == "drafts" else int(which))
    finally:
        with transaction() as session:
            Process.stop(session, process_id)
        database.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
