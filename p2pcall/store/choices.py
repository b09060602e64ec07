"""What the user has chosen for good: who can ring. The door never opens by itself.

Rules: the first contact that is kept closes the door to all others, and nothing but the user's word opens it again: not
the last contact's going, nor a contacts file that is lost. So the choice has a file of its own. A damaged one is an
error and stays as it is.
"""

import json
from typing import Final

from p2pcall.store.home import Home, damaged, parsed, read, write_atomic
from p2pcall.types import Reach

CHOICES_VERSION: Final = 1
"""Of the file's form."""


def kept_reach(home: Home) -> Reach | None:
    """Who can ring; None: nothing was chosen yet. Raises `P2PCallError` (config) if the file cannot be used."""
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
    """The user's own word. Raises `P2PCallError` (config)."""
    with home.lock():
        if kept_reach(home) != reach:
            _write(home, reach)


def close_to_strangers(home: Home) -> None:
    """There is a contact: contacts alone from now on, unless something else was chosen. The caller holds the lock."""
    if kept_reach(home) is None:
        _write(home, Reach.CONTACTS)


def _write(home: Home, reach: Reach) -> None:
    text = json.dumps({"version": CHOICES_VERSION, "reach": reach})
    write_atomic(home.settings_path, text.encode() + b"\n")
