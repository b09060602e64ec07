"""Second factors and safe words in the vault: who has to give a code, whether it was right, which word is set.

Rules: what a code has cost or used up is on disk before anybody is told, so that a restart forgives nothing; two calls
at once, of any processes, are judged one after the other. A contact's own secret goes first; else whoever is answered
without asking gives a code of the home's own secret, if there is one. Failures are counted for each contact, and for
all strangers together, because a new key costs a stranger nothing. A secret or a word that is taken away or replaced
is overwritten. What cannot be read lets nobody in. Left out: what a code is (`factor`), and its bytes (`factor_blobs`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from p2pcall.factor.passcode import Judgement, Passcode, Tally, judge_code, locked_s
from p2pcall.factor.safe_word import SafeWord
from p2pcall.store.contact_secrets import (
    Secret,
    contact_secret,
    keep_contact_secret,
    secret_in,
    set_secret,
)
from p2pcall.store.factor_blobs import (
    Tried,
    packed_secret,
    packed_tried,
    packed_word,
    parse_secret,
    parse_tried,
    parse_word,
)
from p2pcall.store.home import damaged
from p2pcall.store.vault import Vault

if TYPE_CHECKING:
    import apsw

UNASKED: Final = "code-of-unasked"
"""The setting that holds the secret of whoever is answered without asking."""
UNASKED_TRIED: Final = "code-of-unasked-tried"
"""The setting that holds what was tried with it, and the failures of strangers."""


class Factors:
    """People are named by their keys. Every method raises `P2PCallError` (config) if the vault cannot be used.

    What changes something is to be called in a thread, for it waits for the disk.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def required(self, public: bytes, *, unasked: bool) -> bool:
        """Whether this caller has to give a code; `unasked`: no person would be asked about the call."""
        with self._reading() as db:
            return db is not None and _wanted(db, public, unasked) is not None

    def locked_s(self, public: bytes, epoch: float) -> int:
        """How long this caller is still locked out."""
        with self._reading() as db:
            return 0 if db is None else locked_s(_tried(db, _counted(db, public)).tally, epoch)

    def judge(self, public: bytes, given: bytes, epoch: float, *, unasked: bool) -> Judgement | None:
        """What the code is that this caller has given; kept when it returns. None: no code is required any more."""
        if not self.required(public, unasked=unasked):
            return None
        with self._writing(forget=False) as db:
            wanted = _wanted(db, public, unasked)
            if wanted is None:
                return None
            whose, secret = wanted
            counted = _counted(db, public)
            judged = judge_code(
                Passcode(secret, _tried(db, whose).used), _tried(db, counted).tally, given, epoch
            )
            _note(db, whose, used=judged.passcode.used)
            _note(db, counted, tally=judged.tally)
            return judged

    def require(self, public: bytes, secret: bytes | None) -> bool:
        """Set the secret of this contact's codes, or none. False if there is no such contact."""
        with self._writing(forget=True) as db:
            set_secret(db, public, Secret.TOTP_TALLY, None)
            return set_secret(db, public, Secret.TOTP, None if secret is None else packed_secret(secret))

    def unlock(self, public: bytes) -> bool:
        """Forget this contact's failures. False if there is no such contact."""
        with self._writing(forget=False) as db:
            known = _counted(db, public) is not None
            if known:
                _note(db, public, tally=Tally())
            return known

    def unasked(self) -> bool:
        """Whether whoever is answered without asking has to give a code."""
        with self._reading() as db:
            return db is not None and _secret(db, None) is not None

    def require_unasked(self, secret: bytes | None) -> None:
        """Set the secret for whoever is answered without asking, or none."""
        if secret is None and not self.unasked():
            return
        with self._writing(forget=True) as db:
            _set(db, UNASKED, None if secret is None else packed_secret(secret))
            _set(db, UNASKED_TRIED, None)

    def set_word(self, public: bytes, word: SafeWord | None) -> bool:
        """Set the safe word shared with this contact, or none. False if there is no such contact."""
        return keep_contact_secret(self._vault, public, Secret.SAFE_WORD, packed_word(word))

    def word(self, public: bytes) -> SafeWord | None:
        """The safe word shared with the owner of this key."""
        with self._valid():
            blob = contact_secret(self._vault, public, Secret.SAFE_WORD)
            return None if blob is None else parse_word(blob)

    @contextmanager
    def _reading(self) -> Iterator["apsw.Connection | None"]:
        with self._valid(), self._vault.reading() as db:
            yield db

    @contextmanager
    def _writing(self, *, forget: bool) -> Iterator["apsw.Connection"]:
        with self._valid(), self._vault.writing(forget=forget) as db:
            yield db

    @contextmanager
    def _valid(self) -> Iterator[None]:
        """Turns bytes that mean nothing into the error that people see."""
        try:
            yield
        except ValueError as error:
            raise damaged(self._vault.home.vault_path, str(error)) from None


def _wanted(db: "apsw.Connection", public: bytes, unasked: bool) -> tuple[bytes | None, bytes] | None:
    """Whose secret makes the codes that this caller has to give (None: the home's), and that secret."""
    for whose in (public, None) if unasked else (public,):
        secret = _secret(db, whose)
        if secret is not None:
            return whose, secret
    return None


def _counted(db: "apsw.Connection", public: bytes) -> bytes | None:
    """With whom this caller's failures are counted: the contact of this key, or None, all strangers."""
    return public if db.execute("SELECT 1 FROM contacts WHERE key = ?", (public,)).fetchone() else None


def _secret(db: "apsw.Connection", whose: bytes | None) -> bytes | None:
    blob = _setting(db, UNASKED) if whose is None else secret_in(db, whose, Secret.TOTP)
    return None if blob is None else parse_secret(blob)


def _tried(db: "apsw.Connection", whose: bytes | None) -> Tried:
    return parse_tried(
        _setting(db, UNASKED_TRIED) if whose is None else secret_in(db, whose, Secret.TOTP_TALLY)
    )


def _note(db: "apsw.Connection", whose: bytes | None, **changes: Any) -> None:
    """Keep what was tried; what is as before is not written."""
    before = _tried(db, whose)
    after = replace(before, **changes)
    if after == before:
        return
    if whose is None:
        _set(db, UNASKED_TRIED, packed_tried(after))
    else:
        set_secret(db, whose, Secret.TOTP_TALLY, packed_tried(after))


def _setting(db: "apsw.Connection", name: str) -> object:
    row: Any = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def _set(db: "apsw.Connection", name: str, value: bytes | None) -> None:
    if value is None:
        db.execute("DELETE FROM settings WHERE name = ?", (name,))
    else:
        db.execute("REPLACE INTO settings VALUES(?, ?)", (name, value))
