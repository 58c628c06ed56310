"""Settings: their defaults, what is refused and in which words, the secret key, and who may call."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from webapp import environment, secret_key
from webapp.config import Config, ConfigError

KEY = "a key of some length"


def config(**settings: str) -> Config:
    given = {f"SWITCHYARD_{name}": text for name, text in settings.items()}
    return Config.from_env({"HOME": "/tmp", "SWITCHYARD_SECRET_KEY": KEY, **given})


def problems(**settings: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        config(**settings)
    return refused.value.problems


def test_without_any_setting_the_hub_listens_on_this_machine_only(tmp_path):
    made = Config.from_env({"HOME": str(tmp_path)})
    assert made.data_dir == tmp_path / ".local/share/switchyard"
    assert made.database_url is None
    assert (made.host, made.port, made.public_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert (made.allowed_origins, made.trusted_proxies, str(made.gateway_hosts)) == ((), (), "")
    assert (made.workers, made.on_stop) == (1, "stop")
    rules = made.rules
    assert (rules.grace_seconds, rules.heartbeat_seconds, rules.stale_seconds) == (30, 15, 45)
    assert (rules.buffer_ttl_seconds, rules.slot_idle_seconds, rules.idle_disconnect_seconds) == (1800, 1800, 600)
    assert made.is_loopback


def test_each_setting_knows_where_it_came_from(tmp_path):
    made = Config.from_env({"HOME": "/tmp", "SWITCHYARD_PORT": "9000"}, argv_data_dir=str(tmp_path))
    assert made.sources["SWITCHYARD_PORT"] == "environment"
    assert made.sources["SWITCHYARD_HOST"] == "default"
    assert made.sources["SWITCHYARD_SECRET_KEY"] == "file"
    assert made.sources["SWITCHYARD_DATA_DIR"] == "option"
    assert made.data_dir == tmp_path
    assert set(made.sources) == set(made.shown())


def test_an_empty_variable_is_as_good_as_none():
    assert config(PORT="  ").port == 8000
    assert config(PORT="").sources["SWITCHYARD_PORT"] == "default"


def test_all_problems_are_told_at_once_each_by_its_name():
    told = problems(PORT="80000", HOST="no host", GRACE_SECONDS="soon", ON_STOP="maybe", WORKERS="0")
    assert len(told) == 5
    assert "SWITCHYARD_PORT is '80000': use a whole number from 0 to 65535." in told
    assert "SWITCHYARD_ON_STOP is 'maybe': use stop or leave." in told
    assert any(sentence.startswith("SWITCHYARD_WORKERS is '0'") for sentence in told)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "-1"),
        ("PORT", "80.0"),
        ("PORT", "٣"),
        ("HOST", "-a.example"),
        ("HOST", "10.0.0.256"),
        ("HOST", "http://a"),
        ("GRACE_SECONDS", "0"),
        ("GRACE_SECONDS", "-3"),
        ("GRACE_SECONDS", "nan"),
        ("GRACE_SECONDS", "1e3"),
        ("GRACE_SECONDS", "30s"),
        ("GRACE_SECONDS", "9" * 400),
        ("PUBLIC_URL", "hub.example.org"),
        ("PUBLIC_URL", "ftp://hub.example.org"),
        ("PUBLIC_URL", "https://hub.example.org/path"),
        ("PUBLIC_URL", "https://user@hub.example.org"),
        ("PUBLIC_URL", "https://hub.example.org:99999"),
        ("PUBLIC_URL", "https://hub.example.org?"),
        ("PUBLIC_URL", "https://hub exam.org"),
        ("ALLOWED_ORIGINS", "https://a.example/"),
        ("ALLOWED_ORIGINS", "https://a.example, *"),
        ("ALLOWED_ORIGINS", "null"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("GATEWAY_HOSTS", "10.0.0.0/40"),
        ("GATEWAY_HOSTS", "ws://box"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "localhost:5432"),
        ("DATABASE_URL", "postgresql://u:p@host:port/x"),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "long enough for anybody,short"),
        ("DATA_DIR", "~no-such-user-here/x"),
    ],
)
def test_an_unclear_value_is_refused_by_name(name, text):
    (sentence,) = problems(**{name: text})
    assert sentence.startswith(f"SWITCHYARD_{name}")


def test_neither_refusals_nor_repr_nor_printed_settings_show_a_secret():
    for told in (problems(DATABASE_URL="mysql://me:hunter2@h/x"), problems(SECRET_KEY="hunter2")):
        assert "hunter2" not in str(told)
    made = config(DATABASE_URL="postgres://me:hunter2@h/x?sslpassword=hunter2", SECRET_KEY="hunter2 hunter2 hunter2")
    assert "hunter2" not in repr(made)
    assert "hunter2" not in str(made.shown())
    assert made.database_url == "postgresql+psycopg://me:hunter2@h/x?sslpassword=hunter2"


def test_old_keys_follow_the_new_one():
    assert config(SECRET_KEY=" the newest key of all ,the key from last year").secret_keys == (
        "the newest key of all",
        "the key from last year",
    )


def test_names_that_nobody_reads_are_kept_to_be_told():
    assert config(GRACE_SECOND="3", TOKEN="of the playground agent").unread == ("SWITCHYARD_GRACE_SECOND",)


def test_a_short_stale_time_brings_a_quicker_heartbeat():
    assert config(STALE_SECONDS="3").rules.heartbeat_seconds == 1
    assert config(STALE_SECONDS="90").rules.heartbeat_seconds == 15
    (sentence,) = problems(STALE_SECONDS="5", HEARTBEAT_SECONDS="5")
    assert "SWITCHYARD_STALE_SECONDS" in sentence and "SWITCHYARD_HEARTBEAT_SECONDS" in sentence


def test_the_data_folder_follows_the_users_own_setting(tmp_path, monkeypatch):
    env = {"HOME": "/tmp", "SWITCHYARD_SECRET_KEY": KEY}
    assert Config.from_env({**env, "XDG_DATA_HOME": "/srv/data"}).data_dir == Path("/srv/data/switchyard")
    monkeypatch.chdir(tmp_path)
    assert Config.from_env({**env, "SWITCHYARD_DATA_DIR": "./var"}).data_dir == tmp_path / "var"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(environment.pwd, "getpwuid", nobody)
    for variables in ({}, {"HOME": "/nonexistent"}):
        with pytest.raises(ConfigError, match=r"no home folder .* set SWITCHYARD_DATA_DIR"):
            Config.from_env(variables)


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    first = Config.from_env({"SWITCHYARD_DATA_DIR": str(tmp_path / "new")})
    path = tmp_path / "new" / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(first.secret_keys[0]) >= 43
    assert Config.from_env({"SWITCHYARD_DATA_DIR": str(tmp_path / "new")}).secret_keys == first.secret_keys
    assert os.listdir(path.parent) == ["secret.key"]


def test_no_key_is_made_while_another_setting_is_wrong(tmp_path):
    with pytest.raises(ConfigError):
        Config.from_env({"SWITCHYARD_DATA_DIR": str(tmp_path), "SWITCHYARD_PORT": "x"})
    assert os.listdir(tmp_path) == []


def test_a_race_of_first_starts_agrees_on_one_key(tmp_path):
    for round_number in range(20):
        folder = tmp_path / str(round_number)
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(secret_key.read_or_make, [folder] * 8))
        assert len(keys) == 1
        assert os.listdir(folder) == ["secret.key"]


def test_a_key_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path):
    path = tmp_path / "secret.key"
    path.write_text(KEY)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=rf"mode 0640.*Run: chmod 600 {path}"):
        Config.from_env({"SWITCHYARD_DATA_DIR": str(tmp_path)})


def test_an_empty_key_file_is_never_written_over(tmp_path):
    path = tmp_path / "secret.key"
    path.touch(0o600)
    with pytest.raises(ConfigError, match="holds no key"):
        Config.from_env({"SWITCHYARD_DATA_DIR": str(tmp_path)})
    assert path.read_text() == ""


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"secret\.key cannot be read or made .*SWITCHYARD_DATA_DIR"):
        Config.from_env({"SWITCHYARD_DATA_DIR": str(tmp_path / "file" / "below")})


def test_a_chosen_port_is_written_into_the_address_unless_one_was_set():
    assert config(PORT="0").listening_on(4321).public_url == "http://127.0.0.1:4321"
    assert config(PORT="0", PUBLIC_URL="https://hub.example").listening_on(4321).public_url == "https://hub.example"


@pytest.mark.parametrize(
    ("host", "loopback", "url"),
    [
        ("localhost", True, "http://localhost:8000"),
        ("::1", True, "http://[::1]:8000"),
        ("[::1]", True, "http://[::1]:8000"),
        ("0.0.0.0", False, "http://127.0.0.1:8000"),
        ("192.168.1.5", False, "http://192.168.1.5:8000"),
        ("Hub.Example.", False, "http://hub.example:8000"),
    ],
)
def test_the_address_is_made_from_host_and_port(host, loopback, url):
    made = config(HOST=host)
    assert (made.is_loopback, made.public_url) == (loopback, url)


def test_cookies_are_secure_when_the_public_address_is():
    assert config(PUBLIC_URL="https://hub.example/").secure_cookies
    assert config(PUBLIC_URL="HTTPS://Hub.Example:443").public_url == "https://hub.example"
    assert not config().secure_cookies


@pytest.mark.parametrize(
    "header",
    ["hub.example", "Hub.Example:443", "hub.example.", "127.0.0.1:8000", "127.0.0.1", "localhost:8000", "localhost"],
)
def test_a_request_to_one_of_our_names_is_taken(header):
    assert config(PUBLIC_URL="https://hub.example").allows_host(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "evil.example",
        "hub.example.evil.example",
        "127.0.0.2",
        "hub.example@evil.example",
        "hub.example:x",
        "10.0.0.1",
        "a b",
        "[::1",
        "localhost.evil.example",
        "hub.example, evil.example",
        "hub.example\n",
    ],
)
def test_a_request_to_another_name_is_refused(header):
    assert not config(PUBLIC_URL="https://hub.example").allows_host(header)


def test_listening_everywhere_takes_any_address_but_no_foreign_name():
    made = config(HOST="0.0.0.0")
    assert made.allows_host("192.168.1.5:8000") and made.allows_host("[fe80::1]:8000") and made.allows_host("localhost")
    assert not made.allows_host("evil.example:8000")


def test_listening_on_localhost_takes_its_addresses_too():
    made = config(HOST="localhost")
    assert made.allows_host("127.0.0.1:8000") and made.allows_host("[::1]:8000")
    assert not made.allows_host("192.168.1.5:8000")


@pytest.mark.parametrize(
    "origin",
    [
        "https://hub.example",
        "https://hub.example:443",
        "https://HUB.example/base/",
        "http://127.0.0.1:8000",
        "http://localhost:8000/",
        "https://other.example:8443",
    ],
)
def test_our_own_pages_and_listed_origins_may_open_a_socket(origin):
    assert config(PUBLIC_URL="https://hub.example", ALLOWED_ORIGINS="https://other.example:8443").allows_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://hub.example",
        "https://hub.example:8443",
        "https://other.example",
        "http://localhost:9000",
        "https://hub.example.evil.example",
        "https://hub.example@evil.example",
        "file:///",
        "https://[",
        "//hub.example",
    ],
)
def test_any_other_origin_may_not(origin):
    allowed = config(PUBLIC_URL="https://hub.example", ALLOWED_ORIGINS="https://other.example:8443")
    assert not allowed.allows_origin(origin)


def test_a_page_of_the_very_address_that_was_asked_may_open_a_socket():
    assert config().allows_origin("http://localhost:9000", own="http://localhost:9000")
    assert not config().allows_origin("http://localhost:9001", own="http://localhost:9000")


def test_gateway_hosts_are_found_by_name_and_by_network():
    hosts = config(GATEWAY_HOSTS="box.lan, 10.0.0.0/8, [fd00::1]").gateway_hosts
    assert "Box.lan" in hosts and "10.9.8.7" in hosts and "::ffff:10.9.8.7" in hosts and "fd00::1" in hosts
    assert "11.0.0.1" not in hosts and "other.lan" not in hosts
