"""The requests: strangers who rang, and whose calls nobody has answered.

Rules: a request is the key, the name that was claimed in its first call, when that was and the last one, and how often
it rang. It is kept for a week after its first call, and no longer than the call log is (`retention`); with a call log
of 0 days none is kept. A contact or a blocked key is no request: when a key becomes one, the tables forget its request
(`schema`). The name stays that of the first call, so that nobody takes another one between a look at the list and an
answer; the number of a request is given to no other one.

New keys cost an attacker nothing, so there is a bound, and what goes is decided by the `origin`: the networks that
calls came from. Beyond the bound the newest request of the origin with the most goes. So a crowd from one network is
turned away at the bound, and pushes out nobody who came from another one, whoever was first. Left out: an attacker
with as many networks as there is room for; and a stranger in the crowd's own network who comes after it. An origin is
no address: it is made with a secret of one run (`engine.unanswered`), and tells only which requests belong together.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from p2pcall.store import retention
from p2pcall.store.identity import fingerprint
from p2pcall.store.recordings import DAY_S
from p2pcall.store.vault import Vault

if TYPE_CHECKING:
    import apsw

MAX_REQUESTS: Final = 128
"""More strangers than a person looks through; some 20 KiB in all."""
_COLUMNS: Final = "key, claimed, at, last, calls, origin, id"


class CallRequest(Struct, frozen=True):
    """A stranger who rang."""

    public: bytes
    claimed: str
    """As `names.kept`; empty if no name was claimed."""
    at: float
    """The first call that is kept (epoch seconds)."""
    last: float
    calls: int = 1
    origin: bytes = b""
    number: int = 0
    """0 until it is kept."""


class CallRequests:
    """The requests in a vault; every method raises `P2PCallError` (config) if the vault cannot be used."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def add(self, rung: Iterable[CallRequest]) -> list[CallRequest]:
        """Keep these, or count them to those of their keys. Returns those that are new and were kept. In a thread."""
        if retention.request_days(self._vault) == 0:
            return []
        with self._vault.writing() as db:
            kept = {one.public: one for one in _all(db)}
            fresh = []
            for one in rung:
                if _is_known(db, one.public):
                    continue
                before = kept.get(one.public)
                if before is not None:
                    db.execute(
                        "UPDATE requests SET last = ?, calls = calls + ? WHERE key = ?",
                        (one.last, one.calls, one.public),
                    )
                    continue
                kept[one.public] = one
                if len(kept) > MAX_REQUESTS:
                    gone = evicted(kept.values())
                    del kept[gone.public]
                    if gone is one:
                        continue
                    db.execute("DELETE FROM requests WHERE key = ?", (gone.public,))
                fresh.append(one.public)
                kept[one.public] = _inserted(db, one)
            return [kept[public] for public in fresh if public in kept]

    def all(self, now_epoch: float) -> list[CallRequest]:
        """Those that are not too old, in order of their numbers."""
        since = now_epoch - retention.request_days(self._vault) * DAY_S
        with self._vault.reading() as db:
            return [] if db is None else [one for one in _all(db) if one.at > since]

    def forget(self, keys: Iterable[bytes]) -> int:
        """Overwrite the requests of these keys. Returns how many they were; writes only if there are any."""
        with self._vault.reading() as db:
            kept = set() if db is None else {one.public for one in _all(db)}
        gone = kept.intersection(keys)
        if gone:
            with self._vault.writing(forget=True) as db:
                db.executemany("DELETE FROM requests WHERE key = ?", ((key,) for key in gone))
        return len(gone)


def evicted(kept: Iterable[CallRequest]) -> CallRequest:
    """Which one goes, of one more than there is room for.

    The newest of the origin that has the most; of several such origins, of the one that was not heard for longest.
    """
    origins = defaultdict[bytes, list[CallRequest]](list)
    for one in kept:
        origins[one.origin].append(one)
    most = max(map(len, origins.values()))
    crowds = (crowd for crowd in origins.values() if len(crowd) == most)
    crowd = min(crowds, key=lambda crowd: max(one.last for one in crowd))
    return max(reversed(crowd), key=lambda one: one.at)


def _is_known(db: "apsw.Connection", public: bytes) -> bool:
    """Whether it is a contact's, or blocked: also since it rang."""
    query = "SELECT 1 FROM contacts WHERE key = ?1 UNION ALL SELECT 1 FROM blocked WHERE fingerprint = ?2"
    return db.execute(query, (public, fingerprint(public))).fetchone() is not None


def _all(db: "apsw.Connection") -> list[CallRequest]:
    rows: Any = db.execute(f"SELECT {_COLUMNS} FROM requests ORDER BY id")
    return [CallRequest(*row) for row in rows]


def _inserted(db: "apsw.Connection", one: CallRequest) -> CallRequest:
    db.execute(
        "INSERT INTO requests(key, fingerprint, claimed, at, last, calls, origin) VALUES(?, ?, ?, ?, ?, ?, ?)",
        (one.public, fingerprint(one.public), one.claimed, one.at, one.last, one.calls, one.origin),
    )
    return replace(one, number=db.last_insert_rowid())
