"""The user's permanent choice: who can ring.

Rules: when the first contact is kept, only contacts can ring from then on. Only the user can allow strangers again;
removing the last contact or losing the contacts file does not. So the choice has a file of its own. A damaged file is
an error and is not changed.
"""

import json
from typing import Final

from p2pcall.store.home import Home, damaged, file_error, parsed, read, sync_directory, write_atomic
from p2pcall.types import Reach

CHOICES_VERSION: Final = 1
"""Version of the file format."""


def kept_reach(home: Home) -> Reach | None:
    """Who can ring; None: not chosen yet. Raises `P2PCallError` (config) if the file cannot be used."""
    path = home.settings_path
    data = read(path)
    if data is None:
        return None
    document = parsed(data, path, CHOICES_VERSION)
    for reach in Reach:
        if document.get("reach") == reach:
            return reach
    raise damaged(path, "it does not say who can ring")


def keep_reach(home: Home, reach: Reach) -> None:
    """Save the user's choice. Raises `P2PCallError` (config)."""
    with home.lock():
        if kept_reach(home) != reach:
            _write(home, reach)


def forget_reach(home: Home) -> None:
    """Take the user's choice back, as if there had been none. Raises `P2PCallError` (config)."""
    with home.lock():
        if kept_reach(home) is not None:
            try:
                home.settings_path.unlink()
                sync_directory(home.data)
            except OSError as error:
                raise file_error(error, home.settings_path, "remove") from error


def close_to_strangers(home: Home) -> None:
    """A contact was kept: only contacts can ring now, unless the user has chosen. The caller holds the lock."""
    if kept_reach(home) is None:
        _write(home, Reach.CONTACTS)


def _write(home: Home, reach: Reach) -> None:
    text = json.dumps({"version": CHOICES_VERSION, "reach": reach})
    write_atomic(home.settings_path, text.encode() + b"\n")
