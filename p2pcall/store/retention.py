"""How long the call log, consents, requests and keys of old recordings are kept, and that they are erased in time.

Rules: 30 days are both default and maximum; 0 keeps nothing (recordings have a clock of their own). Erased means
overwritten, with no gap left behind. A row from the future (the clock was wrong) counts from now on, so that it does
not stay for ever.
"""

from typing import Final

from p2pcall.store.private_settings import PrivateSetting, chosen_days, keep_setting, kept_settings
from p2pcall.store.recordings import DAY_S, RECORDING_DAYS
from p2pcall.store.vault import Vault

MAX_DAYS: Final = 30
"""Most days that the call log and the consents are kept."""
REQUEST_DAYS: Final = 7
"""Days that a stranger's request is kept."""
_KEPT: Final = (("calls", MAX_DAYS), ("consents", MAX_DAYS), ("requests", REQUEST_DAYS))
"""Tables, and the most days that their rows are kept; the user may want fewer."""
_KEPT_IN_ANY_CASE: Final = (("recording_keys", RECORDING_DAYS),)
"""Tables whose rows are kept for so many days whatever the user says of the log."""


def kept_days(vault: Vault) -> int:
    """For how many days the user wants a call in the log."""
    days = chosen_days(kept_settings(vault), PrivateSetting.HISTORY_DAYS, 0, MAX_DAYS)
    return MAX_DAYS if days is None else days


def request_days(vault: Vault) -> int:
    """For how many days a stranger's request is kept: not longer than calls are."""
    return min(kept_days(vault), REQUEST_DAYS)


def keep_days(vault: Vault, days: int | None, now_epoch: float) -> int:
    """Keep the user's number of days (0 to `MAX_DAYS`; None: the default), at once. Returns how many rows went."""
    if days is not None and not 0 <= days <= MAX_DAYS:
        raise ValueError(f"calls are kept for 0 to {MAX_DAYS} days")
    keep_setting(vault, PrivateSetting.HISTORY_DAYS, days)
    return enforce(vault, now_epoch)


def enforce(vault: Vault, now_epoch: float) -> int:
    """Erase what is too old. Returns how many rows went. Writes only if there are such rows."""
    days = kept_days(vault)
    kept = (*((table, min(days, most)) for table, most in _KEPT), *_KEPT_IN_ANY_CASE)
    until = {table: now_epoch - most * DAY_S for table, most in kept}
    with vault.reading() as db:
        found = db is not None and any(
            db.execute(
                f"SELECT 1 FROM {table} WHERE at <= ? OR at > ? LIMIT 1", (oldest, now_epoch)
            ).fetchone()
            for table, oldest in until.items()
        )
    if not found:
        return 0
    gone = 0
    with vault.writing(forget=True) as db:
        for table, oldest in until.items():
            db.execute(f"UPDATE {table} SET at = ? WHERE at > ?", (now_epoch, now_epoch))
            db.execute(f"DELETE FROM {table} WHERE at <= ?", (oldest,))
            gone += db.changes()
    return gone
