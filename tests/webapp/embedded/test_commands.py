"""Commands beside a hub, and without one."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

from tests.conditions import until
from tests.webapp.embedded.servers import ask, server_pid, url_of
from webapp.embedded import Embedded
from webapp.embedded.postmaster import find


def test_a_command_beside_a_hub_neither_starts_nor_stops_anything(make, data_dir):
    hub = make()
    url = hub.start()
    before = server_pid(data_dir)
    with make().joined() as joined:
        assert joined == url
    assert server_pid(data_dir) == before
    assert hub.alive()


def test_a_command_leaves_it_to_the_hub_to_start_a_killed_server(make, data_dir):
    hub, command = make(), make()
    hub.start()
    os.kill(server_pid(data_dir), signal.SIGKILL)
    until(lambda: find(data_dir / "database" / "cluster") is None)
    assert not command._try_join()
    until(hub.ensure)
    assert command._try_join()
    assert command.adopted


def test_a_command_without_a_hub_starts_the_server_for_its_own_time(make, data_dir):
    with make().joined() as url:
        assert ask(url, "SELECT 1") == 1
    assert find(data_dir / "database" / "cluster") is None


def test_a_command_leaves_the_server_of_a_killed_hub_to_the_next_one(make, hub_process, data_dir):
    killed = hub_process()
    url_of(killed)
    killed.kill()
    killed.wait()
    before = server_pid(data_dir)
    with make().joined() as url:
        assert ask(url, "SELECT 1") == 1
    assert server_pid(data_dir) == before
    make().start()


def test_the_last_of_several_commands_stops_the_server_they_share(make, data_dir):
    commands = [make() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(Embedded.join, commands))) == 1
    assert [command.stop() for command in commands] == [False, False, False, True]
    assert find(data_dir / "database" / "cluster") is None


def test_a_hub_keeps_the_server_that_a_command_started(make, data_dir):
    command, hub = make(), make()
    command.join()
    hub.start()
    assert hub.adopted
    assert not command.stop()
    assert hub.alive()
