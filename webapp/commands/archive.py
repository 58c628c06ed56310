"""One archive with all a hub is: written, and put back."""

import os
from pathlib import Path

import click

from models import schema, sealed
from webapp import backup, beside, secret_key
from webapp.config import Config
from webapp.environment import PREFIX


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-key", is_flag=True, help="Put the secret key into the archive: keep it where nobody else reads.")
def write_backup(file: Path, with_key: bool) -> None:
    """Write one archive with all this hub is; prints its name."""
    config = Config.from_env(os.environ)
    keys = [sealed.key_id(key) for key in config.secret_keys]
    with beside.database_url(config) as url:
        backup.backup(url, file, keys, ",".join(config.secret_keys) if with_key else None)
    click.echo(file)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def restore(file: Path) -> None:
    """Fill an empty hub from an archive."""
    config = Config.from_env(os.environ)
    with beside.database_url(config) as url:
        restored = backup.restore(url, file, [sealed.key_id(key) for key in config.secret_keys])
    if restored.key is not None:
        keep_key(config, restored.key)
    with beside.connected(config) as engine:
        schema.upgrade(engine)
    click.echo(f"Restored as it was at {restored.manifest.created_at:%Y-%m-%d %H:%M} UTC. Restart the hub.", err=True)


def keep_key(config: Config, keys: str) -> None:
    """Puts the key of a restored hub first, where ours is kept; a variable is not ours to change."""
    if config.sources[PREFIX + "SECRET_KEY"] == "file":
        secret_key.put_first(config.data_dir, keys)
        return
    click.echo(
        f"The archive holds a secret key that {PREFIX}SECRET_KEY lacks. Take secret.key out of it (unzip) and put it "
        "first there, or sealed secrets stay closed.",
        err=True,
    )
