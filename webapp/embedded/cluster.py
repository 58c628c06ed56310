"""A cluster: made by initdb, or not there at all; and the settings that every server of one starts with."""

import shutil
from collections.abc import Mapping

from webapp.embedded.account import EmbeddedError
from webapp.embedded.binaries import Binaries
from webapp.embedded.home import PORT, Home

KEEPER = "keeper"  # the superuser; only the keeper uses it
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    # Logs hold no statement and no DETAIL: both repeat what people wrote.
    "logging_collector": "on",
    "log_filename": "postgres-%Y%m%d-%H%M%S.log",
    "log_rotation_size": "5MB",
    "log_rotation_age": "1d",
    "log_line_prefix": "%m [%p] ",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}


def make(home: Home, binaries: Binaries) -> None:
    """initdb beside the final name, renamed when whole. Raises EmbeddedError with what initdb said."""
    said = ""
    for locale in _locales(binaries.major):
        shutil.rmtree(home.folder / "cluster.new", ignore_errors=True)  # a making that was cut short; never used
        new, password = home.own("cluster.new"), home.password_file(KEEPER)
        options = ["-U", KEEPER, "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--no-instructions"]
        made = home.account.run([binaries / "initdb", "-D", new, *options, *locale])
        if made.returncode == 0:
            new.rename(home.cluster)
            return
        said = made.stderr
    raise EmbeddedError(why_not(said))


def command(home: Home, binaries: Binaries, settings: Mapping[str, str]) -> list[str]:
    """The server's command line. Settings go there, not into its files, so that a newer Switchyard brings its own."""
    places = {
        "unix_socket_directories": '"{}"'.format(str(home.socket_folder()).replace('"', '""')),
        "log_directory": str(home.own("log")),
    }
    options = [f"{name}={value}" for name, value in {**SETTINGS, **settings, **places}.items()]
    flags = [part for option in options for part in ("-c", option)]
    return [str(binaries / "postgres"), "-D", str(home.cluster), *flags]


def why_not(said: str) -> str:
    """A sentence for what initdb said when it failed."""
    if "could not look up effective user ID" in said:
        return (
            "Postgres refuses a user id without a name, and ours is not in /etc/passwd. "
            "Add it there, run as another user, or set SWITCHYARD_DATABASE_URL."
        )
    return (
        f"The embedded database could not be made: {' / '.join(said.strip().splitlines()[-2:]) or 'initdb was ended'}"
    )


def _locales(major: int) -> list[list[str]]:
    """Options to try in turn: text should sort by code point and fold case beyond ASCII, the same on every machine."""
    if major >= 17:
        return [["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]]
    return [["--locale=C", "--lc-ctype=C.UTF-8"], ["--locale=C"]]
