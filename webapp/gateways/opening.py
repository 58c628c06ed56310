"""Opens a connection as long as it is wanted: a greeting may take many seconds, and a person may stop it meanwhile."""

from collections.abc import Callable, Hashable

import gevent
from gevent.event import Event as Signal

from webapp.gateways.connection import GatewayConnection
from webapp.gateways.local import CalledOff
from webapp.gateways.manager import ConnectionManager
from webapp.gateways.refusals import ConnectionLost


def opened(
    manager: ConnectionManager,
    user: Hashable,
    ask: Callable[[], GatewayConnection],
    nudged: Signal,
    is_called_off: Callable[[], bool],
) -> GatewayConnection:
    """What `ask` gives, the user's connection. At each nudge: is it called off? Then CalledOff is raised.

    Raises what `ConnectionManager.connect` raises.
    """
    called_off = Signal()

    def listen() -> None:
        while True:
            nudged.wait()
            nudged.clear()
            if is_called_off():
                called_off.set()
                manager.release(user, "it is not wanted any more")
                return

    listener = gevent.spawn(listen)
    listener.name = f"{user} listens"
    try:
        return ask()
    except ConnectionLost:
        if called_off.is_set():
            raise CalledOff from None
        raise
    finally:
        listener.kill()
