"""What others are shown as the user's name by the commands that place no call."""

from p2pcall.cli.options import own_name
from p2pcall.engine.policy import NEUTRAL_NAME
from p2pcall.engine.stored_settings import shows_name
from p2pcall.store.home import Home
from p2pcall.store.private_settings import kept_settings
from p2pcall.store.vault import Vault


def shown_name(home: Home, given: str | None = None) -> str:
    """`given` (`--name`), else the default, unless the user wants no name shown. P2PCallError as `own_name`."""
    name = own_name(given)
    if given is None and not shows_name(kept_settings(Vault(home))):
        return NEUTRAL_NAME
    return name
