"""The user's lasting choices of what is private, in the vault: a name and a value each.

Rules: what was never chosen has no row; whoever reads it knows the default. A value that a newer version has written
and this one does not know counts as not chosen. Left out: who can ring, which must outlive the vault (`choices`), and
what else has a row there (a secret of codes, the stamp of the contacts).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from p2pcall.store.vault import Vault


class PrivateSetting(StrEnum):
    """What can be chosen; the value is the name in the vault, and is never changed."""

    ANNOUNCE = "announce"
    ANSWER = "answer"
    SHOW_NAME = "show-name"
    HISTORY_DAYS = "history-days"
    RECORDING_DAYS = "recording-days"


def kept_settings(vault: Vault) -> dict[str, str | int]:
    """All that was chosen, by name. P2PCallError (config) if the vault cannot be used."""
    names = tuple(map(str, PrivateSetting))
    query = f"SELECT name, value FROM settings WHERE name IN ({', '.join('?' * len(names))})"
    with vault.reading() as db:
        rows: Any = () if db is None else db.execute(query, names)
        return dict(rows)


def keep_setting(vault: Vault, setting: PrivateSetting, value: str | int | None) -> None:
    """Keep a choice; None: take it back. In a thread. P2PCallError (config) if it cannot be kept."""
    with vault.writing() as db:
        if value is None:
            db.execute("DELETE FROM settings WHERE name = ?", (str(setting),))
        else:
            db.execute("REPLACE INTO settings VALUES(?, ?)", (str(setting), value))


def chosen_days(kept: Mapping[str, str | int], setting: PrivateSetting, least: int, most: int) -> int | None:
    """The number of days that was chosen; None: none, or one that is not allowed."""
    days = kept.get(setting)
    return days if type(days) is int and least <= days <= most else None
